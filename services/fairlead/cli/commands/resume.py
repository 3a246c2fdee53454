"""`fairlead resume`."""

from __future__ import annotations

from fairlead.cli import ask

command = ask.command_for("resume", "Let a paused rollout go on.")
