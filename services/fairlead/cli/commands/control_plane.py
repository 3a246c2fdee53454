"""`fairlead control-plane`: what `fairlead up` starts beside the gateway."""

from __future__ import annotations

import logging

from fairlead.cli.options import DEFAULT_STATE, StateOption
from fairlead.control import app
from fairlead.local.state import StateFolder


def command(state: StateOption = DEFAULT_STATE) -> None:
    """Run the control plane of the platform in this folder."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    folder = StateFolder(state)
    app.run(folder.ledger, folder.gateway, folder.running())
