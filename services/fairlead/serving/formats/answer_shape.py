"""Finds answers that are not what their type says where pydantic's serializer writes them without a word.

An answer that was never validated (`model_construct`, or an assignment afterwards) can have anything in its fields. The
serializer finds most of it, but not these: a model or a TypedDict inside the answer that lacks a field is written
without it, an object of another class in the place of a model is written as `{}`, a Literal is written whatever it is,
and so is a value outside the limits of its field. None where the type has none is found by `AnswerWriter`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any

from pydantic import BaseModel, PydanticSchemaGenerationError, TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

from fairlead.serving.formats import look_alikes
from fairlead.serving.formats.generated_check import Check, Source

_SHOWN = 100
_ANYTHING = "True"
_ITEMS: Mapping[str, type[Any]] = {"list": list, "set": set, "frozenset": frozenset, "deque": deque}
_UNCHANGED = frozenset({("json-or-python", "list"), ("function-after", "enum")})
_VALIDATORS = ("function-after", "function-before", "function-wrap")
"""What can be around the fields of a model."""
_SCALARS: Mapping[str, str] = {
    "bool": "bool",
    "float": "(float, int)",
    "int": "int",
    "none": "type(None)",
    "str": "str",
}
_LIMITED: Mapping[str, tuple[type[Any], ...]] = {
    **{"int": (int,), "float": (int, float), "decimal": (Decimal,), "str": (str,), "bytes": (bytes,)},
    **{"date": (date,), "datetime": (datetime,), "time": (time,), "timedelta": (timedelta,)},
}
"""The classes of the values whose type can have limits."""
_COMPARED: Mapping[str, str] = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_LENGTHS: Mapping[str, str] = {"min_length": ">=", "max_length": "<="}
_EXACT = 2**53
"""All integers up to this one are floats."""
_OTHER_LIMITS = ("multiple_of", "pattern", "max_digits", "decimal_places")


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
            inside: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation() or Any)
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
    """Values of a Literal or members of an Enum. With `use_enum_values` an answer has a member's value in its place."""
    return look_alikes.exactly((*expected, *(one.value for one in expected if isinstance(one, Enum))))


def _without_validators(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema of the fields of a model or a dataclass, around which its validators are."""
    while schema["type"] in _VALIDATORS:
        schema = schema["schema"]
    return schema


def _is_written_otherwise(schema: Mapping[str, Any]) -> bool:
    """Whether a function says how the value is written. Not the two of pydantic that change nothing of what is in it:
    that of a Sequence, and that of an Enum with `use_enum_values`."""
    if "serialization" not in schema:
        return False
    inside = schema.get("json_schema") or schema.get("schema") or {}
    function = schema["serialization"].get("function")
    is_pydantics = str(getattr(function, "__module__", "")).partition(".")[0] == "pydantic"
    return not is_pydantics or (schema["type"], inside.get("type")) not in _UNCHANGED


class _Shape(Source):
    """Says no only where the answer is surely wrong: what pydantic checks, and what it cannot know, is left to it."""

    too_deep = True

    def __init__(self) -> None:
        super().__init__()
        self._writers: Mapping[str, Callable[[Mapping[str, Any], str], str]] = {
            **{"model": self._model, "typed-dict": self._typed_dict, "dataclass": self._dataclass},
            **{"named-tuple": self._named_tuple, "tuple": self._tuple, "nullable": self._nullable},
            **dict.fromkeys(("dict", "ordered-dict"), self._mapping),
            **dict.fromkeys(_ITEMS, self._items),
            **dict.fromkeys(("union", "tagged-union"), self._union),
            **dict.fromkeys(_LIMITED, self._limited),
            "literal": lambda schema, value: f"{value} in {self.named(_values(schema['expected']))}",
            "enum": lambda schema, value: f"{value} in {self.named(_values(schema['members']))}",
            "chain": lambda schema, value: self.condition(schema["steps"][-1], value),
            "lax-or-strict": lambda schema, value: self.condition(schema["strict_schema"], value),
            "json-or-python": self._json_or_python,
            "function-plain": lambda schema, value: _ANYTHING,
            "function-after": self._after,
        }

    def kind(self, schema: Mapping[str, Any], value: str) -> str:
        if _is_written_otherwise(schema):
            return _ANYTHING
        if (write := self._writers.get(schema["type"])) is not None:
            return write(schema, value)
        inside = schema.get("schema")
        return self.condition(inside, value) if isinstance(inside, dict) else _ANYTHING

    def _nullable(self, schema: Mapping[str, Any], value: str) -> str:
        variable = self.variable()
        condition = self.condition(schema["schema"], variable)
        return _ANYTHING if condition == _ANYTHING else f"(({variable} := {value}) is None or {condition})"

    def _limited(self, schema: Mapping[str, Any], value: str) -> str:
        """A value of another class is left to pydantic, and NaN to those who write it: it is outside of any limits."""
        one, kinds = self.variable(), _LIMITED[schema["type"]]
        limits = [f"{one} {sign} {self._bound(schema, key)}" for key, sign in _COMPARED.items() if key in schema]
        limits += self._lengths(schema, one)
        if any(key in schema for key in _OTHER_LIMITS):
            limits.append(f"{self.named(SchemaValidator(dict(schema)).isinstance_python)}({one})")
        if not limits:
            return _ANYTHING
        within = " and ".join(limits)
        # The first part is the second one for almost all values, in a third of the time.
        usual = f"type({one} := {value}) is {self.named(kinds[-1])} and {within}"
        return f"({usual} or not isinstance({one}, {self.named(kinds)}) or ({within}) or {one} != {one})"

    def _bound(self, schema: Mapping[str, Any], key: str) -> str:
        """A number is written into the expression: looking up its name takes as long as the comparison.

        The limit of a float is written as one, if it is the same number: comparing a float with an integer takes twice
        as long.
        """
        value = schema[key]
        if type(value) not in (int, float) or abs(value) == math.inf:
            return self.named(value)
        is_same = schema["type"] == "float" and abs(value) <= _EXACT
        return repr(float(value) if is_same else value)

    def _is_instance(self, variable: str, value: str, kind: str) -> str:
        """Whether a value is of a class, by its name. For the class itself, `is` takes a third of the time."""
        return f"(type({variable} := {value}) is {kind} or isinstance({variable}, {kind}))"

    def _after(self, schema: Mapping[str, Any], value: str) -> str:
        """Limits that pydantic checks with a function of its own, such as the length of a Sequence."""
        inside = self.condition(schema["schema"], value)
        if "pydantic_js_updates" not in schema.get("metadata", {}):
            return inside
        limit: Any = {key: part for key, part in schema.items() if key != "serialization"}
        fits = SchemaValidator({**limit, "schema": {"type": "any"}}).isinstance_python
        return self._all([f"{self.named(fits)}({value})", inside])

    def _lengths(self, schema: Mapping[str, Any], value: str) -> list[str]:
        return [f"len({value}) {sign} {schema[key]}" for key, sign in _LENGTHS.items() if schema.get(key) is not None]

    def _items(self, schema: Mapping[str, Any], value: str) -> str:
        items, kind = schema.get("items_schema"), self.named(_ITEMS[schema["type"]])
        each = self._each(items, value, kind) if isinstance(items, dict) else _ANYTHING
        return self._long_enough(schema, value, kind, each)

    def _mapping(self, schema: Mapping[str, Any], value: str) -> str:
        parts = [(schema.get("keys_schema"), ""), (schema.get("values_schema"), ".values()")]
        each = self._all(self._each(part, value, "dict", method) for part, method in parts if part is not None)
        return self._long_enough(schema, value, "dict", each)

    def _long_enough(self, schema: Mapping[str, Any], value: str, kind: str, each: str) -> str:
        one = self.variable()
        limits = " and ".join(self._lengths(schema, one))
        return self._all([f"(not isinstance({one} := {value}, {kind}) or {limits})" if limits else _ANYTHING, each])

    def _json_or_python(self, schema: Mapping[str, Any], value: str) -> str:
        inside = schema["json_schema"]
        if inside["type"] == "list" and "items_schema" in inside:  # of a Sequence, which need not be a list
            # A text is a sequence too, and is written as a text.
            one, item = self.variable(), self.variable()
            is_sequence = (
                f"isinstance({one} := {value}, {self.named(Sequence)}) and not isinstance({one}, (str, bytes))"
            )
            condition = self._option(inside["items_schema"], item)  # pydantic does not look at the items
            return self._all(
                [is_sequence, f"all({condition} for {item} in {one})" if condition != _ANYTHING else condition]
            )
        return self.condition(inside, value)

    def _dataclass(self, schema: Mapping[str, Any], value: str) -> str:
        inside, one = _without_validators(schema["schema"]), self.variable()
        is_one = self._is_instance(one, value, self.named(schema["cls"]))
        kept = [field for field in inside.get("fields", ()) if not field.get("init_only")]
        return self._all([is_one, *(self._field(field, f"{one}.{field['name']}") for field in kept)])

    def _named_tuple(self, schema: Mapping[str, Any], value: str) -> str:
        one, fields = self.variable(), schema.get("fields", ())
        parts = [self.condition(field["schema"], f"{one}[{at}]") for at, field in enumerate(fields)]
        return self._all([f"isinstance({one} := {value}, tuple)", *parts])

    def _model(self, schema: Mapping[str, Any], value: str) -> str:
        model, inside = self.variable(), schema["schema"]
        is_model = self._is_instance(model, value, self.named(schema["cls"]))
        if schema.get("root_model"):
            return f"{is_model} and {self.condition(inside, f'{model}.root')}"
        inside = _without_validators(inside)
        values = self.variable()
        # A value that is looked at is there, or there is a KeyError.
        each = [(name, self._field(one, f"{values}[{name!r}]")) for name, one in inside["fields"].items()]
        fields = [f"{name!r} in {values}" if condition == _ANYTHING else condition for name, condition in each]
        return " and ".join([is_model, f"({values} := {model}.__dict__) is not None", *fields])

    def _field(self, field: Mapping[str, Any], value: str) -> str:
        return _ANYTHING if field.get("serialization_exclude") else self.condition(field["schema"], value)

    def _typed_dict(self, schema: Mapping[str, Any], value: str) -> str:
        variable, is_total, fields = self.variable(), schema.get("total", True), schema["fields"]
        needed = self.named(frozenset(name for name, one in fields.items() if one.get("required", is_total)))
        known = [
            f"({name!r} not in {variable} or {condition})"
            for name, one in fields.items()
            if (condition := self._field(one, f"{variable}[{name!r}]")) != _ANYTHING
        ]
        is_dict = f"isinstance({variable} := {value}, dict) and {variable}.keys() >= {needed}"
        return " and ".join([is_dict, *known])

    def _tuple(self, schema: Mapping[str, Any], value: str) -> str:
        items, variadic, variable = schema["items_schema"], schema.get("variadic_item_index"), self.variable()
        if variadic is not None:
            each = self._each(items[variadic], value, "tuple") if len(items) == 1 else _ANYTHING
            return self._long_enough(schema, value, "tuple", each)
        parts = [self.condition(one, f"{variable}[{at}]") for at, one in enumerate(items)]
        if not any(part != _ANYTHING for part in parts):
            return _ANYTHING
        return " and ".join([f"isinstance({variable} := {value}, tuple) and len({variable}) == {len(items)}", *parts])

    def _union(self, schema: Mapping[str, Any], value: str) -> str:
        variable, choices = self.variable(), schema["choices"]
        options = choices.values() if isinstance(choices, Mapping) else choices
        each = [self._option(one[0] if isinstance(one, tuple) else one, variable) for one in options]
        if _ANYTHING in each:
            return _ANYTHING
        return f"({variable} := {value}, {' or '.join(each)})[1]"

    def _option(self, schema: Mapping[str, Any], value: str) -> str:
        """The condition where pydantic does not check the type: in a union it knows only that no other one fits."""
        if schema["type"] in _SCALARS and "serialization" not in schema:
            is_one = f"isinstance({value}, {_SCALARS[schema['type']]})"
            no_bool = f"not isinstance({value}, bool)" if schema["type"] in ("int", "float") else _ANYTHING
            return self._all([is_one, no_bool, self.condition(schema, value)])
        return self.condition(schema, value)

    def _each(self, schema: Mapping[str, Any], value: str, kind: str, values: str = "") -> str:
        variable, item = self.variable(), self.variable()
        condition = self.condition(schema, item)
        if condition == _ANYTHING:
            return _ANYTHING
        is_kind = self._is_instance(variable, value, kind)
        return f"({is_kind} and all({condition} for {item} in {variable}{values}))"

    def _all(self, conditions: Iterable[str]) -> str:
        return " and ".join(one for one in conditions if one != _ANYTHING) or _ANYTHING
