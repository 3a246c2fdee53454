"""The processes that a killed supervisor left running, and how the next one goes on with them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fairlead.contracts.exit_status import UNKNOWN_CODE

POLL_INTERVAL_S = 0.1


@dataclass(frozen=True, slots=True)
class Known:
    """A process as `children.json` has it. A pid alone may be another process's by now."""

    pid: int
    started: str
    """When it started, as `start_time` gives it."""
    command: str = ""
    """The digest of its command and its settings (`child.Child`); empty if an earlier Fairlead wrote this."""

    @property
    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return start_time(self.pid) == self.started


class Adopted:
    """A process that is not our child, with the methods of one. The kernel does not tell us how it ended."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.pid = known.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs, then UNKNOWN_CODE."""
        return None if self.known.is_alive else UNKNOWN_CODE

    async def wait(self) -> int:
        """Wait until it has ended."""
        while self.returncode is None:
            await asyncio.sleep(POLL_INTERVAL_S)
        return UNKNOWN_CODE

    def send_signal(self, number: int) -> None:
        """Send it a signal. Raises ProcessLookupError if it has ended."""
        if not self.known.is_alive:
            raise ProcessLookupError
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once. Raises ProcessLookupError if it has ended."""
        self.send_signal(signal.SIGKILL)


class LeftBehind:
    """What a killed supervisor left, by name, until somebody takes it."""

    def __init__(self, known: Mapping[str, Known] | None = None) -> None:
        self._known = dict(known or {})

    def __contains__(self, name: str) -> bool:
        return name in self.known

    @property
    def known(self) -> dict[str, Known]:
        """Those that run and that nobody has taken yet."""
        return {name: one for name, one in self._known.items() if one.is_alive}

    def can_go_on(self, name: str, command: str) -> bool:
        """Whether there is such a process, and it is what this command would start."""
        return name in self and self._known[name].command == command

    def take(self, name: str) -> Adopted | None:
        """The process of this name, which the caller looks after from now on."""
        known = self._known.pop(name, None)
        return Adopted(known) if known is not None and known.is_alive else None


def start_time(pid: int) -> str | None:
    """The process's start time in the kernel's clock ticks; None if it does not exist. With the pid it is unique."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None if not _alive(pid) else "unknown"
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return not Path("/proc").exists()
