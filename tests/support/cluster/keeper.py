"""The supervisor process of one cluster: it starts the components in order, restarts those that die, and ends them all.

    python -m support.cluster.keeper FOLDER [--until-eof]

It ends on SIGTERM. With `--until-eof` it also ends when its input closes, so a killed test run leaves no processes.
A file `hold/<name>` keeps a component down until the file is removed. Tests use it to stop an API server for a minute.
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
    """All components of the cluster, in the order in which they start."""
    found = [
        Component(
            "etcd", control_plane.etcd(plan), lambda: health.answers(f"http://127.0.0.1:{plan.ports.etcd}/health")
        ),
        Component("kube-apiserver", control_plane.apiserver(plan), lambda: health.api_is_ready(plan)),
        Component("kube-controller-manager", control_plane.controller_manager(plan)),
        Component("kube-scheduler", control_plane.scheduler(plan)),
        Component("kwok", control_plane.kwok(plan)),
    ]
    return found + node.components(plan) if plan.tier == "node" else found


class Keeper:
    """Runs the components of one cluster until it is asked to end."""

    def __init__(self, plan: Layout, *, until_eof: bool) -> None:
        self._plan = plan
        self._processes = ComponentProcesses(components(plan), plan.logs)
        self._until_eof = until_eof
        self._asked_to_end = False

    def run(self) -> None:
        """Start all components, restart those that die, and kill all of them at the end."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: setattr(self, "_asked_to_end", True))
        try:
            self._start()
            while not self._should_end():
                self._processes.reap()
                for component in self._processes.down():
                    if not hold_file(self._plan.folder, component.name).exists():
                        self._processes.start(component)
                self._write_state("ready")
                self._sleep(0.2)
        finally:
            self._processes.kill()

    def _start(self) -> None:
        self._write_state("starting")
        for component in self._processes.all:
            self._processes.start(component)
            deadline = time.monotonic() + 120
            while not component.is_ready():
                self._processes.reap()
                if self._should_end():
                    return
                if component in self._processes.down() or time.monotonic() > deadline:
                    log = self._processes.tail(component)
                    self._write_state("failed", f"{component.name} did not become ready; the end of its log:\n{log}")
                    self._asked_to_end = True
                    return
                self._sleep(0.05)

    def _should_end(self) -> bool:
        return self._asked_to_end

    def _sleep(self, seconds: float) -> None:
        if not self._until_eof:
            time.sleep(seconds)
        elif select.select([sys.stdin], [], [], seconds)[0] and not os.read(sys.stdin.fileno(), 1):
            self._asked_to_end = True

    def _write_state(self, phase: Phase, reason: str = "") -> None:
        write(self._plan.folder, State(phase, os.getpid(), self._processes.pids(), reason))


def run(plan: Layout, *, until_eof: bool, inside: bool) -> None:
    """Run the cluster with this layout until asked to end. `inside`: this process is in the node's namespaces."""
    if plan.tier == "control_plane":
        control_plane.prepare(plan)
        Keeper(plan, until_eof=until_eof).run()
    elif inside:
        isolation.set_up_inside(plan)
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
        run(plan, until_eof=given.until_eof, inside=given.inside)
    except Exception as failure:
        write(plan.folder, State("failed", os.getpid(), {}, f"{type(failure).__name__}: {failure}"))
        raise
    if not given.inside:
        shutil.rmtree(plan.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
