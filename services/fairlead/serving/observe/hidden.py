"""`Hidden`: what of rows and answers is not written to a recording: fields by name, and the pixels of images."""

from __future__ import annotations

import difflib
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fairlead import errors
from fairlead.serving.formats import field_kinds
from fairlead.serving.inputs.image_field import is_image


class Hidden:
    """Which fields of rows and answers are not written. Redacted ones are left out, hashed ones are texts."""

    def __init__(
        self, row_type: type[BaseModel], answer_type: type[BaseModel], redact: Sequence[str], hashed: Sequence[str]
    ) -> None:
        """Raises Invalid for a name that neither type has, and for a field to hash that is no text."""
        fields = {**answer_type.model_fields, **row_type.model_fields}
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
        self._key = secrets.token_bytes(32)  # never written: nobody can try out which value has a hash
        self._redacted = set(redact)
        self._of_rows = _Names(row_type, redact, hashed)
        self._of_answers = _Names(answer_type, redact, hashed)
        images = {name: "digest" for name, field in row_type.model_fields.items() if is_image(field)}
        self.described = {**self._of_answers.hidden, **images, **self._of_rows.hidden}
        """What is hidden, by the name in JSON, and how."""

    def rows(self, rows: Sequence[Any]) -> list[Any]:
        """The rows as clients send them, as Python values, without what is hidden."""
        return [self._row(row) for row in rows]

    def _row(self, row: BaseModel) -> Any:
        value: Any = row.model_dump(exclude=self._redacted, by_alias=True, warnings=False)
        if not isinstance(value, dict):  # a row without fields
            return value
        for name in self._of_rows.hashed & value.keys():
            value[name] = self._hash(value[name])
        for written, sent in self._of_rows.sent.items():
            if written in value:
                value[sent] = value.pop(written)
        return value

    def answers(self, payload: bytes) -> bytes:
        """The answers, a JSON list, without what is hidden."""
        if not self._of_answers.hidden:
            return payload
        found = json.loads(payload)
        for answer in found:
            for name, how in self._of_answers.hidden.items():
                if name in answer and how == "redacted":
                    del answer[name]
                elif name in answer:
                    answer[name] = self._hash(answer[name])
        return orjson.dumps(found)

    def _hash(self, value: Any) -> Any:
        if value is None:
            return None
        return hmac.new(self._key, str(value).encode(errors="replace"), hashlib.sha256).hexdigest()[:32]


class _Names:
    """The names in JSON of what is hidden in one type."""

    def __init__(self, kind: type[BaseModel], redact: Sequence[str], hashed: Sequence[str]) -> None:
        written = {name: _written(name, field) for name, field in kind.model_fields.items()}
        self.hashed = frozenset(written[name] for name in hashed if name in written)
        self.hidden = {written[name]: "redacted" for name in redact if name in written}
        self.hidden |= dict.fromkeys(self.hashed, "hashed")
        sent = {written[name]: _sent(name, field) for name, field in kind.model_fields.items()}
        self.sent = {one: other for one, other in sent.items() if one != other}
        """What a client calls a field of a row, where it is written under another name."""


def _is_text(field: FieldInfo) -> bool:
    kinds = set(field_kinds.kinds(field.annotation)) - {type(None)}
    return kinds == {str} and not field_kinds.choices(field.annotation)


def _written(name: str, field: FieldInfo) -> str:
    return field.serialization_alias or field.alias or name


def _sent(name: str, field: FieldInfo) -> str:
    return field.validation_alias if isinstance(field.validation_alias, str) else field.alias or name
