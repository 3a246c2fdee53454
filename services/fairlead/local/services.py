"""Model service processes: started from the wanted rows of the store, with their state reported as instance rows."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from fairlead import errors
from fairlead.contracts import recording
from fairlead.contracts.exit_status import how_it_ended
from fairlead.contracts.instance import Instance, Wanted
from fairlead.local import log_files, ports
from fairlead.local.child import PROGRAM, Child, end
from fairlead.local.failure import Failure, why_unready
from fairlead.local.left_behind import Adopted, Known, LeftBehind
from fairlead.local.probe import Reply, ask_async
from fairlead.local.state import STARTED_WITH
from fairlead.local.versions import why_not_started
from fairlead.logs import append_line
from fairlead.store.base import InstanceStore

logger = logging.getLogger(__name__)

PROBE_STARTING_S = 0.1
PROBE_READY_S = 1.0
LIVENESS_S = 60.0
"""How long a process that was ready may fail /livez before it is restarted; a cluster's probes need as long."""
STOP_GRACE_S = 15.0
DRAIN_S = 1.0
"""How long a stopping service still answers. The gateway removes its endpoint well before that."""

Command = Callable[[Wanted, int], Sequence[str]]
"""Returns the command line that starts an instance on a port."""


def serve(wanted: Wanted, port: int) -> Sequence[str]:
    """The command line `fairlead serve FOLDER`."""
    return [*PROGRAM, "serve", wanted.source, "--port", str(port)]


class Service:
    """One instance: its process, its port, and its readiness from /readyz."""

    def __init__(
        self,
        wanted: Wanted,
        port: int,
        logs: Path,
        report: Callable[[Instance], None],
        command: Command,
        left: LeftBehind | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.wanted = wanted
        self.port = port
        self._report_row = report
        self._last: tuple[object, ...] = ()
        self._stopping = False
        self._refused = ""
        self._was_ready: int | None = None  # the process that was ready last
        self._alive_at = 0.0
        self._failure = Failure()
        self._is_replaced = False  # its process is being ended, so that another one is tried
        name = log_files.name_of(wanted.model, wanted.ref, wanted.index)
        self.child = Child(
            name,
            command(wanted, port),
            logs / f"{name}.log",
            environment={
                "FAIRLEAD_SERVING_DRAIN_S": str(DRAIN_S),
                "FAIRLEAD_SERVING_FOLDER_SHA256": wanted.folder,
                recording.RECORD_DIR: str(
                    logs.parent.absolute() / recording.FOLDER / wanted.model / wanted.ref.version
                ),
                **(environment or {}),
            },
            on_start=self._started,
            why_not=self._why_not,
            on_exit=self._exited,
            umask=STARTED_WITH,  # what a model writes elsewhere is not ours to hide
            left=left,
        )
        self._before: Adopted | None = None

    def replace(self, before: Adopted | None) -> None:
        """Take the place of a process that an earlier supervisor started differently, once this one is ready."""
        self._before = before

    def follow(self, wanted: Wanted) -> bool:
        """Take the changed row. True if the process has to be started again: it has failed, and is released anew."""
        is_new, self.wanted = wanted.attempt != self.wanted.attempt, wanted
        if not is_new or self._failure.at is None:
            return False
        self._failure.forget()
        self._is_replaced = True
        self._report(False, "starting")
        return True

    async def start_again(self) -> None:
        """End the process; it is started again at once."""
        await self.child.restart(STOP_GRACE_S)

    def _started(self, pid: int) -> None:
        self._is_replaced = False
        if not self.child.is_adopted:  # else its row is still true, and the next probe looks again
            self._report(False, "starting")

    def _exited(self, code: int) -> None:
        if self._is_replaced:
            return
        how = how_it_ended(code)
        wanted, facts = self.wanted, {"source": self.child.name, "restarts": self.child.restarts + 1}
        reason = log_files.last_message(self.child.tail()) if code > 0 else ""
        if code > 0:
            facts["reason"] = reason
        self._failure.ended(f"{how}: {reason}" if reason else how)
        self._report(False, f"{how}; restarting")
        logger.warning(
            "%s %s instance %d %s and is restarted", wanted.model, wanted.ref, wanted.index + 1, how, extra=facts
        )

    async def run(self) -> None:
        """Keep the process running and its row current, until stop()."""
        probing = asyncio.create_task(self._probe())
        try:
            await self.child.run()
        finally:
            probing.cancel()
            await self._end_before()

    async def stop(self) -> None:
        """Report it as draining, so that it gets no new requests, then let it finish the requests in flight."""
        self._stopping = True
        self._report(False, "draining")
        await self.child.stop(STOP_GRACE_S)

    async def _why_not(self) -> str:
        """Why the folder must not be served as this version. A new reason is also written to the service's log."""
        found = await asyncio.to_thread(why_not_started, self.wanted)  # it reads every file, which may take seconds
        if found and found != self._refused:
            append_line(self.child.log, "fairlead.local", "error", found)
        if found:
            self._report(False, found)
        self._refused = found
        return found

    async def _probe(self) -> None:
        while True:
            pid = self.child.pid
            if pid is not None and not self._stopping:
                reply = await ask_async(self.port, "GET", "/readyz")
                # The process may have been replaced while the request was in flight.
                if pid == self.child.pid and not self._stopping and not self._is_replaced:
                    self._failure.answered(reply)
                    is_first = reply.status == 200 and self._before is not None
                    self._report(reply.status == 200, "" if reply.status == 200 else why_unready(reply))
                    await self._restart_unless_alive(pid, reply)
                    if is_first:
                        await self._end_before()
            await asyncio.sleep(PROBE_READY_S if self._last and self._last[0] else PROBE_STARTING_S)

    async def _restart_unless_alive(self, pid: int, ready: Reply) -> None:
        """Restart a process that was ready once and has failed /livez for LIVENESS_S, or has not answered at all."""
        now = asyncio.get_running_loop().time()
        if ready.status == 200:
            self._was_ready, self._alive_at = pid, now
        if pid != self._was_ready or self._alive_at == now:
            return
        alive = await ask_async(self.port, "GET", "/livez")
        if alive.status == 200:
            self._alive_at = now
        elif now - self._alive_at > LIVENESS_S and pid == self.child.pid and not self._stopping:
            why = why_unready(alive) if alive.status else "it does not answer"
            one = f"{self.wanted.model} {self.wanted.ref} instance {self.wanted.index + 1}"
            facts = {"source": self.child.name, "reason": why}
            logger.warning("%s has not been alive for %g s and is restarted", one, LIVENESS_S, extra=facts)
            await self.child.restart(STOP_GRACE_S)

    def known(self) -> dict[str, Known]:
        """Its process by name, and the one before it while that still runs."""
        before = self._before.known if self._before is not None else None
        found = {self.child.name: self.child.known, f"{self.child.name} before": before}
        return {name: one for name, one in found.items() if one is not None}

    async def _end_before(self) -> None:
        """End the process before this one. It answers for a second more, until no gateway sends it requests."""
        before, self._before = self._before, None
        if before is not None:
            await end(before, STOP_GRACE_S)

    def _report(self, ready: bool, reason: str) -> None:
        if not ready and self._before is not None and self._before.returncode is None and not self._stopping:
            return  # the row is that of the process before, which serves until this one is ready
        failed_at = self._failure.at if not self._stopping else None
        reason = self._failure.why if failed_at is not None else reason
        facts = (ready, reason, self.child.pid, self.child.restarts, failed_at)
        if facts == self._last:
            return
        row = Instance(
            id=self.wanted.id,
            namespace=self.wanted.namespace,
            model=self.wanted.model,
            ref=self.wanted.ref,
            host=ports.LOOPBACK,
            port=self.port,
            pid=self.child.pid,
            ready=ready,
            reason=reason,
            restarts=self.child.restarts,
            failed_at=failed_at,
            observed_at=datetime.now(UTC),
        )
        with contextlib.suppress(errors.Unavailable):  # the store is locked: the next probe or restart reports it
            self._report_row(row)
            self._last = facts


class Services:
    """All instances. `align` starts and stops processes to match the wanted rows."""

    def __init__(
        self,
        store: InstanceStore,
        logs: Path,
        command: Command = serve,
        left: LeftBehind | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`environment` is added to that of every process."""
        self._environment = environment
        self._store = store
        self._left = left or LeftBehind()
        self._logs = logs
        self._command = command
        self._running: dict[str, tuple[Service, asyncio.Task[None]]] = {}
        self._going: set[asyncio.Task[None]] = set()
        self._retiring: list[str] = []

    def align(self) -> None:
        """Start wanted instances that do not run, and stop running instances that are not wanted.

        An instance that has failed for good is started again when its version is released anew.
        """
        wanted = {row.id: row for row in self._store.wanted() if not row.stopped}
        for gone in self._running.keys() - wanted.keys():
            service, task = self._running.pop(gone)
            self._retiring.append(gone)
            self._keep(self._retire(gone, service, task))
        for same in wanted.keys() & self._running.keys():
            service, _ = self._running[same]
            if service.follow(wanted[same]):
                self._keep(service.start_again())
        known = {row.id: row.port for row in self._store.instances()}
        for fresh in sorted(wanted.keys() - self._running.keys()):
            service = self._service(wanted[fresh], known)
            self._running[fresh] = (service, asyncio.create_task(service.run()))
        for name in known.keys() - self._running.keys() - set(self._retiring):
            self._store.remove_instance(name)  # of a supervisor that was killed
        for name in self._left.known.keys() - {one.name for one in self.children()}:
            if (unwanted := self._left.take(name)) is not None:
                self._keep(end(unwanted, STOP_GRACE_S))

    def _service(self, wanted: Wanted, known: Mapping[str, int]) -> Service:
        """The service of a row. It goes on with the process that a killed supervisor left, if that is the same."""
        taken, last = {service.port for service, _ in self._running.values()}, known.get(wanted.id)
        if last is not None and last not in taken:
            service = self._at(last, wanted)
            # Use the port of the last run if it is free: then the gateway's endpoints do not change.
            if service.child.can_go_on or ports.is_free(last):
                return service
        service = self._at(ports.pick(taken | set(known.values())), wanted)
        service.replace(self._left.take(service.child.name))
        return service

    def _at(self, port: int, wanted: Wanted) -> Service:
        return Service(wanted, port, self._logs, self._store.report, self._command, self._left, self._environment)

    def children(self) -> list[Child]:
        """The child processes."""
        return [service.child for service, _ in self._running.values()]

    def known(self) -> dict[str, Known]:
        """The processes by name, also those of a killed supervisor that still run."""
        found = self._left.known
        for service, _ in self._running.values():
            found |= service.known()
        return found

    async def stop(self) -> None:
        """Stop all instances concurrently."""
        for name in list(self._running):
            service, task = self._running.pop(name)
            self._keep(self._retire(name, service, task))
        for name in self._left.known:  # stopped before anything went on with them
            if (left := self._left.take(name)) is not None:
                self._keep(end(left, STOP_GRACE_S))
        await asyncio.gather(*self._going, return_exceptions=True)

    async def _retire(self, name: str, service: Service, task: asyncio.Task[None]) -> None:
        await service.stop()
        await task
        if name in self._retiring:
            self._retiring.remove(name)
        if name not in self._running:
            self._store.remove_instance(name)

    def _keep(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._going.add(task)
        task.add_done_callback(self._going.discard)
