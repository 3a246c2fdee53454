"""The supervisor: control plane, gateway and model services as children, from the first start to the last stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from fairlead.contracts.instance import Instance
from fairlead.contracts.platform import Platform, Run
from fairlead.local import envoy, ports
from fairlead.local.child import Child
from fairlead.local.services import Command, Services, serve
from fairlead.local.state import StateFolder
from fairlead.store.base import Store

LOOK_S = 0.05
"""How often the store is asked whether anything changed; the question costs microseconds."""
BOOTSTRAP_WAIT_S = 30.0


class Supervisor:
    """Keeps everything running. It decides nothing: which services should run, the control plane writes down."""

    def __init__(
        self,
        state: StateFolder,
        store: Store,
        platform: Platform,
        binary: Path,
        *,
        command: Command = serve,
        gateway_options: Sequence[str] = (),
    ) -> None:
        """`command` starts an instance; `gateway_options` come after Envoy's own."""
        self._state = state
        self._store = store
        self._stopping = asyncio.Event()
        self.run_facts = Run(
            pid=os.getpid(),
            gateway=platform.gateway,
            control=platform.control,
            metrics=platform.metrics,
            admin_port=ports.pick({platform.gateway.port, platform.control.port}),
        )
        self.services = Services(store, state.logs, command)
        self.control = Child(
            "control-plane",
            [sys.executable, "-m", "fairlead.cli.main", "control-plane", "--state", str(state.root)],
            state.logs / "control-plane.log",
            on_start=lambda pid: self._note(),
        )
        self.gateway = Child(
            "gateway",
            [*envoy.argv(binary, state.gateway / "bootstrap.json"), *gateway_options],
            state.logs / "gateway.log",
            on_start=lambda pid: self._note(),
        )

    async def run(self, once_up: Callable[[], Awaitable[None]]) -> None:
        """Start everything, do `once_up`, stay until a signal, stop everything. Errors of `once_up` stop it too."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)
        # The gateway waits for the first configuration, which the control plane writes before it starts up.
        (self._state.gateway / "bootstrap.json").unlink(missing_ok=True)
        self._state.write_run(self.run_facts)
        control, gateway, align = (
            asyncio.create_task(work) for work in (self.control.run(), self._run_gateway(), self._align())
        )
        try:
            await self._unless_stopped(once_up())
            await self._stopping.wait()
        finally:
            align.cancel()
            await self._stop(gateway)
            await asyncio.gather(control, gateway, align, return_exceptions=True)
            self._state.write_children({})

    def end(self) -> None:
        """As a signal would: run() stops everything and returns."""
        self._stopping.set()

    async def _run_gateway(self) -> None:
        bootstrap = self._state.gateway / "bootstrap.json"
        while not bootstrap.exists():
            await asyncio.sleep(LOOK_S)
        await self.gateway.run()

    async def _align(self) -> None:
        token: object = None
        while True:
            fresh = self._store.change_token()
            if fresh != token:
                token = fresh
                self.services.align()
                self._note()
            await asyncio.sleep(LOOK_S)

    async def _unless_stopped(self, work: Awaitable[None]) -> None:
        """Wait for the work or for Ctrl-C, whichever is first; what the work raises is raised."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not task.done():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _stop(self, gateway: asyncio.Task[None]) -> None:
        """The gateway drains first, while everything behind it still answers; then the rest."""
        if self.gateway.pid is not None:
            await envoy.drain(self.run_facts.admin_port)
        gateway.cancel()
        await self.gateway.stop(5.0)
        await asyncio.gather(self.control.stop(10.0), self.services.stop())

    def _note(self) -> None:
        children = [self.control, self.gateway, *self.services.children()]
        self._state.write_children({child.name: child.pid for child in children if child.pid is not None})
        self._state.write_targets(targets(self.run_facts, self._store.instances()))


def targets(run: Run, instances: Sequence[Instance]) -> list[dict[str, object]]:
    """Who can be scraped here, as `file_sd_configs` of Prometheus reads it. Labels are those that a cluster's have."""
    gateway = {"job": "fairlead-gateway", "__metrics_path__": "/stats/prometheus"}
    found: list[dict[str, object]] = [{"targets": [f"{ports.LOOPBACK}:{run.admin_port}"], "labels": gateway}]
    for one in instances:
        labels = {"job": "fairlead-model", "namespace": one.namespace, "identity": one.ref.identity}
        found.append({"targets": [f"{one.host}:{one.port}"], "labels": labels})
    return found


async def stop_orphans(state: StateFolder, grace_s: float = 10.0) -> list[str]:
    """Stop what a killed supervisor left running in this folder; the names of what was stopped."""
    orphans = state.orphans()
    for pid in orphans.values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    for _ in range(int(grace_s * 20)):
        if not state.orphans():
            break
        await asyncio.sleep(0.05)
    for pid in state.orphans().values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return sorted(orphans)
