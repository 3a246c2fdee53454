"""`fairlead control-plane`: what `fairlead up` starts beside the gateway, and the chart in a cluster."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from fairlead import logs
from fairlead.cli import optional_modules
from fairlead.cli.options import DEFAULT_STATE, StateOption
from fairlead.control import app, cluster
from fairlead.local.state import StateFolder


def command(
    state: StateOption = DEFAULT_STATE,
    in_cluster: Annotated[
        bool, typer.Option("--cluster", help="Run one replica of a cluster's, as its environment says.")
    ] = False,
) -> None:
    """Run the control plane of the platform in this folder, or with --cluster of the one in this namespace."""
    logs.configure("info")
    if in_cluster:
        optional_modules.load("fairlead.control.kubernetes").run(cluster.Facts.from_environment(os.environ))
        return
    folder = StateFolder(state)
    app.run(folder.ledger, folder.gateway, folder.running())
