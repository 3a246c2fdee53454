"""`fairlead deploy`."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fairlead.cli.check_first import SkipCheckOption, check_first
from fairlead.cli.connect import connect
from fairlead.cli.options import DEFAULT_STATE, JsonOption, PlatformLocation, ReasonOption, StateOption
from fairlead.cli.output import say
from fairlead.cli.state_age import state_age
from fairlead.cli.type_changes import say_type_changes
from fairlead.contracts import manifest_file, requirements
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.next_commands import releasing
from fairlead.contracts.route import VersionSpec
from fairlead.local.apply import deploy
from fairlead.local.copy_progress import CopyProgress
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
    skip_check: SkipCheckOption = False,
    state: StateOption = DEFAULT_STATE,
    as_json: JsonOption = False,
) -> None:
    """Add a model version to its route. It starts and can be pinned, but gets no traffic share until you release it.

    A new version is checked first, as `fairlead check` does it. One that is not fit is not deployed (exit code 1).

    The first version of a new model is released at once, because there is no stable version to compare it with. For a
    version that is deployed already, --instances changes how many processes serve it, also during a rollout.
    """
    location = PlatformLocation(state)
    connection, here = connect(location), StateFolder(state)
    copies = VersionCopies(here.versions, CopyProgress(Console(stderr=True)))

    def check(manifest: Manifest, version: VersionSpec) -> None:
        if not skip_check:
            check_first(here, f"{manifest.name} {manifest.version}", folder, version.folder)

    route = deploy(
        connection.store,
        folder,
        copies,
        instances=instances,
        now=datetime.now(UTC),
        actor=connection.actor,
        reason=reason or f"deploy {folder.name}",
        check=check,
    )
    warnings = [*small_shares(route.spec.strategy, route.spec.mirrors)]
    if missing := requirements.unmet(folder):
        warnings.append(f"{'; '.join(missing)}\n  {requirements.install_command(folder)}")
    for found in warnings:
        say(f"warning: {route.name}: {found}", to=sys.stderr if as_json else sys.stdout)
    version, head = manifest_file.read(folder).version, connection.store.head(route.name)
    if as_json:
        say_type_changes(here, route, head, version, to=sys.stderr)
        print(json.dumps(route.to_json()))
        return
    say(f"{route.name}: versions {', '.join(route.spec.versions)}; target {route.spec.target.version}")
    count = route.spec.versions[version].instances
    say(f"{version}: {count} instance{'' if count == 1 else 's'}")
    say_type_changes(here, route, head, version)
    ref = route.spec.versions[version].ref(version)
    rejected = head.state.rejection_of(ref) if head is not None and head.table.stable != ref else None
    if rejected is not None:
        say(f"{version} was rejected in revision {route.name}.{rejected.revision}: {rejected.reason}")
    age = state_age(location, connection.store, datetime.now(UTC))
    if age.problem:
        say(f"{age.problem}: {age.hint}")
    commands = [releasing(route, head, version), f"fairlead status {route.name}"]
    # Without a control plane nothing is tried again; a release is stored for it.
    can = [one for one in commands if one and not (age.problem and "retry" in one)]
    say(f"next: {', or '.join(location.with_options(one) for one in can)}")
