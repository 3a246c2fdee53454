"""`fairlead deploy`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fairlead.cli.connect import connect
from fairlead.cli.options import DEFAULT_STATE, JsonOption, PlatformLocation, ReasonOption, StateOption
from fairlead.cli.output import say
from fairlead.local.apply import deploy
from fairlead.local.copy_progress import CopyProgress
from fairlead.local.folders import read_manifest
from fairlead.local.state import StateFolder
from fairlead.local.versions import VersionCopies
from fairlead.rollout.policy.small_shares import small_shares


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The model folder, with its fairlead.yaml.")],
    instances: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=64,
            show_default=False,
            help="How many processes serve the version; default 1, or as many as now.",
        ),
    ] = None,
    reason: ReasonOption = "",
    state: StateOption = DEFAULT_STATE,
    as_json: JsonOption = False,
) -> None:
    """Add a model version to its route. It starts and can be pinned, but gets no traffic share until you release it.

    The first version of a new model is released at once, because there is no stable version to compare it with. For a
    version that is deployed already, --instances changes how many processes serve it, also during a rollout.
    """
    connection = connect(PlatformLocation(state))
    copies = VersionCopies(StateFolder(state).versions, CopyProgress(Console(stderr=True)))
    route = deploy(
        connection.store,
        folder,
        copies,
        instances=instances,
        now=datetime.now(UTC),
        actor=connection.actor,
        reason=reason or f"deploy {folder.name}",
    )
    for found in small_shares(route.spec.strategy, route.spec.mirrors):
        say(f"warning: {route.name}: {found}", to=sys.stderr if as_json else sys.stdout)
    if as_json:
        print(json.dumps(route.to_json()))
        return
    say(f"{route.name}: versions {', '.join(route.spec.versions)}; target {route.spec.target.version}")
    version, head = read_manifest(folder).version, connection.store.head(route.name)
    count = route.spec.versions[version].instances
    say(f"{version}: {count} instance{'' if count == 1 else 's'}")
    rejected = head.state.rejection_of(route.spec.versions[version].ref(version)) if head is not None else None
    if rejected is not None:
        say(f"{version} was rejected in revision {route.name}.{rejected.revision}: {rejected.reason}")
    if version != route.spec.target.version:
        release = f"fairlead release {route.name} {version}{' --retry' if rejected is not None else ''}, or "
    else:
        release = f"fairlead retry {route.name}, or " if rejected is not None else ""
    say(f"next: {release}fairlead status {route.name}")
