"""A child process that is restarted whenever it ends, until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import fairlead
from fairlead.contracts.base import digest
from fairlead.local.left_behind import Known, LeftBehind, start_time

PROGRAM = (sys.executable, "-P", "-m", "fairlead.cli.main")
"""Our own command. With -P, Python imports nothing from the folder in which `up` was started."""
_SETTINGS = ("FAIRLEAD_SERVING_", "OTEL_")
FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 5.0
REPLACED_GRACE_S = 10.0
"""How long a process of a killed supervisor that is not what we would start has to end."""
REFUSED_PAUSE_S = 1.0
"""How often it is asked again whether a process may start."""
RESET_PAUSE_AFTER_S = 10.0
"""A process that ran longer than this is restarted after the first pause again."""


def made_here() -> object:
    """What distinguishes this Fairlead from another one: a process of another one is not what we would start."""
    return fairlead.__version__, str(Path(fairlead.__file__).parent)


class Process(Protocol):
    """A process that runs or has ended: our own child, or one of a killed supervisor."""

    @property
    def pid(self) -> int: ...  # noqa: D102
    @property
    def returncode(self) -> int | None: ...  # noqa: D102
    async def wait(self) -> int: ...  # noqa: D102
    def send_signal(self, number: int, /) -> None: ...  # noqa: D102
    def kill(self) -> None: ...  # noqa: D102


async def end(process: Process, grace_s: float) -> None:
    """End a process: SIGTERM, and SIGKILL after the grace period."""
    with contextlib.suppress(ProcessLookupError):
        try:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), grace_s)
        except TimeoutError:
            process.kill()
            await process.wait()


class Child:
    """A command that is restarted whenever it ends. The pause doubles, up to a limit, while it keeps ending early.

    It runs in its own session, so that Ctrl-C in the terminal reaches only the supervisor, which then stops its
    children in an order that loses no requests. So it also survives a supervisor that is killed: the next one goes on
    with it if it would start the same.
    """

    def __init__(
        self,
        name: str,
        argv: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        on_start: Callable[[int], None] = lambda pid: None,
        on_exit: Callable[[int], None] = lambda code: None,
        why_not: Callable[[], Awaitable[str]] | None = None,
        umask: int = -1,
        left: LeftBehind | None = None,
        made_from: Callable[[], object] | None = None,
    ) -> None:
        """`why_not` is asked before each start: while it returns a reason, the process is not started.

        `umask` is the process's own; -1: ours.

        `made_from` is everything beside the command, and FAIRLEAD_SERVING_* and OTEL_* in the environment, that must be
        the same for a process of `left` to be this one; it is asked once, when the first process is to start.
        """
        self.name = name
        self.argv = list(argv)
        self.log = log
        self.restarts = 0
        self._environment = {**os.environ, **(environment or {})}
        self._on_start = on_start
        self._on_exit = on_exit
        self._why_not = why_not
        self._umask = umask
        self._left = left or LeftBehind()
        self._made_from = made_from or made_here
        self.is_adopted = False
        self._process: Process | None = None
        self._stopping = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()

    @property
    def pid(self) -> int | None:
        """The process id; None while it does not run."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def known(self) -> Known | None:
        """What the next supervisor needs to know of the process; None while it does not run."""
        pid = self.pid
        started = start_time(pid) if pid is not None else None
        return Known(pid, started, self.command) if pid is not None and started is not None else None

    @functools.cached_property
    def command(self) -> str:
        """A digest of what this starts: two processes with the same one do the same."""
        settings = {name: value for name, value in self._environment.items() if name.startswith(_SETTINGS)}
        return digest(json.dumps([self.argv, settings, self._made_from()], sort_keys=True, default=str))

    @property
    def can_go_on(self) -> bool:
        """Whether a killed supervisor left the process that this would start."""
        return self._left.can_go_on(self.name, self.command)

    @property
    def is_held(self) -> bool:
        """Whether it is held, and so must not run."""
        return not self._free.is_set()

    async def run(self) -> None:
        """Keep the process running. Returns after stop(), when the process has ended."""
        pause = FIRST_PAUSE_S
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            await self._free.wait()
            is_refused = not self.can_go_on and self._why_not is not None and bool(await self._why_not())
            if self._stopping.is_set():
                return
            if is_refused:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), REFUSED_PAUSE_S)
            if is_refused or self.is_held:
                continue
            began = loop.time()
            code = await self._run_once()
            if self._stopping.is_set():
                return
            pause = FIRST_PAUSE_S if loop.time() - began > RESET_PAUSE_AFTER_S else min(pause * 2, MAX_PAUSE_S)
            self._on_exit(code)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            self.restarts += 1

    async def _run_once(self) -> int:
        self.is_adopted = self.can_go_on
        left = self._left.take(self.name)
        if left is not None and not self.is_adopted:
            await end(left, REPLACED_GRACE_S)
        self._process = left if left is not None and self.is_adopted else await self._started()
        self._on_start(self._process.pid)
        return await self._process.wait()

    async def _started(self) -> Process:
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *self.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
                umask=self._umask,
            )

    async def stop(self, grace_s: float) -> None:
        """End the process for good: SIGTERM, and SIGKILL after the grace period."""
        self._stopping.set()
        self._free.set()
        await self._end(grace_s)

    async def hold(self, grace_s: float) -> None:
        """End the process, and do not restart it before release()."""
        self._free.clear()
        await self._end(grace_s)

    async def restart(self, grace_s: float) -> None:
        """End the process; run() starts it again."""
        await self._end(grace_s)

    def release(self) -> None:
        """Let a held process run again."""
        self._free.set()

    async def _end(self, grace_s: float) -> None:
        # A process that was left, and that nothing went on with yet, is this child's to end too.
        process = self._process if self._process is not None else self._left.take(self.name)
        if process is not None and process.returncode is None:
            await end(process, grace_s)

    def tail(self, lines: int = 5) -> str:
        """The last lines of its log, to show why it does not run."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.rstrip().splitlines()[-lines:])
