"""Runs the checks of `fairlead check` before a version is deployed or released, and shows only what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from fairlead import errors
from fairlead.cli.checking import run_checks, say_printed, say_wrong
from fairlead.local.state import StateFolder
from fairlead.serving.check.findings import is_fit

SkipCheckOption = Annotated[
    bool, typer.Option("--skip-check", help="Do not check first that the folder can be served.")
]


def check_first(state: StateFolder, name: str, folder: Path, digest: str) -> None:
    """Check a folder, unless the same content was found fit before. `digest` is of its listing; empty: not known.

    Raises ModelFailed if it is not fit, after it printed what is wrong, on standard error.
    """
    if state.is_fit(digest):
        return
    findings, printed = run_checks(name, folder)
    say_wrong(findings, sys.stderr)
    if not is_fit(findings):
        say_printed(printed)
        count = sum(one.outcome == "failed" for one in findings)
        raise errors.ModelFailed(
            f"{name} cannot be served as it is: {count} {'check' if count == 1 else 'checks'} failed",
            hint=f"correct the folder; `fairlead check {folder}` shows every check, and --skip-check goes on without",
        )
    state.note_fit(digest)
