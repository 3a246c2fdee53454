"""`fairlead doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fairlead import errors
from fairlead.cli import optional_modules
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    StateOption,
)
from fairlead.cli.output import print_json, say

_WIDTH = len("not checked")


def command(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="A platform file, to look at before `fairlead up FILE`."),
    ] = None,
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is missing or misconfigured in a cluster's namespace or on this machine, and what to do about it.

    It changes nothing. What it may not read is `not checked`. It exits with 1 if there is a problem.
    """
    location = PlatformLocation(state=Path(state), context=context, namespace=namespace)
    found: list[Any]
    if location.in_cluster and file is not None:
        raise errors.Invalid(
            f"{file} is a platform file, and a cluster has none", hint="leave out the file, or the cluster"
        )
    if location.in_cluster:
        found = optional_modules.load("fairlead.cli.doctor.cluster").look(context, namespace)
    else:
        found = optional_modules.load("fairlead.cli.doctor.machine").look(location.state, file)
    problems = sum(one.level == "problem" for one in found)
    if as_json:
        print_json({"findings": [one.to_json() for one in found], "problems": problems})
    else:
        for one in found:
            say(f"{one.level:<{_WIDTH}}  {one.what}")
            for line in filter(None, (one.why, one.do)):
                say(f"{'':<{_WIDTH}}    {line}")
    if problems:
        raise errors.FairleadError(f"{problems} problem{'s' if problems > 1 else ''} found")
