"""Writes a model's answers as JSON: what an answer type may be, and what of an answer every protocol and page shows.

An answer has the names and the values that its type gives them for serialization: `serialization_alias`, `alias`,
`@field_serializer`, `@model_serializer` and `@computed_field` mean the same in every protocol, in golden rows and in
the schema. Types and NaN are checked here, because a model can return answers that were never validated
(`model_construct`, or an assignment afterwards). Nothing is validated twice: pydantic's serializer looks at the types
anyway.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, from_json

from fairlead import errors
from fairlead.serving.formats import answer_shape, exact_types

_FAITHFUL: dict[str, Any] = {"by_alias": True, "warnings": "error"}
_WRONG_TYPE = "Pydantic serializer warnings"
_FUNCTIONS = ("function-plain", "function-wrap")
_SHOWN = 200


class AnswerWriter:
    """Writes the answers of one type. Immutable. Raises Invalid for a type that cannot be written as its schema says.

    Its methods raise ModelFailed for an answer that is not of the type, and for NaN and infinity: JSON has neither, and
    the schema does not allow null instead.
    """

    def __init__(self, answer_type: type[BaseModel]) -> None:
        # Not SerializeAsAny: an answer is written as its declared type, without the fields that a subclass adds.
        one: TypeAdapter[BaseModel] = TypeAdapter(answer_type)
        many: TypeAdapter[list[BaseModel]] = TypeAdapter(list[answer_type])  # type: ignore[valid-type]
        nodes = list(_nodes(one.core_schema))
        _check(answer_type, nodes)
        self._fields = (*answer_type.model_fields, *answer_type.model_computed_fields)
        self._annotations = {name: field.annotation for name, field in answer_type.model_fields.items()}
        self._has_shape = answer_shape.checker(one.core_schema)
        self._is_exact = exact_types.checker(one.core_schema) or _never
        self._write: Callable[..., bytes] = one.serializer.to_json
        self._one: Callable[..., bytes] = partial(one.serializer.to_json, **_FAITHFUL)
        self._many: Callable[..., bytes] = partial(many.serializer.to_json, **_FAITHFUL)
        self._as_python: Callable[..., list[Any]] = partial(many.serializer.to_python, by_alias=True, warnings="none")
        self._schema = one.json_schema(mode="serialization")
        # Without serializers of the author, a field with None is written as one null.
        is_plain = not any(node.get("type") in _FUNCTIONS for node in nodes)
        self._nullable = [
            name
            for name, field in answer_type.model_fields.items()
            if is_plain and not _is_left_out(field) and type(None) in typing.get_args(field.annotation)
        ]

        # Whether NaN is written by name; exact types have no other way than this setting.
        self._names_nan = any((node.get("config") or {}).get("ser_json_inf_nan", "null") != "null" for node in nodes)

        self.reads_back = is_plain and not any(map(_renames, nodes))
        """Whether what is written can be validated as the type: not with another name, or a serializer's value."""

    def one(self, answers: Sequence[BaseModel]) -> bytes:
        """The first and only answer as a JSON object."""
        answer = answers[0]
        try:
            if self._is_exact(answer):
                payload = self._write(answer, by_alias=True)
                if payload.find(b"null") < 0 and not self._names_nan:  # the common case of `_checked`
                    return payload
            else:
                payload = self._one(answer)
        except Exception as cause:  # also what the author's serializers raise
            raise self._failed(answers, cause) from cause
        return self._checked(payload, answers)

    def many(self, answers: Sequence[BaseModel]) -> bytes:
        """The answers as a JSON list."""
        if len(answers) == 1:
            return b"[%b]" % self.one(answers)
        try:
            payload = self._many(answers)
        except Exception as cause:
            raise self._failed(answers, cause) from cause
        return self._checked(payload, answers)

    def documents(self, answers: Sequence[BaseModel]) -> list[Any]:
        """The answers as JSON values, read from what clients get."""
        self.check_shape(answers)
        found: list[Any] = from_json(self.many(answers))
        return found

    def check_shape(self, answers: Sequence[BaseModel]) -> None:
        """Raise for an answer that would be written without a field, or with a value that a Literal does not have."""
        has_shape = self._has_shape
        for answer in answers:
            if not has_shape(answer):
                raise errors.ModelFailed(f"the model returned {answer_shape.fault(answer)}")

    def _checked(self, payload: bytes, answers: Sequence[BaseModel]) -> bytes:
        """The payload that was written from these answers, if there is no NaN, infinity or wrong None in them."""
        # Looking at every value costs more than writing them. pydantic writes NaN and infinity as null (or, by the
        # author's setting, as NaN and Infinity) and None as null whatever the type says. So the values are looked at
        # only if the payload contains one of these, and more nulls than the Nones that the type allows. `find` takes
        # half the time of `in`, which makes and drops an exception before it searches bytes for bytes.
        is_named = payload.find(b"NaN") >= 0 or payload.find(b"Infinity") >= 0
        if is_named or (payload.find(b"null") >= 0 and payload.count(b"null") != self._nones(answers)):
            self.check_finite(answers)
            try:
                documents = from_json(payload)
            except ValueError as cause:  # only of one that is nested too deep
                raise errors.ModelFailed(f"the model's answer cannot be checked: {cause}") from cause
            for document in documents if isinstance(documents, list) else [documents]:
                if (place := _null(document, self._schema, self._schema.get("$defs", {}))) is not None:
                    raise errors.ModelFailed(f"the model returned None in field {place!r}, whose type has no None")
        return payload

    def _nones(self, answers: Sequence[BaseModel]) -> int:
        return sum([answer.__dict__[name] is None for name in self._nullable for answer in answers])

    def check_finite(self, answers: Sequence[BaseModel]) -> None:
        """Raise for NaN or infinity in an answer."""
        for answer in self._as_python(answers):
            if (place := _not_finite(answer)) is not None:
                raise errors.ModelFailed(f"the model returned NaN or infinity in field {place!r}")

    def _failed(self, answers: Sequence[BaseModel], cause: Exception) -> errors.ModelFailed:
        """The error for answers that could not be written. Names the first field that cannot."""
        for answer in answers:
            for name in self._fields:
                try:
                    self._one(answer, include={name})
                except Exception as found:
                    return errors.ModelFailed(
                        f"the model's answer cannot be written: field {name!r} {self._why(answer, name, found)}"
                    )
        return errors.ModelFailed(f"the model's answer cannot be written: it {_reason(cause)}")

    def _why(self, answer: BaseModel, name: str, cause: Exception) -> str:
        if name in self._annotations and str(cause).startswith(_WRONG_TYPE):
            kind = self._annotations[name]
            declared = kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)
            return f"has a {type(getattr(answer, name)).__name__} where the type says {declared}"[:_SHOWN]
        return _reason(cause)


def _never(_: object) -> bool:
    """Used for types whose answers pydantic has to check."""
    return False


def _is_left_out(field: FieldInfo) -> bool:
    """Whether an answer may be written without the field."""
    # `exclude_if` is newer than the oldest pydantic that we take.
    return bool(field.exclude) or getattr(field, "exclude_if", None) is not None


def _reason(cause: Exception) -> str:
    """Why a value cannot be written. The message of an exception of the author's own code is only in the log."""
    text = str(cause).splitlines()[0] if str(cause) else ""
    if isinstance(cause, PydanticSerializationError) and "Error calling function" not in text:
        return "has a value of another type" if text.startswith(_WRONG_TYPE) else f"has no JSON form: {text[:_SHOWN]}"
    return "has a serializer or a property that raised an exception"


def _not_finite(value: Any, place: str = "") -> str | None:
    """Where NaN or infinity is in an answer, such as `probabilities.setosa`. None if all numbers are finite."""
    if isinstance(value, float | np.floating):
        return None if math.isfinite(value) else place
    if isinstance(value, Decimal):
        return None if value.is_finite() else place
    if isinstance(value, dict):
        parts = ((f"{place}.{key}" if place else str(key), part) for key, part in value.items())
    elif isinstance(value, list | tuple | set | frozenset):
        parts = ((place, part) for part in value)
    else:
        return None
    return next((found for inner, part in parts if (found := _not_finite(part, inner)) is not None), None)


def _null(value: Any, schema: Any, definitions: Mapping[str, Any], place: str = "") -> str | None:
    """Where a document has None that its schema does not have. None if there is no such place."""
    if not isinstance(schema, dict):
        return None
    schema = definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    if options := schema.get("anyOf") or schema.get("oneOf"):
        options = [one for one in options if _is_kind(value, one, definitions)]
        places = [_null(value, one, definitions, place) for one in options]
        return None if None in places else next(iter(places), None)
    if value is None:
        return place if isinstance(schema.get("type"), str) and schema["type"] != "null" else None
    if isinstance(value, dict):
        fields, others = schema.get("properties", {}), schema.get("additionalProperties")
        parts = ((f"{place}.{name}".lstrip("."), part, fields.get(name, others)) for name, part in value.items())
    elif isinstance(value, list):
        first = schema.get("prefixItems", ())
        parts = ((place, part, first[at] if at < len(first) else schema.get("items")) for at, part in enumerate(value))
    else:
        return None
    return next(
        (found for inner, part, of in parts if (found := _null(part, of, definitions, inner)) is not None), None
    )


def _is_kind(value: Any, schema: Any, definitions: Mapping[str, Any]) -> bool:
    """Whether a document can be of an option of a union, as far as its JSON type says."""
    if isinstance(schema, dict) and "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    kind = schema.get("type") if isinstance(schema, dict) else None
    wanted = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else kind
    return value is None or kind in (None, wanted)


def _check(answer_type: type[BaseModel], nodes: Sequence[dict[str, Any]]) -> None:
    """Raise Invalid if the JSON schema of an answer type would not say what its answers are."""
    package = answer_type.__module__.partition(".")[0]
    for node in nodes:
        if node.get("type") == "model":
            _check_names(node["cls"])
        how = node.get("serialization")
        if not isinstance(how, dict) or how.get("type") not in _FUNCTIONS or "return_schema" in how:
            continue
        function = how["function"]
        is_authors = str(getattr(function, "__module__", "")).partition(".")[0] == package
        if is_authors or how.get("is_field_serializer") or node.get("type") == "model":
            name = getattr(function, "__qualname__", function)
            raise errors.Invalid(
                f"{answer_type.__name__}: the serializer {name} does not say what it returns, so the schema would "
                "state another type than answers have",
                hint="Annotate what it returns, `-> str`; PlainSerializer and WrapSerializer take `return_type`.",
            )


def _renames(node: dict[str, Any]) -> bool:
    """Whether a model is written with fields or names that it is not read with."""
    if node.get("type") != "model":
        return False
    fields = node["cls"].model_fields.items()
    return bool(node["cls"].model_computed_fields) or any(
        (field.serialization_alias or name) not in (field.validation_alias, field.alias, name) for name, field in fields
    )


def _check_names(kind: type[BaseModel]) -> None:
    names = [field.serialization_alias or name for name, field in kind.model_fields.items() if not field.exclude]
    names += [field.alias or name for name, field in kind.model_computed_fields.items()]
    if twice := [name for name in names if names.count(name) > 1]:
        raise errors.Invalid(
            f"{kind.__name__}: two fields would be written as {twice[0]!r}",
            hint="Give one of them another `serialization_alias`.",
        )


def _nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """Every dictionary inside a core schema."""
    if isinstance(schema, dict):
        yield schema
        for part in schema.values():
            yield from _nodes(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from _nodes(part)
