"""`Hidden`: what of rows and answers is not written to a recording: fields by name, and the pixels of images."""

from __future__ import annotations

import difflib
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic import BaseModel, RootModel
from pydantic.fields import ComputedFieldInfo, FieldInfo

from fairlead import errors
from fairlead.serving.formats import field_kinds
from fairlead.serving.inputs.image_field import is_image

_REDACTED = "redacted"


class Hidden:
    """Which fields of rows and answers are not written. Redacted ones are left out, hashed ones are texts."""

    def __init__(
        self, row_type: type[BaseModel], answer_type: type[BaseModel], redact: Sequence[str], hashed: Sequence[str]
    ) -> None:
        """Raises Invalid for a name that neither type has, for a field to hash that is no text, and for something to
        hide in rows that are not written field by field.
        """
        fields = {**_fields(answer_type), **_fields(row_type)}
        for name in (*redact, *hashed):
            if name not in fields:
                similar = difflib.get_close_matches(name, fields, n=1)
                raise errors.Invalid(
                    f"recording: the model has no field {name!r} to hide; it has {', '.join(fields)}",
                    hint=f"Did you mean {similar[0]}?" if similar else "Name whole fields, not what is inside of one.",
                )
        for name in hashed:
            if not _is_text(fields[name]):
                raise errors.Invalid(
                    f"recording: {name!r} is no free text, so a hash would be no value of it",
                    hint="Redact it instead: then it is left out.",
                )
        how = {**dict.fromkeys(hashed, "hashed"), **dict.fromkeys(redact, _REDACTED)}
        images = [name for name, field in row_type.model_fields.items() if is_image(field)]
        self._writes_itself = _writes_itself(row_type)
        if self._writes_itself and (how or images):
            raise errors.Invalid(
                f"recording: {[*how, *images][0]!r} cannot be hidden: {row_type.__name__} writes itself as a whole",
                hint="A row type whose fields are hidden is no RootModel and has no @model_serializer.",
            )
        self._key = secrets.token_bytes(32)  # never written: nobody can try out which value has a hash
        self._redacted = set(redact)
        self._how = {_written(name, field): how.get(name, "") for name, field in row_type.model_fields.items()}
        self._sent = {_written(*one): field_kinds.sent_name(*one) for one in row_type.model_fields.items()}
        self._of_answers = _in_answers(how, row_type, answer_type)
        self.described = {
            **{name: said for name, said in self._of_answers.items() if _may_have(answer_type, name)},
            **{field_kinds.sent_name(name, row_type.model_fields[name]): "digest" for name in images},
            **{self._sent[written]: said for written, said in self._how.items() if said},
        }
        """What is hidden, by the name in JSON, and how: of rows by the name that clients send."""

    def rows(self, rows: Sequence[Any]) -> list[Any]:
        """The rows as clients send them, as Python values, without what is hidden."""
        return [self._row(row) for row in rows]

    def _row(self, row: BaseModel) -> Any:
        value: Any = row.model_dump(exclude=self._redacted, by_alias=True, warnings=False)
        if self._writes_itself:  # nothing of it is hidden
            return value
        # Only what a client can send: a computed field would make the row one that the model refuses.
        return {
            self._sent[written]: self._hash(value[written]) if said else value[written]
            for written, said in self._how.items()
            if written in value
        }

    def answers(self, payload: bytes) -> bytes:
        """The answers, a JSON list, without what is hidden."""
        if not self._of_answers:
            return payload
        found = json.loads(payload)
        return orjson.dumps([self._answer(one) if isinstance(one, dict) else one for one in found])

    def _answer(self, answer: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: self._hash(value) if name in self._of_answers else value
            for name, value in answer.items()
            if self._of_answers.get(name) != _REDACTED
        }

    def _hash(self, value: Any) -> Any:
        if value is None:
            return None
        return hmac.new(self._key, str(value).encode(errors="replace"), hashlib.sha256).hexdigest()[:32]


_Field = FieldInfo | ComputedFieldInfo


def _fields(kind: type[BaseModel]) -> dict[str, _Field]:
    """The fields that an object of this type has in JSON."""
    return {} if issubclass(kind, RootModel) else {**kind.model_fields, **kind.model_computed_fields}


def _writes_itself(kind: type[BaseModel]) -> bool:
    """Whether it is written as something else than an object of its fields."""
    return issubclass(kind, RootModel) or bool(kind.__pydantic_decorators__.model_serializers)


def _in_answers(how: Mapping[str, str], *kinds: type[BaseModel]) -> dict[str, str]:
    """By every name that a hidden field has or is called in JSON, how it is hidden where an answer repeats it."""
    found = dict(how)
    for kind in kinds:
        for name, field in _fields(kind).items():
            if name in how:
                found[_written(name, field)] = how[name]
                if isinstance(field, FieldInfo):
                    found[field_kinds.sent_name(name, field)] = how[name]
    return found


def _may_have(answer_type: type[BaseModel], name: str) -> bool:
    """Whether an answer may have this name in JSON."""
    is_open = answer_type.model_config.get("extra") == "allow" or _writes_itself(answer_type)
    return is_open or name in {_written(*one) for one in _fields(answer_type).items()}


def _is_text(field: _Field) -> bool:
    annotation = field.annotation if isinstance(field, FieldInfo) else field.return_type
    kinds = set(field_kinds.kinds(annotation)) - {type(None)}
    return kinds == {str} and not field_kinds.choices(annotation)


def _written(name: str, field: _Field) -> str:
    alias = field.serialization_alias if isinstance(field, FieldInfo) else None
    return alias or field.alias or name
