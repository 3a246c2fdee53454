"""Prints the output of commands: JSON with --json, else a table that fits the terminal or the pipe."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fairlead.logs import shown
from fairlead.views.amounts import ago as ago
from fairlead.views.amounts import moment as moment
from fairlead.views.amounts import percent as percent

PIPE_WIDTH = 160


def console() -> Console:
    """A console on standard output. It is PIPE_WIDTH columns wide in a pipe, so that lines are not wrapped."""
    out = Console(highlight=False)
    return out if out.is_terminal else Console(highlight=False, width=PIPE_WIDTH)


def say(line: str, *, to: TextIO | None = None) -> None:
    """Print a line that may have text of others in it, on standard output or on `to`."""
    print(shown(line), file=to)


def text(value: str, style: str = "") -> Text:
    """Text of others for a console or a table: neither its control characters nor its brackets are obeyed."""
    return Text(shown(value), style=style)


def print_json(data: Any) -> None:
    """One JSON document."""
    print(as_json(data, indent=2))


def as_json(data: Any, indent: int | None = None) -> str:
    """JSON that a terminal shows: what it would obey is escaped, as JSON allows for every character of a string."""
    return shown_json(json.dumps(data, indent=indent, ensure_ascii=False))


def shown_json(written: str) -> str:
    """JSON that others wrote, in the same way: it has the same meaning, and no character that a terminal would obey."""
    if written.replace("\n", "").isprintable():
        return written
    written = written.replace("\t", " ").replace("\r", " ")  # JSON has them only between values
    return "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in written)


def make_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A plain table without a frame."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(text, row))
    return table
