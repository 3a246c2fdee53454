"""Prints the output of commands: JSON with --json, else a table that fits the terminal or the pipe."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fairlead.logs import shown

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
    return "".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in written)


def make_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A plain table without a frame."""
    table = Table(*columns, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*map(text, row))
    return table


def percent(weight: int) -> str:
    """1,000 of 10,000 as "10 %"."""
    return f"{weight / 100:g} %"


def moment(value: datetime) -> str:
    """A time in UTC to the second, in the form that `--at` accepts."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(value: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that fits."""
    seconds = max(0, int((now - value).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
