"""What changed between two JSON schemas, and whether it breaks clients: pure, for the types of rows and of answers.

A client sends rows and reads answers. So a row type may accept more than before, and an answer type may promise more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Schema = Mapping[str, Any]
Side = Literal["row", "answer"]
Effect = Literal["narrower", "wider", "other"]
"""The new type takes fewer values than the old one, or more, or the two cannot be compared."""

_SAID = ("title", "description", "default", "examples", "example", "deprecated", "$defs", "discriminator")
_Bound = tuple[float, int]
"""A limit so that a larger one takes fewer values: the number, and 1 if it is itself not taken. Upper ones negated."""
_LIMITS = (
    ((("minimum", "at least", 0), ("exclusiveMinimum", "above", 1)), 1),
    ((("maximum", "at most", 0), ("exclusiveMaximum", "below", 1)), -1),
    ((("minLength", "length at least", 0),), 1),
    ((("maxLength", "length at most", 0),), -1),
    ((("minItems", "at least", 0),), 1),
    ((("maxItems", "at most", 0),), -1),
)
_COMPARED = {"type", "enum", "const", "properties", "required", "items", "additionalProperties"} | {
    key for names, _ in _LIMITS for key, *_ in names
}

TYPES = "; for its clients, "
"""What the reason of the check `smoke` has before the summary of the changed types."""
BREAKING = "breaking"
"""The number of breaking changes among the numbers of that check; absent where there are none."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `where` is the path to the field, such as `row.age`; `is_breaking`: some clients must change."""

    where: str
    what: str
    is_breaking: bool

    def __str__(self) -> str:
        return f"{'breaking' if self.is_breaking else 'safe'}: {self.where}: {self.what}"


def changes(old: Schema, new: Schema, side: Side) -> tuple[Change, ...]:
    """Every difference between two schemas of objects, in the order of the new one; removed fields last."""
    bad = "narrower" if side == "row" else "wider"
    found = _Comparison(old, new).objects(old, new, side, is_row=side == "row")
    return tuple(Change(where, what, effect in (bad, "other")) for where, what, effect in found)


def type_changes(old: Mapping[str, Schema], new: Mapping[str, Schema]) -> tuple[Change, ...]:
    """What a version changes for the clients of another. Both have the schemas of `row` and `answer`."""
    return (*changes(old["row"], new["row"], "row"), *changes(old["answer"], new["answer"], "answer"))


def changed(version: str, stable: str) -> str:
    """As "1.1.0 changes the types of 1.0.0", before a list on the same line, which says what of it is breaking."""
    return f"{version} changes the types of {stable}"


def summary(version: str, stable: str, breaking: int) -> str:
    """As "1.1.0 changes the types of 1.0.0, 1 breaking"."""
    return f"{changed(version, stable)}, {f'{breaking} breaking' if breaking else 'all safe'}"


_Difference = tuple[str, str, Effect]


@dataclass(frozen=True, slots=True)
class _Comparison:
    old: Schema
    new: Schema

    def objects(
        self, old: Schema, new: Schema, where: str, *, is_row: bool, above: tuple[str, ...] = ()
    ) -> Iterator[_Difference]:
        before, after = old.get("properties", {}), new.get("properties", {})
        removed = {name: one for name, one in before.items() if name not in after}
        for name, one in after.items():
            here = f"{where}.{name}"
            must, had = name in new.get("required", ()), name in old.get("required", ())
            if name in before:
                yield from self.types(before[name], one, here, is_row=is_row, above=above)
                if must != had:
                    yield here, "required now" if must else "optional now", "narrower" if must else "wider"
            elif (source := self._renamed(one, removed)) is not None:
                del removed[source]
                yield here, f"renamed, was {source}", "other"
            else:
                # A row without a new optional field is what it was; an answer with one more field has all the others.
                breaks = is_row and must
                yield here, f"added, {'required' if must else 'optional'}", _effect(breaks, is_row)
        for name in removed:
            yield f"{where}.{name}", "removed", "other"
        yield from self.unnamed(old, new, where, is_row=is_row, above=above)

    def _renamed(self, added: Schema, removed: Mapping[str, Schema]) -> str | None:
        """The one removed field that is the same but for its name."""
        same = [name for name, one in removed.items() if _canonical(self.old, one) == _canonical(self.new, added)]
        return same[0] if len(same) == 1 else None

    def unnamed(
        self, old: Schema, new: Schema, where: str, *, is_row: bool, above: tuple[str, ...]
    ) -> Iterator[_Difference]:
        """What becomes of fields that the type does not name."""
        before, after = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from self.types(before, after, f"{where}{{}}", is_row=is_row, above=above)
        elif after is False and before is not False:
            yield where, "fields without a name in it are refused now", "narrower"
        elif before is False and after is not False:
            # Who reads answers does not mind further fields, named or not.
            yield where, "any further field may be in it now", _effect(False, is_row)
        elif before != after:
            yield f"{where}{{}}", "any type now" if after is True else "any type before", _wider(after is True)

    def types(
        self, old: Schema, new: Schema, where: str, *, is_row: bool, above: tuple[str, ...] = ()
    ) -> Iterator[_Difference]:
        ref = json.dumps([old.get("$ref"), new.get("$ref")])
        if "$ref" in old and "$ref" in new and ref in above:
            return  # a type that contains itself
        below = (*above, ref)
        (one, kinds), (other, now) = _plain(self.old, old), _plain(self.new, new)
        if kinds != now and (effect := _kinds_effect(kinds, now)) is not None:
            yield where, f"type {_or(kinds)} -> {_or(now)}", effect
            return
        yield from _values(one, other, where)
        yield from _bounds(one, other, where)
        if "object" in (*kinds, *now):
            yield from self.objects(one, other, where, is_row=is_row, above=below)
        if isinstance(one.get("items"), Mapping) and isinstance(other.get("items"), Mapping):
            yield from self.types(one["items"], other["items"], f"{where}[]", is_row=is_row, above=below)
        elif one.get("items", True) != other.get("items", True):
            yield where, "items changed", "other"
        for key in sorted({*one, *other} - _COMPARED - {*_SAID}):
            if _canonical(self.old, one.get(key)) != _canonical(self.new, other.get(key)):
                yield where, f"{key} {_shown(one.get(key))} -> {_shown(other.get(key))}", "other"


def _effect(breaks: bool, is_row: bool) -> Effect:
    return ("narrower" if is_row else "wider") if breaks else ("wider" if is_row else "narrower")


def _values(old: Schema, new: Schema, where: str) -> Iterator[_Difference]:
    before, after = _allowed(old), _allowed(new)
    if before is None or after is None:
        if before is not None:
            yield where, f"any value, was one of {_or(before)}", "wider"
        elif after is not None:
            yield where, f"only {_or(after)}", "narrower"
        return
    for name in [one for one in after if one not in before]:
        yield where, f"value {name} added", "wider"
    for name in [one for one in before if one not in after]:
        yield where, f"value {name} removed", "narrower"


def _bounds(old: Schema, new: Schema, where: str) -> Iterator[_Difference]:
    for names, sign in _LIMITS:
        (before, was), (after, now) = (_bound(one, names, sign) for one in (old, new))
        if before != after:
            effect = _wider(after is None or (before is not None and after < before))
            same = now.rpartition(" ")[0] == was.rpartition(" ")[0]
            yield where, f"{now}, was {was.rpartition(' ')[2] if same else was}", effect


def _bound(schema: Schema, names: Sequence[tuple[str, str, int]], sign: int) -> tuple[_Bound | None, str]:
    """The limit and its words; of "above 0" and "at least 1" the one that takes fewer values."""
    found = [
        ((sign * schema[key], is_excluded), f"{word} {_shown(schema[key])}")
        for key, word, is_excluded in names
        if isinstance(schema.get(key), int | float)
    ]
    return max(found, default=(None, "not limited"))


def _wider(is_wider: bool) -> Effect:
    return "wider" if is_wider else "narrower"


def _plain(root: Schema, schema: Schema) -> tuple[Schema, tuple[str, ...]]:
    """The schema without references and without `null` beside one other type, and the names of its types."""
    found, is_nullable, seen = schema, False, 0
    while True:
        seen += 1
        if "$ref" in found and seen < 100:  # noqa: PLR2004 - a reference to itself would never end
            found = _resolved(root, str(found["$ref"]))
            continue
        members = found.get("anyOf") or found.get("oneOf")
        if not members:
            break
        others = [one for one in members if one.get("type") != "null"]
        is_nullable = is_nullable or len(others) < len(members)
        if len(others) != 1:
            kinds = {name for one in others for name in _plain(root, one)[1]}
            return {"members": sorted(_canonical(root, one) for one in others)}, _sorted(kinds, is_nullable)
        found = others[0]
    if "type" not in found:
        kinds = {_type_of(value) for value in _raw(found) or ()} or {"any"}
    else:
        kinds = {found["type"]} if isinstance(found["type"], str) else {*found["type"]}
    return found, _sorted(kinds, is_nullable)


def _sorted(kinds: set[str], is_nullable: bool) -> tuple[str, ...]:
    return tuple(sorted(kinds | ({"null"} if is_nullable else set())))


def _kinds_effect(old: tuple[str, ...], new: tuple[str, ...]) -> Effect | None:
    before, after = _with_integers({*old}), _with_integers({*new})
    if "any" in before or "any" in after:
        return "wider" if "any" in after else "narrower"
    return "wider" if before <= after else "narrower" if after <= before else "other"


def _with_integers(kinds: set[str]) -> set[str]:
    return kinds | {"integer"} if "number" in kinds else kinds


def _resolved(root: Schema, ref: str) -> Schema:
    found: Any = root
    for part in ref.removeprefix("#/").split("/"):
        found = found.get(part, {}) if isinstance(found, Mapping) else {}
    return found if isinstance(found, Mapping) else {}


def _canonical(root: Schema, value: Any, depth: int = 0) -> str:
    """The same text for types that accept the same and are only described differently."""

    def plain(one: Any, level: int) -> Any:
        if isinstance(one, Mapping):
            if "$ref" in one and level < 10:  # noqa: PLR2004 - deep enough to tell two types apart
                return plain(_resolved(root, str(one["$ref"])), level + 1)
            return {key: plain(item, level) for key, item in one.items() if key not in _SAID}
        return [plain(item, level) for item in one] if isinstance(one, list) else one

    return json.dumps(plain(value, depth), sort_keys=True, default=str)


def _raw(schema: Schema) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _allowed(schema: Schema) -> list[str] | None:
    values = _raw(schema)
    return None if values is None else [json.dumps(one, ensure_ascii=False, default=str) for one in values]


def _type_of(value: object) -> str:
    names = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return names.get(type(value), "any")


def _or(names: tuple[str, ...] | list[str]) -> str:
    return " or ".join(names)


def _shown(value: object) -> str:
    return "nothing" if value is None else json.dumps(value, ensure_ascii=False, default=str)[:80]
