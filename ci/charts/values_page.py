"""Writes the table of values in a chart's README, between two markers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from values_tree import Key, ValuesError

BEGIN = "<!-- values: written by ci/charts from values.yaml -->"
END = "<!-- end of values -->"


def fill(readme: str, keys: Iterable[Key]) -> str:
    """The README with a new table. Raises ValuesError if the markers are missing."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValuesError(f"README.md needs the lines {BEGIN!r} and {END!r}")
    return "".join((before, BEGIN, "\n", *_table(keys), "\n", END, after))


def _table(keys: Iterable[Key]) -> Iterator[str]:
    for key in keys:
        if key.section is not None:
            yield f"\n### {key.section}\n\n| value | default | what it does |\n|---|---|---|\n"
        for leaf in _rows(key):
            yield f"| `{leaf.name}` | {leaf.default} | {_escaped(leaf.text)} |\n"


def _rows(key: Key) -> Iterator[_Row]:
    """The rows of a key: its leaves, and what values.yaml does not set. A map with children has no row of its own."""
    if not key.children:
        yield _Row(key.name, _shown(key.default), key.text)
    for child in key.children:
        yield from _rows(child)
    for name, text in key.unset.items():
        yield _Row(f"{key.name}.{name}", "not set", text)


class _Row(NamedTuple):
    name: str
    default: str
    text: str


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return "`" + (text if len(text) <= 60 else text[:57] + "...").replace("|", "\\|") + "`"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")
