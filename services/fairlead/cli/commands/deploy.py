"""`fairlead deploy`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from fairlead.cli.connect import connect
from fairlead.cli.options import DEFAULT_STATE, JsonOption, PlatformLocation, ReasonOption, StateOption
from fairlead.local.apply import deploy
from fairlead.local.folders import read_manifest


def command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The model folder, with its fairlead.yaml.")],
    instances: Annotated[int, typer.Option(min=1, max=64, help="How many processes serve the version.")] = 1,
    reason: ReasonOption = "",
    state: StateOption = DEFAULT_STATE,
    as_json: JsonOption = False,
) -> None:
    """Add a model version to its route. It starts and can be pinned, but gets no traffic share until you release it.

    The first version of a new model is released at once, because there is no stable version to compare it with.
    """
    connection = connect(PlatformLocation(state))
    route = deploy(
        connection.store,
        folder,
        instances=instances,
        now=datetime.now(UTC),
        actor=connection.actor,
        reason=reason or f"deploy {folder.name}",
    )
    if as_json:
        print(json.dumps(route.to_json()))
        return
    print(f"{route.name}: versions {', '.join(route.spec.versions)}; target {route.spec.target.version}")
    version, head = read_manifest(folder).version, connection.store.head(route.name)
    ref = route.spec.versions[version].ref(version)
    rejected = next((one for one in head.state.rejected if one.ref == ref), None) if head is not None else None
    if rejected is not None:
        print(f"{version} was rejected in revision {route.name}.{rejected.revision}: {rejected.reason}")
    if version != route.spec.target.version:
        release = f"fairlead release {route.name} {version}{' --retry' if rejected is not None else ''}, or "
    else:
        release = f"fairlead retry {route.name}, or " if rejected is not None else ""
    print(f"next: {release}fairlead status {route.name}")
