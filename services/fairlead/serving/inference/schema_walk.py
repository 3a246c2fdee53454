"""Facts about a row type that bound what an invalid body can cost, read from its pydantic-core schema.

pydantic builds an error for each wrong value, and for a union the errors of all its alternatives. A value inside a
union of 20 models is validated 20 times, and a model that contains itself through a union doubles that at each level.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from fairlead.serving.formats import look_alikes

_CHILDREN = frozenset(
    {"schema", "items_schema", "keys_schema", "values_schema", "extras_schema", "steps", "choices", "fields"}
    | {"definitions", "lax_schema", "strict_schema", "json_schema", "python_schema"}
)
"""The members of a core schema that hold other schemas: one, a list, or a mapping of them."""
_MAPPINGS = frozenset({"choices", "fields"})
"""Those that may be a mapping, whose names can be any."""
_CONTAINERS = frozenset({"model-fields", "dataclass-args", "typed-dict", "dict", "list", "tuple", "set", "frozenset"})
_CLOSED = frozenset(
    {"model", "model-fields", "model-field", "definitions", "definition-ref", "default", "nullable", "union", "bool"}
    | {"tagged-union", "list", "tuple", "set", "frozenset", "str", "int", "float", "literal", "enum", "date", "none"}
    | {"datetime", "time", "timedelta", "decimal", "uuid", "url", "bytes", "function-after", "function-before"}
)
"""Schemas of values whose objects have only the keys of their models."""
_FAIL_FAST = frozenset({"list", "tuple", "set", "frozenset"})


class Cost(NamedTuple):
    """What one JSON value can cost.

    `errors` is the most errors that one value can produce without those of the values in it. `alternatives` is the
    number of times that the most often validated value is validated. `growth` is the factor by which that number grows
    with each level of nesting; 1 unless a type contains itself through a union. `fields` counts the fields of all
    models. `widest` is the most keys that one object can have; None if that is not known, as for a `dict`.
    """

    errors: int
    alternatives: int
    growth: float
    fields: int
    widest: int | None


def cost(schema: Mapping[str, Any]) -> Cost:
    """The cost of a value of this core schema."""
    walk = _Walk()
    walk.visit(schema, 1, 0)
    return Cost(walk.errors, walk.alternatives, walk.growth, walk.fields, None if walk.is_open else walk.widest)


class _Walk:
    def __init__(self) -> None:
        self.errors = self.alternatives = 1
        self.growth = 1.0
        self.fields = self.widest = 0
        self.is_open = False
        self._definitions: dict[str, Mapping[str, Any]] = {}
        self._above: dict[str, tuple[int, int]] = {}  # definitions around this place: their alternatives and depth
        self._seen: set[tuple[str, int]] = set()

    def visit(self, schema: Mapping[str, Any], times: int, depth: int) -> None:
        kind = schema.get("type")
        if kind == "definitions":
            self._definitions.update((part["ref"], part) for part in schema["definitions"])
        if kind == "definition-ref":
            self._visit_definition(schema["schema_ref"], times, depth)
            return
        if kind == "union":
            times *= len(schema["choices"])
        self.alternatives = max(self.alternatives, times)
        fields = len(schema["fields"]) if kind == "model-fields" else 0
        self.fields += fields
        self.widest = max(self.widest, fields)
        self.is_open |= kind not in _CLOSED or schema.get("extra_behavior") == "allow"
        self.errors = max(self.errors, times * max(1, fields))
        depth += kind in _CONTAINERS
        for key in _CHILDREN - {"definitions"}:  # these are visited where something refers to them
            _each(lambda child: self.visit(child, times, depth), key, schema.get(key))

    def _visit_definition(self, ref: str, times: int, depth: int) -> None:
        if ref in self._above:
            first_times, first_depth = self._above[ref]
            self.growth = max(self.growth, (times / first_times) ** (1 / max(1, depth - first_depth)))
        elif (ref, times) not in self._seen:
            self._seen.add((ref, times))
            self._above[ref] = times, depth
            self.visit(self._definitions[ref], times, depth)
            del self._above[ref]


def parts(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The core schema and all schemas in it; a definition once, where it is defined."""
    yield schema
    inner: list[Mapping[str, Any]] = []
    for key in _CHILDREN:
        _each(inner.append, key, schema.get(key))
    for part in inner:
        yield from parts(part)


def failing_fast(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same core schema, whose lists end at their first wrong element."""
    changed = {key: _each(failing_fast, key, value) if key in _CHILDREN else value for key, value in schema.items()}
    return {**changed, "fail_fast": True} if schema.get("type") in _FAIL_FAST else changed


def with_exact_tags(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same core schema, whose unions take a tag that is a number only as JSON has it: true is no 1."""
    changed = {key: _each(with_exact_tags, key, value) if key in _CHILDREN else value for key, value in schema.items()}
    if schema.get("type") == "tagged-union" and isinstance(schema["discriminator"], str):
        exact = look_alikes.discriminator(schema["discriminator"], list(schema["choices"]))
        changed["discriminator"] = exact or schema["discriminator"]
    return changed


def ignoring_unknown_keys(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same core schema, whose models take no notice of keys that they do not have."""
    changed = {
        key: _each(ignoring_unknown_keys, key, value) if key in _CHILDREN else value for key, value in schema.items()
    }
    if "extra_behavior" in changed:
        changed["extra_behavior"] = "ignore"
    if "config" in changed:
        changed["config"] = {**changed["config"], "extra_fields_behavior": "ignore"}
    return changed


def _each(change: Callable[[Mapping[str, Any]], Any], key: str, found: Any) -> Any:
    """What a member of a core schema becomes if `change` is applied to each schema in it."""
    if key in _MAPPINGS and isinstance(found, dict):
        return {name: _each(change, "", part) for name, part in found.items()}
    if isinstance(found, dict):
        return change(found)
    if isinstance(found, list):
        return [_each(change, "", part) for part in found]
    # A choice of a union may have a label. What is left is no schema, such as the name of a choice.
    return (_each(change, "", found[0]), *found[1:]) if isinstance(found, tuple) else found
