"""One child process, kept running until told otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0
STEADY_S = 10.0


class Child:
    """A command that is started again whenever it ends, at longer and longer intervals while it ends early.

    It runs in a session of its own: Ctrl-C in the terminal reaches the supervisor alone, which then stops its
    children in the order that loses nothing.
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
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.log = log
        self.restarts = 0
        self._environment = {**os.environ, **(environment or {})}
        self._on_start = on_start
        self._on_exit = on_exit
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = asyncio.Event()
        self._free = asyncio.Event()
        self._free.set()

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def is_held(self) -> bool:
        """Whether it shall not run just now."""
        return not self._free.is_set()

    async def run(self) -> None:
        """Keep it running; returns when stop() was called and the process has ended."""
        pause = FIRST_PAUSE_S
        loop = asyncio.get_running_loop()
        while not self._stopping.is_set():
            await self._free.wait()
            if self._stopping.is_set():
                return
            began = loop.time()
            code = await self._run_once()
            if self._stopping.is_set():
                return
            pause = FIRST_PAUSE_S if loop.time() - began > STEADY_S else min(pause * 2, LONGEST_PAUSE_S)
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
        """Ask it to end, wait, and insist when the grace is over."""
        self._stopping.set()
        self._free.set()
        await self._end(grace_s)

    async def hold(self, grace_s: float) -> None:
        """End it, and do not start it again before let_go()."""
        self._free.clear()
        await self._end(grace_s)

    def let_go(self) -> None:
        """What was held may run again."""
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
        """The last lines it logged, for a person who asks why it does not run."""
        try:
            text = self.log.read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.rstrip().splitlines()[-lines:])
