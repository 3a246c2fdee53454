"""Reads documents written by a newer Fairlead by ignoring unknown fields. No I/O here."""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fairlead import errors

D = TypeVar("D", bound=BaseModel)


def read(kind: type[D], plain: Any, what: str) -> D:
    """The document, without unknown fields: during an upgrade, commands and CRDs may be newer than this process.

    Raises Invalid if it still cannot be read; the message begins with `what` and names the first wrong field.
    """
    try:
        return kind.model_validate(plain)
    except ValidationError as error:
        unknown = [one["loc"] for one in error.errors(include_url=False) if one["type"] == "extra_forbidden"]
    try:
        return kind.model_validate(_without(plain, unknown))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(map(str, first["loc"]))
        raise errors.Invalid(f"{what} cannot be read: {f'{path}: ' if path else ''}{first['msg']}") from error


def _without(plain: Any, paths: list[tuple[int | str, ...]]) -> Any:
    """A copy of plain data without the values at these paths."""
    copied = json.loads(json.dumps(plain))
    for *parents, last in paths:
        part = copied
        for step in parents:
            part = part[step]
        del part[last]
    return copied
