"""A child process that is restarted whenever it ends, until it is stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 5.0
REFUSED_PAUSE_S = 1.0
"""How often it is asked again whether a process may start."""
RESET_PAUSE_AFTER_S = 10.0
"""A process that ran longer than this is restarted after the first pause again."""


class Child:
    """A command that is restarted whenever it ends. The pause doubles, up to a limit, while it keeps ending early.

    It runs in its own session, so that Ctrl-C in the terminal reaches only the supervisor, which then stops its
    children in an order that loses no requests.
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
    ) -> None:
        """`why_not` is asked before each start: while it returns a reason, the process is not started."""
        self.name = name
        self.argv = list(argv)
        self.log = log
        self.restarts = 0
        self._environment = {**os.environ, **(environment or {})}
        self._on_start = on_start
        self._on_exit = on_exit
        self._why_not = why_not
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()

    @property
    def pid(self) -> int | None:
        """The process id; None while it does not run."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

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
            is_refused = self._why_not is not None and bool(await self._why_not())
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
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        self._on_start(self._process.pid)
        return await self._process.wait()

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
        process = self._process
        if process is None or process.returncode is not None:
            return
        try:
            process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(process.wait(), grace_s)
        except TimeoutError:
            process.kill()
            await process.wait()
        except ProcessLookupError:
            return

    def tail(self, lines: int = 5) -> str:
        """The last lines of its log, to show why it does not run."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.rstrip().splitlines()[-lines:])
