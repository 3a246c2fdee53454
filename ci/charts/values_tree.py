"""Reads values.yaml as a tree of keys with their defaults and comments.

The comment directly above a key documents it. Its lines that begin with `@` are instructions for the tools:
`@section Title` begins a section of the README, `@schema {...}` adds to the key's JSON schema (as YAML; further lines
are indented), `@unset` and indented lines `name: text` document keys below it that values.yaml does not set, and
`@computed reason` explains why changing the key alone changes no manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml


class ValuesError(ValueError):
    """A values file has an error. The message names file, line and key."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key: its path and line, its text, its default, and its documented children."""

    path: tuple[str, ...]
    line: int
    text: str
    default: Any
    schema: dict[str, Any] = field(default_factory=dict)
    section: str | None = None
    computed: str | None = None
    children: tuple[Key, ...] = ()
    unset: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The path with dots: `workload.drain.preStopSeconds`."""
        return ".".join(self.path)

    def leaves(self) -> Iterator[Key]:
        """The documented keys below this one that have no children; the key itself if it has none."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


def read(text: str, file: str) -> tuple[Key, ...]:
    """The top-level keys. Raises ValuesError for a key without a comment."""
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(document, yaml.MappingNode):
        raise ValuesError(f"{file}: not a mapping")
    return _children(document, (), text.splitlines(), file)


def _children(node: yaml.MappingNode, path: tuple[str, ...], lines: list[str], file: str) -> tuple[Key, ...]:
    keys = []
    for name, value in node.value:
        where = (*path, str(name.value))
        line = name.start_mark.line
        comment = _comment_above(lines, line, name.start_mark.column)
        text, schema, section, computed, unset = _parse(comment, f"{file}:{line + 1}")
        if not text:
            raise ValuesError(f"{file}:{line + 1}: {'.'.join(where)} has no comment")
        open_map = "$ref" in schema or "additionalProperties" in schema
        inner = _children(value, where, lines, file) if isinstance(value, yaml.MappingNode) and not open_map else ()
        keys.append(Key(where, line + 1, text, _plain(value), schema, section, computed, inner, unset))
    return tuple(keys)


def _comment_above(lines: list[str], line: int, column: int) -> list[str]:
    prefix = " " * column + "#"
    first = line
    while first > 0 and lines[first - 1].startswith(prefix):
        first -= 1
    return [entry[len(prefix) :].removeprefix(" ") for entry in lines[first:line]]


def _parse(comment: list[str], place: str) -> tuple[str, dict[str, Any], str | None, str | None, dict[str, str]]:
    text: list[str] = []
    marks: dict[str, list[str]] = {}
    mark: str | None = None
    for entry in comment:
        if entry.startswith("@"):
            mark, _, rest = entry[1:].partition(" ")
            marks[mark] = [rest]
        elif mark is not None and entry.startswith("  "):
            marks[mark].append(entry.strip())
        else:
            mark = None
            text.append(entry)
    if unknown := marks.keys() - {"section", "schema", "computed", "unset"}:
        raise ValuesError(f"{place}: unknown mark @{sorted(unknown)[0]}")
    schema, unset = (yaml.safe_load("\n".join(marks.get(name, ["{}"]))) for name in ("schema", "unset"))
    if not isinstance(schema, dict) or not isinstance(unset, dict):
        raise ValuesError(f"{place}: @schema or @unset is not a mapping")
    texts = {name: " ".join(parts) for name, parts in marks.items()}
    return " ".join(text).strip(), schema, texts.get("section"), texts.get("computed"), unset


def _plain(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    return loader.construct_object(node, deep=True)
