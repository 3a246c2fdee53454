"""`values.yaml` as a tree: every key with its default and what its comment says.

A comment directly above a key documents it. Lines that begin with `@` are for the tools:
`@section Title` begins a group of the README, `@schema {...}` adds to the key's JSON schema (YAML, may go on over
several lines that are indented deeper), `@computed reason` says why the key alone changes no manifest.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml


class ValuesError(ValueError):
    """A values file that the tools cannot use; the message names file, line and key."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key: where it is, what it is for, its default, and its documented children."""

    path: tuple[str, ...]
    line: int
    text: str
    default: Any
    schema: dict[str, Any] = field(default_factory=dict)
    section: str | None = None
    computed: str | None = None
    children: tuple[Key, ...] = ()

    @property
    def name(self) -> str:
        """`workload.drain.preStopSeconds`."""
        return ".".join(self.path)

    def leaves(self) -> Iterator[Key]:
        """Every documented key below that has no children; this one where it has none."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()


def read(text: str, file: str) -> tuple[Key, ...]:
    """The keys at the top. Raises ValuesError for one without a comment."""
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
        text, schema, section, computed = _parse(comment, f"{file}:{line + 1}")
        if not text:
            raise ValuesError(f"{file}:{line + 1}: {'.'.join(where)} has no comment")
        open_map = "$ref" in schema or "additionalProperties" in schema
        inner = _children(value, where, lines, file) if isinstance(value, yaml.MappingNode) and not open_map else ()
        keys.append(Key(where, line + 1, text, _plain(value), schema, section, computed, inner))
    return tuple(keys)


def _comment_above(lines: list[str], line: int, column: int) -> list[str]:
    prefix = " " * column + "#"
    first = line
    while first > 0 and lines[first - 1].startswith(prefix):
        first -= 1
    return [entry[len(prefix) :].removeprefix(" ") for entry in lines[first:line]]


def _parse(comment: list[str], place: str) -> tuple[str, dict[str, Any], str | None, str | None]:
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
    if unknown := marks.keys() - {"section", "schema", "computed"}:
        raise ValuesError(f"{place}: unknown mark @{sorted(unknown)[0]}")
    schema = yaml.safe_load(" ".join(marks["schema"])) if "schema" in marks else {}
    if not isinstance(schema, dict):
        raise ValuesError(f"{place}: @schema is not a mapping")
    told = {name: " ".join(parts) for name, parts in marks.items()}
    return " ".join(text).strip(), schema, told.get("section"), told.get("computed")


def _plain(node: yaml.Node) -> Any:
    loader = yaml.SafeLoader("")
    return loader.construct_object(node, deep=True)
