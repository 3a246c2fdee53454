"""`fairlead retry`."""

from __future__ import annotations

from fairlead.cli import action_client

command = action_client.command_for(
    "retry", "Try the target again after it was rolled back: a new attempt, from the first step."
)
