"""`fairlead pause`."""

from __future__ import annotations

from fairlead.cli import action_client

command = action_client.command_for(
    "pause", "Pause a rollout: its step and weight stay as they are until `fairlead resume` or `fairlead rollback`."
)
