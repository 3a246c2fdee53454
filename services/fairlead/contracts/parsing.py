"""Parse YAML text or plain data into a document, with an error for every wrong field. The caller reads the files."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fairlead import errors
from fairlead.contracts import wording, yaml_text
from fairlead.contracts.base import WRITTEN_BY_A_PERSON

Parsed = TypeVar("Parsed", bound=BaseModel)
NO_ADVICE = yaml_text.Advice()


def parse_yaml(kind: type[Parsed], text: str, source: str, *, hint: str | None = None) -> Parsed:
    """YAML `text` as a `kind`. Raises Invalid naming `source` (a file) and each wrong field; see `parse`."""
    try:
        data, advice = yaml_text.load(text)
    except yaml.YAMLError as cause:
        raise errors.Invalid(f"{source}: not YAML: {cause}", hint=hint) from cause
    return parse(kind, {} if data is None else data, source, hint=hint, advice=advice)


def parse(
    kind: type[Parsed], data: Any, source: str, *, hint: str | None = None, advice: yaml_text.Advice = NO_ADVICE
) -> Parsed:
    """`data` as a `kind`. Raises Invalid: the message names `source` and the first wrong field, `details` has all.

    `advice` knows how the values were written.
    """
    context = {} if advice.node is None else {WRITTEN_BY_A_PERSON: True}
    try:
        return kind.model_validate(data, context=context)
    except ValidationError as cause:
        details = tuple(
            errors.Detail(
                loc=advice.path(found), msg=advice(found) or _words(found) or _message(kind, found), type=found["type"]
            )
            for found in cause.errors(include_url=False)
        )
        first = ".".join(map(str, details[0].loc))
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        message = f"{source}: {f'{first}: ' if first else ''}{details[0].msg}{more}"
        raise errors.Invalid(message, details=details, hint=hint) from cause


def _words(found: ErrorDetails) -> str | None:
    """For a text that does not match a pattern: what it should look like, in words."""
    if found["type"] != "string_pattern_mismatch":
        return None
    return wording.pattern_mismatch(found["ctx"]["pattern"], found["input"])


def _message(kind: type[BaseModel], found: ErrorDetails) -> str:
    """pydantic's message, or our own without pydantic's prefix. For an unquoted number it also says to add quotes, and
    for an unknown field or value which one was probably meant."""
    if found["type"] == "value_error":
        return str(found["ctx"]["error"])
    if found["type"] == "extra_forbidden":
        return _unknown_field(str(found["loc"][-1]), list(_fields_at(kind, found["loc"][:-1])))
    if found["type"] in ("literal_error", "enum") and isinstance(found["input"], str):
        return found["msg"] + suggestion(found["input"], str(found["ctx"]["expected"]).split("'")[1::2])
    if found["type"] == "string_type" and isinstance(found["input"], int | float):
        return f"{found['msg']}; YAML reads {found['input']} as a number: write it in quotes"
    field = str(found["loc"][-1]) if found["loc"] else ""
    return wording.wrong_type(found["type"], found["input"], field) or found["msg"]


def _unknown_field(name: str, known: Sequence[str]) -> str:
    similar = suggestion(name, known)
    return "unknown field" + (similar or (f"; known are {', '.join(known)}" if known else ""))


def suggestion(name: str, known: Sequence[str]) -> str:
    """The most similar of the known names as a question, whatever the case and the style: `min_requests` means
    `minRequests`. Empty if none is similar."""
    plain = {_plain(one): one for one in known}
    similar = difflib.get_close_matches(_plain(name), plain, n=1)
    return f"; did you mean {plain[similar[0]]!r}?" if similar else ""


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


def _fields_at(kind: Any, path: Sequence[str | int]) -> Iterator[str]:
    """The names of the fields that a document of type `kind` may have at a path inside it, as they are written."""
    for model in _models(kind):
        if not path:
            yield from (field.alias or name for name, field in model.model_fields.items())
            continue
        for name, field in model.model_fields.items():
            if path[0] in (name, field.alias):
                # The path also has keys and indexes inside the field's mappings and lists, which have no type.
                yield from next(
                    (found for at in range(1, len(path) + 1) if (found := _at(field.annotation, path[at:]))), []
                )


def _at(annotation: Any, path: Sequence[str | int]) -> list[str]:
    return list(dict.fromkeys(_fields_at(annotation, path)))


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The document types in an annotation, also inside unions, lists and mappings."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for part in get_args(annotation):
        yield from _models(part)
