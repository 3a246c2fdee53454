"""Reads YAML text, and remembers how each value was written, for errors about values that are not what a person meant.

YAML reads an unquoted 1.10 as the number 1.1, 2026-11-29 as a date and `no` as false. Only the text still shows that a
version was meant.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import yaml
from pydantic_core import ErrorDetails

KEY = "[key]"
"""What pydantic writes at the end of a path for the key itself."""
_NOT_A_TEXT = ("string_type", "literal_error", "enum")
"""The types of pydantic's errors for a value that should have been a text."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to write instead of a value that YAML read as something else than a text."""

    node: yaml.Node | None = None

    def __call__(self, found: ErrorDetails) -> str | None:
        """A sentence about the value of this error, or None if its text was not the cause."""
        if found["type"] not in _NOT_A_TEXT or self.node is None or isinstance(found["input"], str | dict | list):
            return None
        written, _ = _at(self.node, found)
        if not isinstance(written, yaml.ScalarNode) or written.style in ("'", '"'):
            return None
        if found["input"] is None and written.value == "":
            return "there is nothing after the colon; write a value, or remove the line"
        return f"YAML reads {written.value} as {_kind(found['input'])}: write it in quotes, {json.dumps(written.value)}"

    def path(self, found: ErrorDetails) -> tuple[str | int, ...]:
        """The path of this error, with the keys as they were written."""
        path = found["loc"] if self.node is None else _at(self.node, found)[1]
        return path[:-1] if path[-1:] == (KEY,) else path


def load(text: str) -> tuple[Any, Advice]:
    """The data of a YAML text, and the advice for errors in it. Raises YAMLError; duplicate keys are an error."""
    loader = _UniqueKeys(text)
    try:
        node = loader.get_single_node()
        return (None if node is None else loader.construct_document(node)), Advice(node)
    except RecursionError:  # PyYAML calls itself for each level
        raise yaml.YAMLError("lists and mappings are nested too deeply; write it flatter") from None
    finally:
        loader.dispose()


class _UniqueKeys(yaml.SafeLoader):
    """YAML that rejects duplicate keys: of two digests, plain YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        merge = "tag:yaml.org,2002:merge"
        keys = [(self.construct_object(key, deep=True), key) for key, _ in node.value if key.tag != merge]
        for index, (key, written) in enumerate(keys):
            for earlier, other in keys[:index]:
                if key == earlier:
                    raise yaml.constructor.ConstructorError(None, None, _twice(key, other, written), node.start_mark)
        return super().construct_mapping(node, deep=deep)

    def construct_or_text(self, node: yaml.ScalarNode) -> Any:
        """A number, date or time; the text where it is none after all, for which PyYAML raises ValueError.

        These only look like one: 2026-02-30, 0x_, and integers of more digits than Python reads.
        """
        try:
            return yaml.SafeLoader.yaml_constructors[node.tag](self, node)
        except ValueError:
            return self.construct_yaml_str(node)


for _kind_of_scalar in ("int", "float", "timestamp"):
    _UniqueKeys.add_constructor(f"tag:yaml.org,2002:{_kind_of_scalar}", _UniqueKeys.construct_or_text)


def _twice(key: Any, first: yaml.Node, second: yaml.Node) -> str:
    if first.value == second.value:
        return f"{key!r} is there twice"
    return f"YAML reads both {first.value} and {second.value} as {_kind(key)}: write them in quotes"


def _kind(value: Any) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case datetime():
            return f"the time {value}"
        case date():
            return f"the date {value}"
        case _:
            return f"{value!r}"


def _at(node: yaml.Node, found: ErrorDetails) -> tuple[yaml.Node | None, tuple[str | int, ...]]:
    """The node of an error, and its path as it was written: pydantic's has a date as `datetime.date(...)`."""
    written: list[str | int] = []
    path: Sequence[str | int] = found["loc"]
    current: yaml.Node | None = node
    for position, step in enumerate(path):
        is_the_key = tuple(path[position + 1 :]) == (KEY,)
        match current:
            case yaml.MappingNode():
                wanted = found["input"] if is_the_key else step
                key, value = next((pair for pair in current.value if _same(pair[0], wanted)), (None, None))
                written.append(step if key is None else key.value)
                if is_the_key:
                    return key, tuple(written)
                current = value
            case yaml.SequenceNode() if isinstance(step, int) and step < len(current.value):
                written.append(step)
                current = current.value[step]
            case _:
                return None, (*written, *path[position:])
    return current, tuple(written)


def _same(key: yaml.Node, wanted: object) -> bool:
    """Whether this is the key: its value, or a path's text of it."""
    if not isinstance(key, yaml.ScalarNode):
        return False
    value = _UniqueKeys("").construct_object(key)
    return (type(value) is type(wanted) and value == wanted) or wanted in (key.value, str(value))
