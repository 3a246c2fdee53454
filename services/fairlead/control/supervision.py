"""Whether the rows of the instances of one machine are current: their writer, the supervisor, shows that it watches."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from fairlead.contracts.health import STALE_AFTER_S

NOTE = "supervised"
"""The file in the state folder that the supervisor touches every two seconds (local.state)."""
SILENT = "which instances are ready is not known: `fairlead up` has not looked after its processes for some time"


class Supervision:
    """Follows the time of the note. Only whether it changes counts: it is no time of this clock, which may be set."""

    def __init__(self, folder: Path, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._note, self._monotonic = folder / NOTE, monotonic
        self._noted, self._since = 0, monotonic()

    def why_unknown(self) -> str:
        """Why nobody knows which instances are ready, without a running time; empty while the supervisor watches."""
        try:
            noted = self._note.stat().st_mtime_ns
        except OSError:
            return ""  # something else writes the rows
        now = self._monotonic()
        if noted != self._noted:
            self._noted, self._since = noted, now
        return SILENT if now - self._since > STALE_AFTER_S else ""
