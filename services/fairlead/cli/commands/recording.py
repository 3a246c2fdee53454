"""`fairlead recording`."""

from __future__ import annotations

import contextlib
import enum
import itertools
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, TextIO

import typer

from fairlead import errors
from fairlead.cli.options import DEFAULT_STATE, StateOption
from fairlead.cli.output import console, make_table, moment, print_json, say, shown_json
from fairlead.contracts import recording
from fairlead.contracts.recording import RECORD_DIR, Line

COLUMNS = ("MODEL", "VERSION", "REQUESTS", "ROWS", "FAILED", "FROM", "UNTIL", "HIDDEN")


class Action(enum.StrEnum):
    """What to do."""

    LIST = "list"
    FETCH = "fetch"


def command(
    action: Annotated[Action, typer.Argument(metavar="list|fetch", help="Show what is recorded, or print it.")],
    place: Annotated[
        Path | None,
        typer.Argument(
            metavar="RECORDING",
            help=f"A file or folder; default: ${RECORD_DIR}, else that of the platform in .fairlead/.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", metavar="MODEL", help="Only requests of this model.")] = None,
    version: Annotated[
        str | None, typer.Option("--version", metavar="VERSION", help="Only requests of this version.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Where `fetch` writes; default: standard output.")
    ] = None,
    state: StateOption = DEFAULT_STATE,
    as_json: Annotated[bool, typer.Option("--json", help="`list`: print JSON instead of a table.")] = False,
) -> None:
    """Show which requests of models were recorded, or print them as JSON lines, ordered by time.

    A recording has what clients have sent: `fetch --to` writes a file that only you can read.
    """
    place = place or Path(os.environ.get(RECORD_DIR) or state / recording.FOLDER)
    reader = recording.Reader(place)
    mine = (line for line in reader if model in (None, line.request.model) and version in (None, line.request.version))
    first = next(mine, None)
    if first is None:
        of = " ".join(filter(None, (model, version))) or "any model"
        raise errors.NotFound(
            f"{place} has no request of {of}",
            hint="Recording is off by default: FAIRLEAD_SERVING_RECORD_SHARE=0.1 fairlead up (docs/recording.md).",
        )
    lines = itertools.chain([first], mine)
    if action is Action.FETCH:
        _fetch(lines, to)
    else:
        _show(_facts(lines), as_json)
    if reader.unreadable:
        say(f"{reader.unreadable} lines cannot be read: a service was ended while it wrote them", to=sys.stderr)


def _show(facts: Iterable[tuple[str | int, ...]], as_json: bool) -> None:
    if as_json:
        print_json([dict(zip(map(str.lower, COLUMNS), one, strict=True)) for one in facts])
    else:
        console().print(make_table(COLUMNS, (tuple(map(str, one)) for one in facts)))


def _fetch(lines: Iterable[Line], to: Path | None) -> None:
    if to is None:
        for line in lines:
            print(shown_json(line.text))
        return
    count = 0
    try:
        with _new(to) as file:
            for line in lines:
                file.write(f"{shown_json(line.text)}\n")
                count += 1
    except OSError as cause:
        raise errors.Invalid(f"--to {to} cannot be written: {cause.strerror}", hint="Name another file.") from cause
    say(f"{to}: {count} requests", to=sys.stderr)


def _new(to: Path) -> TextIO:
    """A file that only its owner can read, in the place of another one. Raises OSError, and Invalid for no file."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISREG(to.lstat().st_mode):
            raise errors.Invalid(f"--to {to} is there, and is no file to write to", hint="Name another file.")
        to.unlink()  # one that exists may be readable by others
    return os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8")


@dataclass(slots=True)
class _Counted:
    """What a version's requests are together."""

    begin: datetime
    end: datetime
    requests: int = 0
    rows: int = 0
    failed: int = 0
    hidden: set[str] = field(default_factory=set)


def _facts(lines: Iterable[Line]) -> Iterator[tuple[str | int, ...]]:
    groups: dict[tuple[str, str], _Counted] = {}
    for one, _ in lines:
        counted = groups.setdefault((one.model, one.version), _Counted(one.time, one.time))
        counted.begin, counted.end = min(counted.begin, one.time), max(counted.end, one.time)
        counted.requests += 1
        counted.rows += len(one.rows)
        counted.failed += one.answers is None
        counted.hidden.update(one.hidden)
    for (model, version), all_ in sorted(groups.items()):
        hidden = ", ".join(sorted(all_.hidden)) or "-"
        times = map(moment, (all_.begin, all_.end))
        yield model, version, all_.requests, all_.rows, all_.failed, *times, hidden
