"""`fairlead diff`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from fairlead import errors
from fairlead.cli import exit_codes
from fairlead.cli.output import say, text
from fairlead.contracts import manifest_file
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.schema_changes import Change, summary, type_changes
from fairlead.serving.check.own_process import schemas_in_own_process

_STYLES = {True: "bold red", False: "green"}


def command(
    old: Annotated[Path, typer.Argument(metavar="OLD", help="The model folder that clients use now.")],
    new: Annotated[Path, typer.Argument(metavar="NEW", help="The model folder that is to replace it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare the types of rows and answers of two model folders, as their clients see them.

    The exit code is 1 if a change is breaking: some client that works with OLD would have to be changed for NEW.
    """
    before, after = manifest_file.read(old), manifest_file.read(new)
    if before.name != after.name:
        raise errors.Invalid(
            f"{old} is the model {before.name!r} and {new} is {after.name!r}: clients of one do not get the other",
            hint="compare two versions of the same model",
        )
    with Console(stderr=True).status(text(f"comparing {after.version} with {before.version}")):
        found = type_changes(schemas_in_own_process(old), schemas_in_own_process(new))
    breaking = sum(one.is_breaking for one in found)
    if as_json:
        _print_json(before, after, found)
    elif found:
        _print_table(found)
        say(summary(after.version, before.version, sum(one.is_breaking for one in found)))
    else:
        say(f"{after.version} has the same types as {before.version}")
    raise typer.Exit(exit_codes.FAILED if breaking else exit_codes.OK)


def _print_json(before: Manifest, after: Manifest, found: tuple[Change, ...]) -> None:
    changes = [{"where": one.where, "what": one.what, "breaking": one.is_breaking} for one in found]
    breaking = any(one.is_breaking for one in found)
    print(json.dumps({"old": before.version, "new": after.version, "breaking": breaking, "changes": changes}))


def _print_table(found: tuple[Change, ...]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("for clients", no_wrap=True)
    table.add_column("field", overflow="fold")
    table.add_column("what changed", overflow="fold")
    # Breaking ones first: they decide.
    for one in sorted(found, key=lambda change: not change.is_breaking):
        effect = text("breaking" if one.is_breaking else "safe", style=_STYLES[one.is_breaking])
        table.add_row(effect, text(one.where), text(one.what))
    Console().print(table)
