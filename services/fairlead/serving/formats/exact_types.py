"""Finds answers whose values have exactly the types that their fields declare. They can be written without a check.

pydantic's serializer checks types when it is asked for an error (`warnings="error"`), but the request for it alone
takes 1 µs per call, which is more than writing a small answer. So a function is made for each answer type that compares
the types of its values: one expression, in a fifth of that time. Where it says no, and for types that it does not know,
pydantic decides. It follows pydantic's core schema, which is also what the serializer is made from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fairlead.serving.formats.generated_check import Check, Source

_SCALARS: Mapping[str, type[Any]] = {"bool": bool, "float": float, "int": int, "none": type(None), "str": str}
_WRITTEN_AS_INSIDE = ("default", "function-after", "function-before")
"""Kinds of schema that are written as the schema inside them."""


class Unknown(Exception):
    """A schema for which equal types do not say that an answer is written as declared."""


def checker(schema: Mapping[str, Any]) -> Check | None:
    """The function that says whether an answer has exactly the types of this core schema; None if there is none.

    It never raises for an answer that was made without validation: one without a field has not the right types.
    """
    try:
        return _Exact().function(schema)
    except Unknown:
        return None


class _Exact(Source):
    def kind(self, schema: Mapping[str, Any], value: str) -> str:
        if "serialization" in schema:
            raise Unknown
        kind = schema["type"]
        if kind in _SCALARS:
            return f"type({value}) is {self.named(_SCALARS[kind])}"
        if kind in _WRITTEN_AS_INSIDE:
            return self.condition(schema["schema"], value)
        match schema:
            case {"type": "literal", "expected": expected}:
                return self._literal(expected, value)
            case {"type": "model"}:
                return self._model(schema, value)
        variable = self.variable()
        match schema:
            case {"type": "nullable", "schema": inside}:
                return f"(({variable} := {value}) is None or {self.condition(inside, variable)})"
            case {"type": "list", "items_schema": items}:
                return f"type({variable} := {value}) is list and {self._each(items, variable)}"
            case {"type": "dict", "keys_schema": keys, "values_schema": values}:
                are_right = f"{self._each(keys, variable)} and {self._each(values, f'{variable}.values()')}"
                return f"type({variable} := {value}) is dict and {are_right}"
        raise Unknown

    def _literal(self, expected: Sequence[Any], value: str) -> str:
        kinds = {type(one) for one in expected}
        if len(kinds) != 1 or not kinds <= set(_SCALARS.values()):
            raise Unknown
        variable = self.variable()
        is_kind = f"type({variable} := {value}) is {self.named(kinds.pop())}"
        return f"{is_kind} and {variable} in {self.named(frozenset(expected))}"

    def _model(self, schema: Mapping[str, Any], value: str) -> str:
        inside = schema["schema"]
        may_have_more = schema.get("config", {}).get("extra_fields_behavior") == "allow" or "extras_schema" in inside
        if inside["type"] != "model-fields" or not inside["fields"] or inside.get("computed_fields") or may_have_more:
            raise Unknown
        model, values = self.variable(), self.variable()
        fields = [self.condition(field["schema"], f"{values}[{name!r}]") for name, field in inside["fields"].items()]
        is_model = f"type({model} := {value}) is {self.named(schema['cls'])}"
        return " and ".join([is_model, f"({values} := {model}.__dict__)", *fields])

    def _each(self, schema: Mapping[str, Any], values: str) -> str:
        """The expression that is true if each value of an iterable has the types of the schema."""
        if schema["type"] in _SCALARS and "serialization" not in schema:
            return f"{{*map(type, {values})}} <= {self.named(frozenset([_SCALARS[schema['type']]]))}"
        variable = self.variable()
        return f"all({self.condition(schema, variable)} for {variable} in {values})"
