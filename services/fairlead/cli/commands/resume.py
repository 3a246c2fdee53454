"""`fairlead resume`."""

from __future__ import annotations

from fairlead.cli import action_client

command = action_client.command_for("resume", "Let a paused rollout go on.")
