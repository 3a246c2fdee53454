"""`fairlead pause`."""

from __future__ import annotations

from fairlead.cli import action_client

command = action_client.command_for("pause", "Freeze the rollout's step and weight; traffic stays as it is.")
