"""Runs the checks of `fairlead check` before a version is deployed or released, and shows only what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fairlead import errors
from fairlead.cli.output import say, text
from fairlead.local.state import StateFolder
from fairlead.serving.check.findings import Finding, is_fit
from fairlead.serving.check.own_process import check_in_own_process

SkipCheckOption = Annotated[
    bool, typer.Option("--skip-check", help="Do not check first that the folder can be served.")
]


def check_first(state: StateFolder, name: str, folder: Path, digest: str) -> None:
    """Check a folder, unless the same content was found fit before. `digest` is of its listing; empty: not known.

    Raises ModelFailed if it is not fit, after it printed what is wrong, on standard error.
    """
    if state.is_fit(digest):
        return
    with Console(stderr=True).status(text(f"checking {name}")):
        findings = check_in_own_process(folder)
    for one in findings:
        if one.outcome in ("failed", "warned"):
            _say(one)
    if not is_fit(findings):
        count = sum(one.outcome == "failed" for one in findings)
        raise errors.ModelFailed(
            f"{name} cannot be served as it is: {count} {'check' if count == 1 else 'checks'} failed",
            hint=f"correct the folder; `fairlead check {folder}` shows every check, and --skip-check goes on without",
        )
    state.note_fit(digest)


def _say(finding: Finding) -> None:
    word = "warning" if finding.outcome == "warned" else "failed"
    hint = f" {finding.hint}" if finding.hint else ""
    say(f"{word}: {finding.check}: {finding.message}.{hint}", to=sys.stderr)
