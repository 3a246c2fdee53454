"""From plain data to a document, with every wrong field named. No files here: the caller read them."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fairlead import errors

Parsed = TypeVar("Parsed", bound=BaseModel)


def parse(kind: type[Parsed], data: Any, source: str) -> Parsed:
    """`data` as a `kind`. Raises Invalid naming `source` (a file, an argument) and the path of each wrong field."""
    if not isinstance(data, dict):
        raise errors.Invalid(f"{source} holds no mapping of fields to values")
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        details = tuple(
            errors.Detail(loc=tuple(item["loc"]) or ("(whole)",), msg=item["msg"], type=item["type"])
            for item in error.errors(include_url=False, include_context=False, include_input=False)
        )
        raise errors.Invalid(f"{source} cannot be used as it is", details=details) from None
