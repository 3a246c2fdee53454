"""How a process ended, in words."""

from __future__ import annotations

import signal

UNKNOWN_CODE = 256
"""The return code of a process that is not our child: nobody can tell how it ended."""


def how_it_ended(code: int) -> str:
    """How a process ended, by its return code: negative numbers are signals."""
    if code == UNKNOWN_CODE:
        return "ended"
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"
    except ValueError:
        return f"was ended by signal {-code}"
