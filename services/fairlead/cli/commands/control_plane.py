"""`fairlead control-plane`: what `fairlead up` starts beside the gateway."""

from __future__ import annotations

from fairlead import logs
from fairlead.cli.options import DEFAULT_STATE, StateOption
from fairlead.control import app
from fairlead.local.state import StateFolder


def command(state: StateOption = DEFAULT_STATE) -> None:
    """Run the control plane of the platform in this folder."""
    logs.configure("info")
    folder = StateFolder(state)
    app.run(folder.ledger, folder.gateway, folder.running())
