"""Finds answers that are not what their type says where pydantic's serializer writes them without a word.

An answer that was never validated (`model_construct`, or an assignment afterwards) can have anything in its fields. The
serializer finds most of it, but not these: a model or a TypedDict inside the answer that lacks a field is written
without it, an object of another class in the place of a model is written as `{}`, and a Literal is written whatever it
is. None where the type has none is found by `AnswerWriter`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from pydantic import BaseModel, PydanticSchemaGenerationError, TypeAdapter, ValidationError

from fairlead.serving.formats import look_alikes
from fairlead.serving.formats.generated_check import Check, Source

_SHOWN = 100
_ANYTHING = "True"
_INSIDE: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
    "chain": lambda schema: schema["steps"][-1],
    "json-or-python": lambda schema: schema["json_schema"],
    "lax-or-strict": lambda schema: schema["strict_schema"],
}
"""Where the schema is by which such a schema is written, if it is not under `schema`."""
_VALIDATORS = ("function-after", "function-before", "function-wrap")
"""What can be around the fields of a model."""
_SCALARS: Mapping[str, str] = {
    "bool": "bool",
    "float": "(float, int)",
    "int": "int",
    "none": "type(None)",
    "str": "str",
}


def checker(schema: Mapping[str, Any]) -> Check:
    """The function that says whether an answer has the shape of this core schema. It never raises."""
    return _Shape().function(schema)


def fault(answer: BaseModel) -> str:
    """What is wrong with an answer whose shape is not that of its type, for a sentence."""
    kind, values = type(answer), answer.__dict__
    for name, field in kind.model_fields.items():
        if name not in values:
            return f"a {kind.__name__} without field {name!r}"
        try:
            inside: TypeAdapter[Any] = TypeAdapter(field.annotation or Any)
        except PydanticSchemaGenerationError:  # the field's own serializer makes its type known
            continue
        if not checker(inside.core_schema)(values[name]):
            return _why(name, inside, values[name])
    return f"a {kind.__name__} that is not what its type says"


def _why(name: str, kind: TypeAdapter[Any], value: Any) -> str:
    """The field, the place in it and what is wrong there, in the words that pydantic has for it."""
    try:
        # Instances are not validated again, so the values are taken out of them first.
        kind.validate_python(kind.dump_python(value, warnings="none"), strict=True)
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in (name, *first["loc"]))
        return f"a value in field {place!r}, whose type has no such value: {first['msg']}"
    except Exception:  # also what the author's serializers raise
        pass
    return f"{repr(value)[:_SHOWN]} in field {name!r}, whose type has no such value"


def _values(expected: Sequence[Any]) -> tuple[Any, ...]:
    """The values of a Literal. With `use_enum_values` an answer has the value of a member in its place."""
    return (*expected, *(one.value for one in expected if isinstance(one, Enum)))


class _Shape(Source):
    """Says no only where the answer is surely wrong: what pydantic checks, and what it cannot know, is left to it."""

    too_deep = True

    def kind(self, schema: Mapping[str, Any], value: str) -> str:
        if "serialization" in schema or schema["type"] == "function-plain":  # the author's function makes it
            return _ANYTHING
        match schema:
            case {"type": "model", "schema": inside}:
                return self._model(schema, inside, value)
            case {"type": "typed-dict", "fields": fields}:
                return self._typed_dict(schema, fields, value)
            case {"type": "literal", "expected": expected}:
                return f"{value} in {self.named(look_alikes.exactly(_values(expected)))}"
            case {"type": "nullable", "schema": inside}:
                return self._nullable(inside, value)
            case {"type": "union" | "tagged-union", "choices": choices}:
                return self._union(choices, value)
            case {"schema": inside}:
                return self.condition(inside, value)
        inside = _INSIDE.get(schema["type"])
        return self.condition(inside(schema), value) if inside else self._collection(schema, value)

    def _collection(self, schema: Mapping[str, Any], value: str) -> str:
        match schema:
            case {"type": "dict", "keys_schema": keys, "values_schema": values}:
                found = (self._each(keys, value, "dict"), self._each(values, value, "dict", ".values()"))
                return " and ".join(one for one in found if one != _ANYTHING) or _ANYTHING
            case {"type": "list" | "set" | "frozenset" as name, "items_schema": items}:
                return self._each(items, value, name)
            case {"type": "tuple", "items_schema": items}:
                return self._tuple(items, schema.get("variadic_item_index"), value)
        return _ANYTHING

    def _nullable(self, inside: Mapping[str, Any], value: str) -> str:
        variable = self.variable()
        condition = self.condition(inside, variable)
        return _ANYTHING if condition == _ANYTHING else f"(({variable} := {value}) is None or {condition})"

    def _model(self, schema: Mapping[str, Any], inside: Mapping[str, Any], value: str) -> str:
        model = self.variable()
        is_model = f"isinstance({model} := {value}, {self.named(schema['cls'])})"
        if schema.get("root_model"):
            return f"{is_model} and {self.condition(inside, f'{model}.root')}"
        while inside["type"] in _VALIDATORS:
            inside = inside["schema"]
        values = self.variable()
        # A value that is looked at is there, or there is a KeyError.
        each = [(name, self._field(one, f"{values}[{name!r}]")) for name, one in inside["fields"].items()]
        fields = [f"{name!r} in {values}" if condition == _ANYTHING else condition for name, condition in each]
        return " and ".join([is_model, f"({values} := {model}.__dict__) is not None", *fields])

    def _field(self, field: Mapping[str, Any], value: str) -> str:
        return _ANYTHING if field.get("serialization_exclude") else self.condition(field["schema"], value)

    def _typed_dict(self, schema: Mapping[str, Any], fields: Mapping[str, Any], value: str) -> str:
        variable, is_total = self.variable(), schema.get("total", True)
        needed = self.named(frozenset(name for name, one in fields.items() if one.get("required", is_total)))
        known = [
            f"({name!r} not in {variable} or {condition})"
            for name, one in fields.items()
            if (condition := self._field(one, f"{variable}[{name!r}]")) != _ANYTHING
        ]
        is_dict = f"isinstance({variable} := {value}, dict) and {variable}.keys() >= {needed}"
        return " and ".join([is_dict, *known])

    def _tuple(self, items: Sequence[Any], variadic: int | None, value: str) -> str:
        variable = self.variable()
        if variadic is not None:
            return self._each(items[variadic], value, "tuple") if len(items) == 1 else _ANYTHING
        parts = [self.condition(one, f"{variable}[{at}]") for at, one in enumerate(items)]
        if not any(part != _ANYTHING for part in parts):
            return _ANYTHING
        return " and ".join([f"isinstance({variable} := {value}, tuple) and len({variable}) == {len(items)}", *parts])

    def _union(self, choices: Any, value: str) -> str:
        variable = self.variable()
        options = choices.values() if isinstance(choices, Mapping) else choices
        each = [self._option(one[0] if isinstance(one, tuple) else one, variable) for one in options]
        if _ANYTHING in each:
            return _ANYTHING
        return f"({variable} := {value}, {' or '.join(each)})[1]"

    def _option(self, schema: Mapping[str, Any], value: str) -> str:
        """In a union, a value without its type is not left to pydantic, which knows only that no other one fits."""
        if schema["type"] in _SCALARS and "serialization" not in schema:
            return f"isinstance({value}, {_SCALARS[schema['type']]})"
        return self.condition(schema, value)

    def _each(self, schema: Mapping[str, Any], value: str, kind: str, values: str = "") -> str:
        variable, item = self.variable(), self.variable()
        condition = self.condition(schema, item)
        if condition == _ANYTHING:
            return _ANYTHING
        return f"(isinstance({variable} := {value}, {kind}) and all({condition} for {item} in {variable}{values}))"
