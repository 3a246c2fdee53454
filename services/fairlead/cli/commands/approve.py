"""`fairlead approve`."""

from __future__ import annotations

from fairlead.cli import ask

command = ask.command_for("approve", "Let the rollout take the step that waits for a person.")
