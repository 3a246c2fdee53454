"""Sets one value in a YAML text that a person wrote. The rest stays as it was written: comments, order, quotes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from fairlead import errors
from fairlead.contracts import yaml_text

INDENT = 2


def with_value(text: str, path: Sequence[str], value: float) -> str:
    """The text with a number at this path of keys, which are added where they are missing.

    Raises Invalid for a text that is not YAML, or in which the value cannot be set without changing something else.
    """
    try:
        data, advice = yaml_text.load(text)
        changed = _changed(text, advice.node, path, json.dumps(value))
        if yaml_text.load(changed)[0] == _with(data, path, value):
            return changed
    except yaml.YAMLError as cause:
        raise errors.Invalid(f"not YAML: {cause}") from cause
    except _NotSet:
        pass
    raise errors.Invalid(
        f"{'.'.join(path)} cannot be set: another value is in its place, or the file writes it in a form that is not "
        "changed here",
        hint=f"Write it by hand: {'.'.join(path)}: {json.dumps(value)}",
    )


class _NotSet(Exception):
    """The value cannot be set here."""


def _changed(text: str, node: yaml.Node | None, path: Sequence[str], value: str) -> str:
    if node is None:
        return _with_line_after(text, len(text), _nested(path, value, 0))
    if not path:
        if isinstance(node, yaml.ScalarNode):
            return _replaced(text, node, value)
        raise _NotSet
    if isinstance(node, yaml.ScalarNode) and node.value in ("", "null", "~"):
        space = "" if text[: node.start_mark.index][-1:].isspace() else " "
        return _replaced(text, node, space + _flow(path, value))
    if not isinstance(node, yaml.MappingNode):
        raise _NotSet
    for key, inner in node.value:
        if key.value == path[0]:
            return _changed(text, inner, path[1:], value)
    if node.flow_style:
        end = node.end_mark.index - 1
        inside = text[:end].rstrip()
        comma = "" if not node.value or inside.endswith(",") else ", "
        return f"{inside}{comma}{_flow(path, value)[1:-1]}{text[end:]}"
    return _with_line_after(text, _last_leaf(node).end_mark.index, _nested(path, value, node.start_mark.column))


def _replaced(text: str, node: yaml.Node, value: str) -> str:
    return text[: node.start_mark.index] + value + text[node.end_mark.index :]


def _last_leaf(node: yaml.Node) -> yaml.Node:
    """The last node of a block: the mark of the block itself is after the comments that follow it."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return node


def _with_line_after(text: str, place: int, lines: str) -> str:
    """The text with these lines after the line that holds `place`."""
    at_start = place > 0 and text[place - 1] == "\n"
    end = place if at_start else text.find("\n", place) + 1
    if end == 0:
        end = len(text)
    before = text[:end]
    return before + ("" if not before or before.endswith("\n") else "\n") + lines + text[end:]


def _nested(path: Sequence[str], value: str, column: int) -> str:
    """The keys of a path, one a line, and the value of the last."""
    lines = [f"{' ' * (column + INDENT * depth)}{key}:" for depth, key in enumerate(path)]
    return "\n".join(lines) + f" {value}\n"


def _flow(path: Sequence[str], value: str) -> str:
    written = value
    for key in reversed(path):
        written = f"{{{key}: {written}}}"
    return written


def _with(data: Any, path: Sequence[str], value: float) -> Any:
    if not path:
        return value
    below = data if isinstance(data, Mapping) else {}
    return {**below, path[0]: _with(below.get(path[0]), path[1:], value)}
