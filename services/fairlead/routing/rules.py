"""What a request for a model meets, in order: the one list that Envoy's routes and `explain` are both made from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from fairlead.contracts.gateway import pin_name
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table

VERSION_HEADER = "x-model-version"
EXPLAIN_HEADER = "x-route-explain"


class Shape(StrEnum):
    """How a rule's path is compared; the query is no part of it."""

    EXACT = "exact"
    OPTIONAL_SLASH = "optional-slash"
    """The path, with or without one "/" behind it."""
    BELOW = "below"
    """The path and everything below it: `/docs` and `/docs/x`, not `/docsx`."""


@dataclass(frozen=True, slots=True)
class Path:
    """A path and how it is compared."""

    text: str
    shape: Shape = Shape.EXACT

    def matches(self, path: str) -> bool:
        """Whether Envoy would match it; `path` comes without a query."""
        if self.shape is Shape.BELOW:
            return path == self.text or path.startswith(f"{self.text}/")
        return path == self.text or (self.shape is Shape.OPTIONAL_SLASH and path == f"{self.text}/")


class Goal(StrEnum):
    """What a rule does with the request."""

    SPLIT = "split"
    PIN = "pin"
    DIRECT = "direct"
    """Stable itself, not as evidence: docs and metadata."""
    MISSING = "missing"
    """No such version, or no such path: 404, never a silent split."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The first rule whose path, method and header match is what the request gets."""

    name: str
    path: Path
    goal: Goal
    ref: VersionRef | None = None
    """Which version, for `pin` and `direct`."""
    version_header: str | None = None
    """The value `x-model-version` must have; "" means any value; None does not look."""
    method: str | None = None
    rewrite: str | None = None
    """What the matched path becomes on its way to the service; None leaves it."""
    prefix: str | None = None
    """Sent as `x-forwarded-prefix`, so that a page can link to itself."""
    detail: str = ""
    """What `missing` tells the client."""


@dataclass(frozen=True, slots=True)
class _Place:
    """One of a model's paths; its name, what it becomes, and whether it follows the split."""

    name: str
    path: Path
    rewrite: str | None = None
    prefix: str | None = None
    method: str | None = None
    follows: bool = False

    def rule(self, name: str, goal: Goal, ref: VersionRef | None = None, *, version_header: str | None = None) -> Rule:
        return Rule(
            f"{name}:{self.name}",
            self.path,
            goal,
            ref,
            version_header=version_header,
            method=self.method,
            rewrite=self.rewrite,
            prefix=self.prefix,
        )


def _own_paths(base: str) -> Iterator[_Place]:
    yield _Place("predict", Path(f"{base}/predict", Shape.OPTIONAL_SLASH), "/predict", follows=True)
    yield _Place("docs", Path(f"{base}/docs", Shape.BELOW), "/docs", base)
    yield _Place("openapi", Path(f"{base}/openapi.json"), "/openapi.json", base)
    yield _Place("golden", Path(f"{base}/golden"), "/golden", base, method="GET")


def _unpinned_places(model: str) -> Iterator[_Place]:
    yield from _own_paths(f"/models/{model}")
    yield _Place("v1-predict", Path(f"/v1/models/{model}:predict"), follows=True)
    yield _Place("v1-metadata", Path(f"/v1/models/{model}"))
    yield _Place("v2-infer", Path(f"/v2/models/{model}/infer"), follows=True)
    # Metadata and readiness are polled; on the split every poll would count as a success of some version.
    yield _Place("v2-metadata", Path(f"/v2/models/{model}", Shape.BELOW))


def rules(table: Table) -> Iterator[Rule]:
    """All rules of one table, in the order in which they are tried."""
    model, unknown = table.model, _unknown_version(table)
    for ref in table.pins:
        pin = pin_name(table, ref)
        for place in _own_paths(f"/models/{model}/versions/{pin}"):
            yield place.rule(f"pin-path:{pin}", Goal.PIN, ref)
        below = Path(f"/v2/models/{model}/versions/{pin}", Shape.BELOW)
        # The service knows its version by its plain name only.
        plain = None if pin == ref.version else f"/v2/models/{model}/versions/{ref.version}"
        yield _Place("v2", below, plain).rule(f"pin-path:{pin}", Goal.PIN, ref)
    for name, base in (("own", "/models"), ("v2", "/v2/models")):
        below = Path(f"{base}/{model}/versions", Shape.BELOW)
        yield Rule(f"no-version:{name}", below, Goal.MISSING, detail=unknown)
    for place in _unpinned_places(model):
        for ref in table.pins:
            pin = pin_name(table, ref)
            yield place.rule(f"pin-header:{pin}", Goal.PIN, ref, version_header=pin)
        yield replace(
            place.rule("no-version", Goal.MISSING, version_header=""), rewrite=None, prefix=None, detail=unknown
        )
        if place.follows:
            yield place.rule("split", Goal.SPLIT)
        else:
            yield place.rule("stable", Goal.DIRECT, table.stable)
    nowhere = f"model {model} has no such path"
    yield Rule("no-path", Path(f"/models/{model}", Shape.BELOW), Goal.MISSING, detail=nowhere)


def _unknown_version(table: Table) -> str:
    names = sorted(pin_name(table, ref) for ref in table.pins)
    # Envoy refuses a whole route configuration for one answer above 4,096 bytes.
    shown = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"model {table.model} has no such version; it has {shown}"


def bases(model: str) -> tuple[str, ...]:
    """What every path of a model begins with: its own paths, those of KServe V1, and the Open Inference Protocol's."""
    return tuple(f"{protocol}/models/{model}" for protocol in ("", "/v1", "/v2"))


def model_in(path: str) -> str | None:
    """The model a path is about, whatever stands behind the name; None for a path that is about none."""
    found = _MODEL.fullmatch(path)
    return found[1] if found else None


_MODEL = re.compile(r"(?:/v[12])?/models/([^/:]+)(?:[/:].*)?", re.DOTALL)
