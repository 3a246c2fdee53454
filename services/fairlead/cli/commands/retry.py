"""`fairlead retry`."""

from __future__ import annotations

from fairlead.cli import action_client

command = action_client.command_for(
    "retry", "Start a new attempt of the target from the first step. Use it after a rollback, when the cause is fixed."
)
