"""explain(): what the gateway would do with a request, and why. Pure; a test compares it with a real Envoy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import xxhash

from fairlead.contracts.gateway import pin_name
from fairlead.contracts.route import TOTAL_WEIGHT, VersionRef
from fairlead.contracts.table import Table
from fairlead.routing.envoy.actions import sticky_salt
from fairlead.routing.rules import BLANK, VERSION_HEADER, Rule, RuleAction, rules
from fairlead.routing.snapshot import Routed

Headers = Sequence[tuple[str, str | bytes]]
"""Names in any case; whitespace around a value is ignored, as in HTTP; a str is encoded as UTF-8."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """How one request is routed. A pin and a sticky draw determine the `version`; else see `probabilities`."""

    action: RuleAction
    rule: str
    """The name of Envoy's route, as in the access log."""
    words: str
    revision: str
    version: VersionRef | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """Keys are the names that pin a version."""
    sticky_header: str | None = None
    sticky_keys: tuple[str, ...] = ()
    """The hashed strings: one for each line of the header, usually one."""
    bucket: int | None = None
    """The key's bucket, 0 to 9,999; the candidate has the buckets from 10,000 - weight up."""
    mirrors: Mapping[str, float] = field(default_factory=dict)
    """Versions that may get a mirrored request, and the probability of each."""


def explain(routed: Routed, path: str, headers: Headers, *, method: str = "POST") -> Explanation | None:
    """None when the path does not belong to this model. `path` may contain a query; it must already be normalised."""
    plain = path.partition("?")[0].partition("#")[0]
    asked = _values(headers, VERSION_HEADER)
    matching = (rule for rule in rules(routed.table) if _matches(rule, plain, asked, headers, method))
    rule = next(matching, None)
    if rule is None:
        return None
    if rule.action is RuleAction.SPLIT:
        return _split(routed, rule, headers)
    return Explanation(rule.action, _name(routed, rule), _words(routed.table, rule), routed.revision, rule.ref)


def to_json(explanation: Explanation) -> dict[str, object]:
    """The explanation as the API and the command line show it; fields that do not apply are left out."""
    document: dict[str, object] = {
        "goal": explanation.action.value,
        "rule": explanation.rule,
        "words": explanation.words,
        "revision": explanation.revision,
        "version": explanation.version.version if explanation.version else None,
        "probabilities": dict(explanation.probabilities),
        "mirrors": dict(explanation.mirrors),
    }
    if explanation.sticky_header is not None:
        document["sticky"] = {
            "header": explanation.sticky_header,
            "keys": list(explanation.sticky_keys),
            "bucket": explanation.bucket,
        }
    return document


def _matches(rule: Rule, path: str, asked: Sequence[bytes], headers: Headers, method: str) -> bool:
    if not rule.path.matches(path) or rule.method not in (None, method):
        return False
    if rule.sticky_header is not None and _is_blank(_values(headers, rule.sticky_header)):
        return False
    if rule.version_header is None:
        return True
    return bool(asked) if rule.version_header == "" else rule.version_header.encode() in asked


def _split(routed: Routed, rule: Rule, headers: Headers) -> Explanation:
    table = routed.table
    values = _values(headers, rule.sticky_header) if rule.sticky_header else []
    keys = [value + sticky_salt(routed).encode() for value in values]
    bucket = _hash(keys) % TOTAL_WEIGHT if keys else None
    version = _drawn(table, bucket)
    names = {pin_name(table, ref): ref for ref in (table.stable, table.candidate) if ref is not None}
    return Explanation(
        action=RuleAction.SPLIT,
        rule=_name(routed, rule),
        words=_draw_in_words(table, bucket, version, is_sent=bool(table.sticky and _values(headers, table.sticky))),
        revision=routed.revision,
        version=version,
        probabilities={name: _probability(table, ref, version) for name, ref in names.items()},
        sticky_header=table.sticky,
        sticky_keys=tuple(key.decode(errors="backslashreplace") for key in keys),
        bucket=bucket,
        mirrors={pin_name(table, one.version): one.share / TOTAL_WEIGHT for one in table.mirrors},
    )


def _hash(keys: Iterable[bytes]) -> int:
    """Hash several header lines as Envoy does: sorted by their bytes, each seeded with the previous hash."""
    seed = 0
    for key in sorted(keys):
        seed = xxhash.xxh64_intdigest(key, seed)
    return seed


def _drawn(table: Table, bucket: int | None) -> VersionRef | None:
    if table.candidate is None or table.weight == 0:
        return table.stable
    if table.weight == TOTAL_WEIGHT:
        return table.candidate
    if bucket is None:
        return None
    return table.candidate if bucket >= TOTAL_WEIGHT - table.weight else table.stable


def _probability(table: Table, ref: VersionRef, drawn: VersionRef | None) -> float:
    if drawn is not None:
        return 1.0 if ref == drawn else 0.0
    return (table.weight if ref == table.candidate else TOTAL_WEIGHT - table.weight) / TOTAL_WEIGHT


def _draw_in_words(table: Table, bucket: int | None, version: VersionRef | None, *, is_sent: bool) -> str:
    if table.candidate is None:
        return f"the split has one version: {table.stable}"
    shares = f"{table.stable} {_percent(TOTAL_WEIGHT - table.weight)}, {table.candidate} {_percent(table.weight)}"
    if bucket is not None:
        return f"the split ({shares}); {table.sticky} falls into bucket {bucket} of {TOTAL_WEIGHT}: {version}"
    missing = "no sticky header is configured"
    if table.sticky:
        missing = f"the {table.sticky} header is blank" if is_sent else f"there is no {table.sticky} header"
    return (
        f"the split ({shares}); drawn anew for each request, because {missing}"
        if not version
        else (f"the split ({shares}): {version}")
    )


def _words(table: Table, rule: Rule) -> str:
    if rule.action is RuleAction.MISSING or rule.ref is None:
        return f"404: {rule.detail}"
    if rule.action is RuleAction.DIRECT:
        return f"stable ({rule.ref}): this path is not part of the split"
    how = "the header x-model-version" if rule.version_header else "the path"
    return f"pinned to {pin_name(table, rule.ref)} by {how}"


def _percent(weight: int) -> str:
    return f"{weight / 100:g} %"


def _name(routed: Routed, rule: Rule) -> str:
    return f"{routed.route}:{rule.name}"


def _is_blank(values: Sequence[bytes]) -> bool:
    return not b"".join(values).strip(BLANK.encode())


def _values(headers: Headers, name: str) -> list[bytes]:
    found = (value.encode() if isinstance(value, str) else value for header, value in headers if header.lower() == name)
    return [value.strip(b" \t") for value in found]
