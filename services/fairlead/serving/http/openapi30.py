"""OpenAPI 3.1 as 3.0, for the docs page: the bundled Swagger UI 4 shows no other. Pure; /openapi.json stays 3.1."""

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
    if "value" in node and len(node) == 1:  # an example: data, whatever its keys are called
        return node
    node = {key: value if key in ("default", "example") else _converted(value) for key, value in node.items()}
    _bounds(node)
    _constants(node)
    _nulls(node)
    _tuples(node)
    return node


def _bounds(node: dict[str, Any]) -> None:
    """3.1: the exclusive bound is the number; 3.0: it is a flag beside the bound."""
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(node.get(exclusive), int | float) and not isinstance(node[exclusive], bool):
            node[bound], node[exclusive] = node[exclusive], True


def _constants(node: dict[str, Any]) -> None:
    if "const" in node and not isinstance(node["const"], dict):
        node["enum"] = [node.pop("const")]
    if isinstance(node.get("examples"), list):  # a schema's; a media type's is a mapping and stays
        node["example"] = (node.pop("examples") or [None])[0]


def _nulls(node: dict[str, Any]) -> None:
    """3.0 has no type null: `X or null` is X with `nullable`."""
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
