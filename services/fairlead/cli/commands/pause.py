"""`fairlead pause`."""

from __future__ import annotations

from fairlead.cli import ask

command = ask.command_for("pause", "Freeze the rollout's step and weight; traffic stays as it is.")
