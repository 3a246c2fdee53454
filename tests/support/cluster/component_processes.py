"""Starts, watches and kills the processes of one cluster, which are children of its keeper."""

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
    """For `preexec_fn`: the kernel kills this process when its parent process ends."""
    if hasattr(_LIBC, "prctl"):
        _LIBC.prctl(_DIE_WITH_PARENT, signal.SIGKILL)


class ComponentProcesses:
    """The processes of all components. Reaps every child, also the orphans that process 1 of a namespace inherits."""

    def __init__(self, components: Sequence[Component], logs: Path) -> None:
        self.all = list(components)
        self._logs = logs
        self._pids: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        logs.mkdir(parents=True, exist_ok=True)

    def start(self, component: Component) -> None:
        """Start a component, at most once per second."""
        if time.monotonic() < self._not_before.get(component.name, 0):
            return
        self._not_before[component.name] = time.monotonic() + 1
        with self._log(component).open("ab") as out:
            process = subprocess.Popen(
                component.command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=die_with_parent
            )
        self._pids[component.name] = process.pid
        process.returncode = 0  # `reap` waits for it, not the Popen object

    def reap(self) -> None:
        """Wait for all children that have ended, and drop their pids."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._pids = {name: known for name, known in self._pids.items() if known != pid}

    def down(self) -> list[Component]:
        """The components that do not run."""
        return [component for component in self.all if component.name not in self._pids]

    def pids(self) -> dict[str, int]:
        """The pids of the running components, in the process namespace of this process."""
        return dict(self._pids)

    def kill(self) -> None:
        """Kill all of them at once. They need no clean shutdown, because their data is deleted with the cluster."""
        for pid in self._pids.values():
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while self._pids and time.monotonic() < deadline:
            self.reap()
            time.sleep(0.01)

    def tail(self, component: Component, lines: int = 20) -> str:
        """The end of a component's log."""
        return "\n".join(self._log(component).read_text(errors="replace").splitlines()[-lines:])

    def _log(self, component: Component) -> Path:
        return self._logs / f"{component.name}.log"
