"""`fairlead approve`."""

from __future__ import annotations

from fairlead.cli import action_client

command = action_client.command_for(
    "approve",
    "Approve the step at which a rollout waits, so that it continues. A step with `approval: true` needs this.",
)
