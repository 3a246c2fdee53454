"""Parse YAML text or plain data into a document, with an error for every wrong field. The caller reads the files."""

from __future__ import annotations

from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fairlead import errors

Parsed = TypeVar("Parsed", bound=BaseModel)


def parse_yaml(kind: type[Parsed], text: str, source: str, *, hint: str | None = None) -> Parsed:
    """YAML `text` as a `kind`. Raises Invalid naming `source` (a file) and each wrong field; see `parse`."""
    try:
        data = yaml.load(text, Loader=_UniqueKeys)
    except yaml.YAMLError as cause:
        raise errors.Invalid(f"{source}: not YAML: {cause}", hint=hint) from cause
    return parse(kind, {} if data is None else data, source, hint=hint)


def parse(kind: type[Parsed], data: Any, source: str, *, hint: str | None = None) -> Parsed:
    """`data` as a `kind`. Raises Invalid: the message names `source` and the first wrong field, `details` has all."""
    try:
        return kind.model_validate(data)
    except ValidationError as cause:
        details = tuple(
            errors.Detail(loc=found["loc"], msg=_message(found), type=found["type"])
            for found in cause.errors(include_url=False)
        )
        first = ".".join(map(str, details[0].loc))
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        message = f"{source}: {f'{first}: ' if first else ''}{details[0].msg}{more}"
        raise errors.Invalid(message, details=details, hint=hint) from cause


class _UniqueKeys(yaml.SafeLoader):
    """YAML that rejects duplicate keys: of two digests, plain YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        merge = "tag:yaml.org,2002:merge"
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != merge]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]!r} is there twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def _message(found: ErrorDetails) -> str:
    """pydantic's message, or our own without pydantic's prefix. For an unquoted number it also says to add quotes."""
    if found["type"] == "value_error":
        return str(found["ctx"]["error"])
    if found["type"] == "string_type" and isinstance(found["input"], int | float):
        return f"{found['msg']}; YAML reads {found['input']} as a number: write it in quotes"
    return found["msg"]
