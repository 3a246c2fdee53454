"""`fairlead control-plane`: started by `fairlead up` on a machine and by the chart in a cluster."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from fairlead import logs
from fairlead.cli import optional_modules
from fairlead.cli.options import DEFAULT_STATE, StateOption
from fairlead.control import app
from fairlead.control.chart_settings import ChartSettings
from fairlead.local.state import StateFolder


def command(
    state: StateOption = DEFAULT_STATE,
    in_cluster: Annotated[
        bool, typer.Option("--cluster", help="Run as a replica in a cluster; environment variables set it up.")
    ] = False,
) -> None:
    """Run the control plane of a state folder, or with --cluster a replica of the one in this namespace."""
    logs.configure("info")
    if in_cluster:
        optional_modules.load("fairlead.control.kubernetes").run(ChartSettings.from_environment(os.environ))
        return
    folder = StateFolder(state)
    app.run(folder.ledger, folder.gateway, folder.running(), own_key=folder.own_key())
