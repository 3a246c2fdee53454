"""`fairlead approve`."""

from __future__ import annotations

from fairlead.cli import action_client

command = action_client.command_for("approve", "Let the rollout take the step that waits for a person.")
