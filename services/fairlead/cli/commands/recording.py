"""`fairlead recording`."""

from __future__ import annotations

import contextlib
import enum
import os
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from fairlead import errors
from fairlead.cli.options import DEFAULT_STATE, StateOption
from fairlead.cli.output import as_json as json_line
from fairlead.cli.output import console, make_table, moment, print_json, say
from fairlead.contracts import recording
from fairlead.contracts.recording import RECORD_DIR, Recorded, Recording

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
    model: Annotated[str | None, typer.Option(metavar="MODEL", help="Only requests of this model.")] = None,
    version: Annotated[str | None, typer.Option(metavar="VERSION", help="Only requests of this version.")] = None,
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
    found = recording.read(place)
    mine = [one for one in found.requests if model in (None, one.model) and version in (None, one.version)]
    if not mine:
        of = " ".join(filter(None, (model, version))) or "any model"
        raise errors.NotFound(
            f"{place} has no request of {of}",
            hint="Recording is off by default: FAIRLEAD_SERVING_RECORD_SHARE=0.1 fairlead up (docs/recording.md).",
        )
    if action is Action.FETCH:
        _fetch(mine, to)
    elif as_json:
        print_json([dict(zip(map(str.lower, COLUMNS), facts, strict=True)) for facts in _facts(mine)])
    else:
        console().print(make_table(COLUMNS, (tuple(map(str, facts)) for facts in _facts(mine))))
    _tell_unreadable(found)


def _fetch(requests: Sequence[Recorded], to: Path | None) -> None:
    lines = (json_line(one.to_json()) for one in requests)
    if to is None:
        for line in lines:
            print(line)
        return
    try:
        with contextlib.suppress(FileNotFoundError):
            to.unlink()  # one that exists may be readable by others
        with os.fdopen(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
    except OSError as cause:
        raise errors.Invalid(f"--to {to} cannot be written: {cause.strerror}", hint="Name another file.") from cause
    say(f"{to}: {len(requests)} requests", to=sys.stderr)


def _facts(requests: Sequence[Recorded]) -> Iterator[tuple[str | int, ...]]:
    groups: defaultdict[tuple[str, str], list[Recorded]] = defaultdict(list)
    for one in requests:
        groups[one.model, one.version].append(one)
    for (model, version), mine in sorted(groups.items()):
        rows = sum(len(one.rows) for one in mine)
        failed = sum(one.answers is None for one in mine)
        hidden = sorted({name for one in mine for name in one.hidden})
        times = (moment(one.time) for one in (mine[0], mine[-1]))
        yield model, version, len(mine), rows, failed, *times, ", ".join(hidden) or "-"


def _tell_unreadable(found: Recording) -> None:
    if found.unreadable:
        say(f"{found.unreadable} lines cannot be read: a service was ended while it wrote them", to=sys.stderr)
