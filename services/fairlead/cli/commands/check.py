"""`fairlead check`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from fairlead.cli import exit_codes
from fairlead.cli.checking import run_checks, say_printed
from fairlead.cli.output import text
from fairlead.contracts import manifest_file
from fairlead.serving.check.findings import Finding, is_fit, not_proved

STYLES = {"passed": "green", "warned": "yellow", "failed": "bold red", "skipped": "dim"}


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The model folder, with its fairlead.yaml.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Check that a model folder can be served, and say how to fix what fails. Use it before `fairlead deploy`.

    The check runs the model's own code, as `fairlead serve` does. What that prints comes last, on standard error.
    """
    manifest_file.find(folder)
    findings, printed = run_checks(str(folder), folder)
    if as_json:
        checks = [dataclasses.asdict(finding) for finding in findings]
        print(json.dumps({"fit": is_fit(findings), "not_proved": not_proved(findings), "checks": checks}))
    else:
        _show(folder, findings)
    say_printed(printed)
    raise typer.Exit(exit_codes.OK if is_fit(findings) else exit_codes.FAILED)


def _show(folder: Path, findings: Sequence[Finding]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("check", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    table.add_column("why, and what to do", overflow="fold")  # a digest must be shown in full
    for finding in findings:
        # Text, not markup: a message may contain `list[int]`, which rich would read as a style.
        why = text(finding.message) if not finding.hint else text(f"{finding.message}\n{finding.hint}")
        table.add_row(finding.check, text(finding.outcome, style=STYLES[finding.outcome]), why)
    console = Console()
    console.print(table)
    failed = sum(finding.outcome == "failed" for finding in findings)
    unproved = f"; not proved: {', '.join(not_proved(findings))}" if not_proved(findings) else ""
    console.print(text(f"{folder}: {f'{failed} failed' if failed else f'fit to serve{unproved}'}"), soft_wrap=True)
