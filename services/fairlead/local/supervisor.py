"""The supervisor: starts, restarts and stops the control plane, the gateway and the model services."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from fairlead import errors, logs
from fairlead.contracts.drift_telemetry import DRIFT_PATH
from fairlead.contracts.exit_status import how_it_ended
from fairlead.contracts.instance import Instance
from fairlead.contracts.platform import Platform, RunningPlatform
from fairlead.contracts.tracing import of_services
from fairlead.local import envoy, ports
from fairlead.local.child import PROGRAM, Child, end, made_here
from fairlead.local.left_behind import Adopted, LeftBehind
from fairlead.local.log_files import CONTROL, GATEWAY, SUPERVISOR
from fairlead.local.log_rotation import rotate
from fairlead.local.services import Command, Services, serve
from fairlead.local.state import StateFolder
from fairlead.store.base import Store

logger = logging.getLogger(__name__)

POLL_INTERVAL_S = 0.05
"""How often the store is polled for changes; a poll costs microseconds."""
NOTE_INTERVAL_S = 2.0
"""How often the supervisor notes that it watches: one that hangs restarts nothing and reports nothing."""
BOOTSTRAP_WAIT_S = 30.0


class Supervisor:
    """Keeps all processes running. The control plane decides which services should run and writes that to the store."""

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
        """`command` returns an instance's command line; `gateway_options` are appended to Envoy's arguments."""
        self._state = state
        self._store = store
        self._binary = binary
        self._stopping = asyncio.Event()
        left = state.orphans()
        ours = LeftBehind({name: left.pop(name) for name in (CONTROL, GATEWAY) if name in left})
        last = state.last_run()
        self.run_facts = RunningPlatform(
            pid=os.getpid(),
            gateway=platform.gateway,
            control=platform.control,
            metrics=platform.metrics,
            admin_port=last.admin_port if last is not None and GATEWAY in ours else ports.pick(fixed_ports(platform)),
        )
        self.services = Services(store, state.logs, command, LeftBehind(left), of_services(platform.gateway.tracing))
        self.control = Child(
            CONTROL,
            [*PROGRAM, "control-plane", "--state", str(state.root)],
            state.logs / "control-plane.log",
            on_start=lambda pid: self._note(),
            on_exit=lambda code: _warn(CONTROL, code),
            left=ours,
            # It read the facts of the run when it started.
            made_from=lambda: (made_here(), self.run_facts.model_dump(mode="json", exclude={"pid"})),
        )
        self.gateway = Child(
            GATEWAY,
            [*envoy.argv(binary, state.gateway / "bootstrap.json"), *gateway_options],
            state.logs / "gateway.log",
            on_start=lambda pid: self._note(),
            on_exit=lambda code: _warn(GATEWAY, code),
            left=ours,
            # Envoy is the same in every Fairlead, as long as its bootstrap is.
            made_from=lambda: (self._binary.stat().st_mtime_ns, self._bootstrap.read_text()),
        )
        self._ours = ours

    @property
    def _bootstrap(self) -> Path:
        return self._state.gateway / "bootstrap.json"

    async def run(self, after_start: Callable[[], Awaitable[None]]) -> None:
        """Start everything, await `after_start`, wait for a signal, and stop everything.

        An error in `after_start` stops everything as well, and is raised.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # A terminal that is closed stops the platform as Ctrl-C does, unless nohup ignores it.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._stopping.set)
        # One file for each state folder: beside the platform of `up`, a process may have one of a rehearsal.
        log = logs.write_to(self._state.logs / f"{SUPERVISOR}.log", "fairlead.local")
        logger.info("the platform starts", extra={"supervisor": os.getpid()})
        if not self.control.can_go_on:
            # Remove the old bootstrap file: the gateway starts when the control plane has written a new one.
            self._bootstrap.unlink(missing_ok=True)
        self._state.write_run(self.run_facts)
        control, gateway, align = (
            asyncio.create_task(work) for work in (self.control.run(), self._run_gateway(), self._align())
        )
        try:
            await self._unless_stopped(after_start())
            await self._stopping.wait()
        finally:
            align.cancel()
            await self._stop(gateway)
            await asyncio.gather(control, gateway, align, return_exceptions=True)
            self._state.write_children({})
            logger.info("the platform has stopped")
            logs.close(log, "fairlead.local")

    def end(self) -> None:
        """Make run() stop everything and return, like a signal."""
        self._stopping.set()

    async def _run_gateway(self) -> None:
        while not self._bootstrap.exists():
            await asyncio.sleep(POLL_INTERVAL_S)
        await self.gateway.run()

    async def _align(self) -> None:
        token: object = None
        loop, due = asyncio.get_running_loop(), 0.0
        while True:
            with contextlib.suppress(errors.Unavailable):  # the store is locked: the token stays, so it is tried again
                fresh = self._store.change_token()
                if fresh != token:
                    self.services.align()
                    self._note()
                    token = fresh
            if loop.time() >= due:
                due = loop.time() + NOTE_INTERVAL_S
                self._state.note_supervised()
                for name in await asyncio.to_thread(rotate, self._state.logs):
                    logger.info("the log of %s was full: its lines are in %s.log.1 now", name, name)
            await asyncio.sleep(POLL_INTERVAL_S)

    async def _unless_stopped(self, work: Awaitable[None]) -> None:
        """Wait for the work or for Ctrl-C, whichever comes first. Exceptions of the work are raised."""
        task = asyncio.ensure_future(work)
        stopped = asyncio.create_task(self._stopping.wait())
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not task.done():
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _stop(self, gateway: asyncio.Task[None]) -> None:
        """Drain and stop the gateway first, while the services still answer; then stop the rest."""
        if self.gateway.pid is not None:
            await envoy.drain(self._state.admin_socket)
        gateway.cancel()
        await self.gateway.stop(5.0)
        await asyncio.gather(self.control.stop(10.0), self.services.stop())

    def _note(self) -> None:
        found = self._ours.known | self.services.known()
        for child in (self.control, self.gateway):
            if (known := child.known) is not None:
                found[child.name] = known
        self._state.write_children(found)
        self._state.write_targets(targets(self.run_facts, self._store.instances()))


def _warn(name: str, code: int) -> None:
    logger.warning("the %s %s and is restarted", name, how_it_ended(code), extra={"source": name})


NAMESPACE = "default"
"""The namespace of all routes of one machine."""


def fixed_ports(platform: Platform) -> set[int]:
    """The ports that the platform file names: processes that start later listen there."""
    tls = platform.gateway.tls
    return {platform.gateway.port, platform.control.port, *(() if tls is None else (tls.port,))}


def targets(run: RunningPlatform, instances: Sequence[Instance]) -> list[dict[str, object]]:
    """The scrape targets in the format of Prometheus' `file_sd_configs`, with the same labels as in a cluster."""

    def target(host: str, port: int, process: str, namespace: str, **labels: str) -> dict[str, object]:
        found = {"job": f"fairlead-{process}", "namespace": namespace, "fairlead_process": process, **labels}
        return {"targets": [f"{host}:{port}"], "labels": found}

    def drift(one: Instance) -> dict[str, object]:
        """No fairlead_process: a version of an earlier release has no such page, which is no alert."""
        labels = {"job": "fairlead-model-drift", "namespace": one.namespace, "identity": one.ref.identity}
        return {"targets": [f"{one.host}:{one.port}"], "labels": {**labels, "__metrics_path__": DRIFT_PATH}}

    return [
        target(ports.LOOPBACK, run.admin_port, "gateway", NAMESPACE, __metrics_path__="/stats/prometheus"),
        target(ports.LOOPBACK, run.control.port, "control-plane", NAMESPACE),
        *(target(one.host, one.port, "model", one.namespace, identity=one.ref.identity) for one in instances),
        *map(drift, instances),
    ]


async def stop_orphans(state: StateFolder, grace_s: float = 10.0) -> list[str]:
    """Stop the processes that a killed supervisor left running in this folder, and return their names."""
    orphans = state.orphans()
    await asyncio.gather(*(end(Adopted(known), grace_s) for known in orphans.values()))
    return sorted(orphans)
