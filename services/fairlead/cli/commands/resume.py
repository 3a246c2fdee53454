"""`fairlead resume`."""

from __future__ import annotations

from fairlead.cli import action_client

command = action_client.command_for("resume", "Resume a paused rollout in the step where it was paused.")
