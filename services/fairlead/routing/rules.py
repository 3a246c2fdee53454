"""The ordered routing rules of a model. Envoy's routes and `explain` are both made from this one list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from fairlead.contracts.gateway import pin_name
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table

VERSION_HEADER = "x-model-version"
BLANK = " \t,"
"""A header line of only these characters is blank. Proxies may join several lines with commas, hence the comma."""
EXPLAIN_HEADER = "x-route-explain"


class PathMatch(StrEnum):
    """How a rule's path is compared. The query string is ignored."""

    EXACT = "exact"
    OPTIONAL_SLASH = "optional-slash"
    """The path, with or without one trailing "/"."""
    BELOW = "below"
    """The path and everything below it: `/docs` and `/docs/x`, not `/docsx`."""


@dataclass(frozen=True, slots=True)
class Path:
    """A path and how it is compared."""

    text: str
    match: PathMatch = PathMatch.EXACT

    def matches(self, path: str) -> bool:
        """Whether Envoy would match `path`, which must not contain a query string."""
        if self.match is PathMatch.BELOW:
            return path == self.text or path.startswith(f"{self.text}/")
        return path == self.text or (self.match is PathMatch.OPTIONAL_SLASH and path == f"{self.text}/")


class RuleAction(StrEnum):
    """What a rule does with the request."""

    SPLIT = "split"
    PIN = "pin"
    DIRECT = "direct"
    """Stable, outside the split, not counted as evidence: docs and metadata."""
    MISSING = "missing"
    """No such version, or no such path: 404, never a fall-through to the split."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One routing rule. The first rule whose path, method and header match is applied to the request."""

    name: str
    path: Path
    action: RuleAction
    ref: VersionRef | None = None
    """Which version, for `pin` and `direct`."""
    version_header: str | None = None
    """The value `x-model-version` must have; "" matches any value; None ignores the header."""
    sticky_header: str | None = None
    """The split draws by this header, which must have a line that is not blank; None draws each request anew."""
    method: str | None = None
    rewrite: str | None = None
    """Replaces the matched path before the request goes to the service; None keeps the path."""
    prefix: str | None = None
    """Sent as `x-forwarded-prefix`, so that a page can link to itself."""
    predicts: bool = False
    """Whether the service may be asked for a prediction here, which it may record."""
    detail: str = ""
    """The text of the 404 response, for `missing`."""


@dataclass(frozen=True, slots=True)
class _ModelPath:
    """One of a model's paths: its name, its rewrite, and whether it is for predictions, which the split applies to."""

    name: str
    path: Path
    rewrite: str | None = None
    prefix: str | None = None
    method: str | None = None
    predicts: bool = False

    def rule(
        self, name: str, action: RuleAction, ref: VersionRef | None = None, *, version_header: str | None = None
    ) -> Rule:
        return Rule(
            f"{name}:{self.name}",
            self.path,
            action,
            ref,
            version_header=version_header,
            method=self.method,
            rewrite=self.rewrite,
            prefix=self.prefix,
            predicts=self.predicts,
        )


def _own_paths(base: str) -> Iterator[_ModelPath]:
    yield _ModelPath("predict", Path(f"{base}/predict", PathMatch.OPTIONAL_SLASH), "/predict", predicts=True)
    yield _ModelPath("docs", Path(f"{base}/docs", PathMatch.BELOW), "/docs", base)
    yield _ModelPath("openapi", Path(f"{base}/openapi.json"), "/openapi.json", base)
    yield _ModelPath("golden", Path(f"{base}/golden"), "/golden", base, method="GET")
    yield _ModelPath("feedback", Path(f"{base}/feedback"), "/feedback", method="POST")


def _unpinned_paths(model: str) -> Iterator[_ModelPath]:
    yield from _own_paths(f"/models/{model}")
    yield _ModelPath("v1-predict", Path(f"/v1/models/{model}:predict"), predicts=True)
    yield _ModelPath("v1-explain", Path(f"/v1/models/{model}:explain"), predicts=True)
    yield _ModelPath("v1-metadata", Path(f"/v1/models/{model}"))
    yield _ModelPath("v2-infer", Path(f"/v2/models/{model}/infer"), predicts=True)
    # Clients poll metadata and readiness. On the split every poll would count as a success of some version.
    yield _ModelPath("v2-metadata", Path(f"/v2/models/{model}", PathMatch.BELOW))


def rules(table: Table) -> Iterator[Rule]:
    """All rules of one table, in matching order."""
    model, unknown = table.model, _unknown_version(table)
    for ref in table.pins:
        pin = pin_name(table, ref)
        for place in _own_paths(f"/models/{model}/versions/{pin}"):
            yield place.rule(f"pin-path:{pin}", RuleAction.PIN, ref)
        below = Path(f"/v2/models/{model}/versions/{pin}", PathMatch.BELOW)
        # The service knows its version only by its plain name, without the identity.
        plain = None if pin == ref.version else f"/v2/models/{model}/versions/{ref.version}"
        yield _ModelPath("v2", below, plain, predicts=True).rule(f"pin-path:{pin}", RuleAction.PIN, ref)
    for name, base in (("own", "/models"), ("v2", "/v2/models")):
        below = Path(f"{base}/{model}/versions", PathMatch.BELOW)
        yield Rule(f"no-version:{name}", below, RuleAction.MISSING, detail=unknown)
    for place in _unpinned_paths(model):
        for ref in table.pins:
            pin = pin_name(table, ref)
            yield place.rule(f"pin-header:{pin}", RuleAction.PIN, ref, version_header=pin)
        yield replace(
            place.rule("no-version", RuleAction.MISSING, version_header=""), rewrite=None, prefix=None, detail=unknown
        )
        if place.predicts:
            if table.sticky is not None and table.candidate is not None:
                yield replace(place.rule("split-sticky", RuleAction.SPLIT), sticky_header=table.sticky)
            yield place.rule("split", RuleAction.SPLIT)
        else:
            yield place.rule("stable", RuleAction.DIRECT, table.stable)
    nowhere = f"model {model} has no such path"
    yield Rule("no-path", Path(f"/models/{model}", PathMatch.BELOW), RuleAction.MISSING, detail=nowhere)


def _unknown_version(table: Table) -> str:
    names = sorted(pin_name(table, ref) for ref in table.pins)
    # Envoy rejects a whole route configuration for one direct response above 4,096 bytes.
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"model {table.model} has no such version; it has {shown}"


def bases(model: str) -> tuple[str, ...]:
    """The path prefixes of a model: its own, those of KServe V1, and those of the Open Inference Protocol."""
    return tuple(f"{protocol}/models/{model}" for protocol in ("", "/v1", "/v2"))


def model_in(path: str) -> str | None:
    """The model named in a path, with anything after the name; None for a path that names no model."""
    found = _MODEL.fullmatch(path)
    return found[1] if found else None


_MODEL = re.compile(r"(?:/v[12])?/models/([^/:]+)(?:[/:].*)?", re.DOTALL)
