"""Checks the length of a pause. Loaded only when one is given: other actions should not wait for these imports."""

from __future__ import annotations

from fairlead import errors
from fairlead.contracts.action import PAUSE_LIMITS_S, pause_limits
from fairlead.contracts.base import seconds_of


def checked(text: str) -> str:
    """The text, if it is a length that the engine accepts. Raises Invalid."""
    seconds = seconds_of(text)
    if seconds is None:
        raise errors.Invalid(f"--for {text}: not a duration", hint="write it like 90s, 30m, 2h or 1h30m")
    if not PAUSE_LIMITS_S[0] <= seconds <= PAUSE_LIMITS_S[1]:
        raise errors.Invalid(f"--for {text}: {pause_limits()}")
    return text
