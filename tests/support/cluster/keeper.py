"""The process that holds one cluster: it starts the parts in order, restarts what dies, and takes everything down.

    python -m support.cluster.keeper FOLDER [--until-eof]

It ends on SIGTERM, and with `--until-eof` also when its input closes: a test run that is killed leaves nothing behind.
A file `hold/<name>` keeps a part down until the file is gone: that is how tests stop an API server for a minute.
"""

from __future__ import annotations

import argparse
import os
import select
import shutil
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from support.cluster import control_plane, health, isolation, layout, node
from support.cluster.component_processes import ComponentProcesses
from support.cluster.control_plane import Component
from support.cluster.layout import Layout
from support.cluster.state import Phase, State, hold_file, write


def components(plan: Layout) -> list[Component]:
    """All parts of the cluster, in the order in which they start."""
    parts = [
        Component(
            "etcd", control_plane.etcd(plan), lambda: health.answers(f"http://127.0.0.1:{plan.ports.etcd}/health")
        ),
        Component("kube-apiserver", control_plane.apiserver(plan), lambda: health.api_is_ready(plan)),
        Component("kube-controller-manager", control_plane.controller_manager(plan)),
        Component("kube-scheduler", control_plane.scheduler(plan)),
        Component("kwok", control_plane.kwok(plan)),
    ]
    return parts + node.components(plan) if plan.tier == "node" else parts


class Keeper:
    """Runs the parts of one cluster until it is told to end."""

    def __init__(self, plan: Layout, *, until_eof: bool) -> None:
        self._plan = plan
        self._parts = ComponentProcesses(components(plan), plan.logs)
        self._until_eof = until_eof
        self._asked_to_end = False

    def run(self) -> None:
        """Start, watch, and at the end leave no process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "_asked_to_end", True))
        try:
            self._start()
            while not self._should_end():
                self._parts.reap()
                for part in self._parts.down():
                    if not hold_file(self._plan.folder, part.name).exists():
                        self._parts.start(part)
                self._tell("ready")
                self._rest(0.2)
        finally:
            self._parts.kill()

    def _start(self) -> None:
        self._tell("starting")
        for part in self._parts.all:
            self._parts.start(part)
            deadline = time.monotonic() + 120
            while not part.is_ready():
                self._parts.reap()
                if self._should_end():
                    return
                if part in self._parts.down() or time.monotonic() > deadline:
                    self._tell(
                        "failed", f"{part.name} did not become ready; the end of its log:\n{self._parts.tail(part)}"
                    )
                    self._asked_to_end = True
                    return
                self._rest(0.05)

    def _should_end(self) -> bool:
        return self._asked_to_end

    def _rest(self, seconds: float) -> None:
        if not self._until_eof:
            time.sleep(seconds)
        elif select.select([sys.stdin], [], [], seconds)[0] and not os.read(sys.stdin.fileno(), 1):
            self._asked_to_end = True

    def _tell(self, phase: Phase, reason: str = "") -> None:
        write(self._plan.folder, State(phase, os.getpid(), self._parts.pids(), reason))


def hold(plan: Layout, *, until_eof: bool, inside: bool) -> None:
    """Hold the cluster described in the folder until told to end."""
    if plan.tier == "control_plane":
        control_plane.prepare(plan)
        Keeper(plan, until_eof=until_eof).run()
    elif inside:
        isolation.furnish(plan)
        node.prepare(plan)
        Keeper(plan, until_eof=False).run()
    else:
        control_plane.prepare(plan)
        with ExitStack() as undo:
            inner = isolation.enter(plan, [sys.executable, "-m", __spec__.name, str(plan.folder), "--inside"], undo)
            isolation.wait(inner, until_eof=until_eof)


def main() -> None:
    """The command line of the module's docstring."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--until-eof", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    plan = layout.read(given.folder)
    try:
        hold(plan, until_eof=given.until_eof, inside=given.inside)
    except Exception as failure:
        write(plan.folder, State("failed", os.getpid(), {}, f"{type(failure).__name__}: {failure}"))
        raise
    if not given.inside:
        shutil.rmtree(plan.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
