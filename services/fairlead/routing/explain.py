"""explain(): what the gateway would do with a request, and why. Pure; a test holds it against a real Envoy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import xxhash

from fairlead.contracts.gateway import pin_name
from fairlead.contracts.route import TOTAL_WEIGHT, VersionRef
from fairlead.contracts.table import Table
from fairlead.routing.envoy.actions import sticky_salt
from fairlead.routing.rules import VERSION_HEADER, Goal, Rule, rules
from fairlead.routing.snapshot import Routed

Headers = Sequence[tuple[str, str | bytes]]
"""Names in any case, values as they arrived; text counts as UTF-8."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """One request's fate. `version` is known for a pin and for a sticky draw; else `probabilities` say how likely."""

    goal: Goal
    rule: str
    """The name of Envoy's route, as the access log has it."""
    words: str
    revision: str
    version: VersionRef | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    """By the name that pins a version."""
    sticky_header: str | None = None
    sticky_keys: tuple[str, ...] = ()
    """What is hashed: one for each line of the header, usually one."""
    bucket: int | None = None
    """Where the key falls, 0 to 9,999; the candidate has the buckets from 10,000 - weight on."""
    mirrors: Mapping[str, float] = field(default_factory=dict)
    """Versions that may get a copy, and how likely."""


def explain(routed: Routed, path: str, headers: Headers, *, method: str = "POST") -> Explanation | None:
    """None when the path is not one of this model's. `path` may carry a query, and is taken as already normalised."""
    plain = path.partition("?")[0].partition("#")[0]
    asked = _values(headers, VERSION_HEADER)
    matching = (rule for rule in rules(routed.table) if _matches(rule, plain, asked, method))
    rule = next(matching, None)
    if rule is None:
        return None
    if rule.goal is Goal.SPLIT:
        return _split(routed, rule, headers)
    return Explanation(rule.goal, _name(routed, rule), _words(routed.table, rule), routed.revision, rule.ref)


def to_json(told: Explanation) -> dict[str, object]:
    """The explanation as the API and the command line show it; what does not apply is left out."""
    document: dict[str, object] = {
        "goal": told.goal.value,
        "rule": told.rule,
        "words": told.words,
        "revision": told.revision,
        "version": told.version.version if told.version else None,
        "probabilities": dict(told.probabilities),
        "mirrors": dict(told.mirrors),
    }
    if told.sticky_header is not None:
        document["sticky"] = {"header": told.sticky_header, "keys": list(told.sticky_keys), "bucket": told.bucket}
    return document


def _matches(rule: Rule, path: str, asked: Sequence[bytes], method: str) -> bool:
    if not rule.path.matches(path) or rule.method not in (None, method):
        return False
    if rule.version_header is None:
        return True
    return bool(asked) if rule.version_header == "" else rule.version_header.encode() in asked


def _split(routed: Routed, rule: Rule, headers: Headers) -> Explanation:
    table = routed.table
    values = _values(headers, table.sticky) if table.sticky else []
    keys = [value + sticky_salt(routed).encode() for value in values]
    bucket = _hash(keys) % TOTAL_WEIGHT if keys else None
    version = _drawn(table, bucket)
    names = {pin_name(table, ref): ref for ref in (table.stable, table.candidate) if ref is not None}
    return Explanation(
        goal=Goal.SPLIT,
        rule=_name(routed, rule),
        words=_draw_in_words(table, bucket, version),
        revision=routed.revision,
        version=version,
        probabilities={name: _probability(table, ref, version) for name, ref in names.items()},
        sticky_header=table.sticky,
        sticky_keys=tuple(key.decode(errors="backslashreplace") for key in keys),
        bucket=bucket,
        mirrors={pin_name(table, one.version): one.share / TOTAL_WEIGHT for one in table.mirrors},
    )


def _hash(keys: Iterable[bytes]) -> int:
    """As Envoy hashes several header lines: in the order of their bytes, each seeded with the hash before."""
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


def _draw_in_words(table: Table, bucket: int | None, version: VersionRef | None) -> str:
    if table.candidate is None:
        return f"the split has one version: {table.stable}"
    shares = f"{table.stable} {_percent(TOTAL_WEIGHT - table.weight)}, {table.candidate} {_percent(table.weight)}"
    if bucket is not None:
        return f"the split ({shares}); {table.sticky} falls into bucket {bucket} of {TOTAL_WEIGHT}: {version}"
    missing = f"no {table.sticky} header" if table.sticky else "nothing is sticky"
    return (
        f"the split ({shares}); drawn anew for each request, because there is {missing}"
        if not version
        else (f"the split ({shares}): {version}")
    )


def _words(table: Table, rule: Rule) -> str:
    if rule.goal is Goal.MISSING or rule.ref is None:
        return f"404: {rule.detail}"
    if rule.goal is Goal.DIRECT:
        return f"stable itself ({rule.ref}): this path is not part of the split"
    how = "the header x-model-version" if rule.version_header else "the path"
    return f"pinned to {pin_name(table, rule.ref)} by {how}"


def _percent(weight: int) -> str:
    return f"{weight / 100:g} %"


def _name(routed: Routed, rule: Rule) -> str:
    return f"{routed.route}:{rule.name}"


def _values(headers: Headers, name: str) -> list[bytes]:
    return [value.encode() if isinstance(value, str) else value for header, value in headers if header.lower() == name]
