"""Converts an OpenAPI 3.1 document to 3.0 for the docs page: the bundled Swagger UI 4 cannot show 3.1. Pure.

/openapi.json stays 3.1.
"""

from __future__ import annotations

from typing import Any


def downgraded(document: dict[str, Any]) -> dict[str, Any]:
    """The same document in OpenAPI 3.0.3."""
    return {**{key: _converted(value) for key, value in document.items()}, "openapi": "3.0.3"}


def _converted(node: Any) -> Any:
    if isinstance(node, list):
        return [_converted(part) for part in node]
    if not isinstance(node, dict):
        return node
    if "value" in node and len(node) == 1:  # an example: its value is data, not a schema
        return node
    node = {key: value if key in ("default", "example") else _converted(value) for key, value in node.items()}
    _bounds(node)
    _constants(node)
    _nulls(node)
    _tuples(node)
    return node


def _bounds(node: dict[str, Any]) -> None:
    """In 3.1 an exclusive bound is a number. In 3.0 it is a flag next to the bound."""
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(node.get(exclusive), int | float) and not isinstance(node[exclusive], bool):
            node[bound], node[exclusive] = node[exclusive], True


def _constants(node: dict[str, Any]) -> None:
    if "const" in node and not isinstance(node["const"], dict):
        node["enum"] = [node.pop("const")]
    if isinstance(node.get("examples"), list):  # of a schema; a media type's examples are a mapping and stay
        node["example"] = (node.pop("examples") or [None])[0]


def _nulls(node: dict[str, Any]) -> None:
    """3.0 has no type null: `X or null` becomes X with `nullable`."""
    options = node.get("anyOf")
    if not isinstance(options, list) or {"type": "null"} not in options:
        return
    rest = [option for option in options if option != {"type": "null"}]
    del node["anyOf"]
    node["nullable"] = True
    if len(rest) == 1 and "$ref" not in rest[0]:
        node.update(rest[0])
    else:
        node["anyOf"] = rest


def _tuples(node: dict[str, Any]) -> None:
    prefix = node.get("prefixItems")
    if isinstance(prefix, list):
        del node["prefixItems"]
        different = [item for number, item in enumerate(prefix) if item not in prefix[:number]]
        node["items"] = different[0] if len(different) == 1 else {"anyOf": different}
