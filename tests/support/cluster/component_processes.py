"""The running processes of one cluster, all of them children of its keeper."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from support.cluster.control_plane import Component

_DIE_WITH_PARENT = 1  # prctl(PR_SET_PDEATHSIG, ...)
_LIBC = ctypes.CDLL(None)


def die_with_parent() -> None:
    """For `preexec_fn`: the kernel kills this process when the one that started it is gone."""
    if hasattr(_LIBC, "prctl"):
        _LIBC.prctl(_DIE_WITH_PARENT, signal.SIGKILL)


class ComponentProcesses:
    """Starts components and knows which of them run; reaps every child, also those a first process inherits."""

    def __init__(self, components: Sequence[Component], logs: Path) -> None:
        self.all = list(components)
        self._logs = logs
        self._pids: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, part: Component) -> None:
        """Start it, but not more than once in a second."""
        if time.monotonic() < self._not_before.get(part.name, 0):
            return
        self._not_before[part.name] = time.monotonic() + 1
        with self._log(part).open("ab") as out:
            process = subprocess.Popen(
                part.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=die_with_parent
            )
        self._pids[part.name] = process.pid
        process.returncode = 0  # reaped by `reap`, never by the object

    def reap(self) -> None:
        """Take note of children that ended."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._pids = {name: known for name, known in self._pids.items() if known != pid}

    def down(self) -> list[Component]:
        """Those that do not run."""
        return [part for part in self.all if part.name not in self._pids]

    def pids(self) -> dict[str, int]:
        """Of those that run, as this process sees them."""
        return dict(self._pids)

    def kill(self) -> None:
        """All of them, at once: nothing they hold outlives the cluster."""
        for pid in self._pids.values():
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while self._pids and time.monotonic() < deadline:
            self.reap()
            time.sleep(0.01)

    def tail(self, part: Component, lines: int = 20) -> str:
        """The end of its log."""
        return "\n".join(self._log(part).read_text(errors="replace").splitlines()[-lines:])

    def _log(self, part: Component) -> Path:
        return self._logs / f"{part.name}.log"
