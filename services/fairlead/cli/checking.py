"""Runs the checks of a model folder for a command, and keeps what the model prints out of what the command prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from rich.console import Console

from fairlead.cli.output import say, text
from fairlead.serving.check.findings import Finding
from fairlead.serving.check.own_process import check_in_own_process
from fairlead.serving.check.printed import Printed


@contextmanager
def printing_apart() -> Iterator[Printed]:
    """What a model prints in this block comes after it, on standard error, if the block does not end as it should."""
    printed = Printed()
    try:
        yield printed
    except BaseException:
        say_printed(printed)
        raise


def say_printed(printed: Printed) -> None:
    """Show what a model printed, in a bounded number of lines, on standard error."""
    for line in printed.shown():
        say(line, to=sys.stderr)


def run_checks(name: str, folder: Path) -> tuple[tuple[Finding, ...], Printed]:
    """The findings of a folder, and what its model printed. A terminal shows meanwhile that `name` is checked."""
    with printing_apart() as printed, Console(stderr=True).status(text(f"checking {name}")):
        return check_in_own_process(folder, printed), printed


def say_wrong(findings: Sequence[Finding], to: TextIO) -> None:
    """Show the findings of the checks that failed or warn."""
    for one in findings:
        if one.outcome in ("failed", "warned"):
            word = "warning" if one.outcome == "warned" else "failed"
            say(f"{word}: {one.check}: {one.message}.{f' {one.hint}' if one.hint else ''}", to=to)
