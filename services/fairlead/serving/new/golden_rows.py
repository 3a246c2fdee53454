"""Chooses a new folder's golden rows: of the rows that are asked, those that are valid and that the model answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from fairlead import errors

Row = dict[str, Any]


class Chosen(NamedTuple):
    """The golden rows, how many other rows were asked, and why the first of these is none."""

    rows: list[Row]
    skipped: int
    why: str


def choose(asked: Iterable[Row], ask: Callable[[Row], object], data: Path | None) -> Chosen:
    """The rows that `ask` takes. It raises FairleadError for those that are wrong or are not answered.

    `data` is the file that the rows are of; without one they are made up, and those that are skipped are not counted.
    """
    rows: list[Row] = []
    skipped, why = 0, ""
    for row in asked:
        try:
            ask(row)
        except errors.FairleadError as problem:
            skipped, why = skipped + 1, why or problem.message
        else:
            rows.append(row)
    return Chosen(rows, skipped if data else 0, why)


def answered(asked: Iterable[Row], ask: Callable[[Row], object], data: Path | None, hint: str) -> Chosen:
    """As `choose`. Raises Invalid, with this hint, if there is no such row."""
    chosen = choose(asked, ask, data)
    if not chosen.rows:
        where = f"--data: the model answers no row of {data}" if data else "the model answers no made-up row"
        raise errors.Invalid(f"{where}: {chosen.why or 'no row could be made up'}", hint=hint)
    return chosen
