"""The threads that the model's code runs on. The event loop never waits for them; they call it back."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol


class Workers(Protocol):
    """Somewhere to run jobs beside the event loop."""

    count: int

    def submit(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run `job` soon, then `done` with its result on the event loop. `job` must not raise."""


class Threads:
    """A fixed number of threads, started at once.

    Daemons: a call that never comes back must not keep the process from ending after its drain.
    """

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop) -> None:
        self.count = count
        self._loop = loop
        # SimpleQueue and one wake-up per job: an executor would add a future, a lock and a callback to each batch.
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None] = queue.SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._work, name=f"model-{number}", daemon=True).start()

    def submit(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run `job` on the next free thread, then `done` with its result on the event loop."""
        self._jobs.put((job, done))

    def close(self) -> None:
        """Let every thread end after the job it has."""
        for _ in range(self.count):
            self._jobs.put(None)

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, done = item
            result = job()
            try:
                self._loop.call_soon_threadsafe(done, result)
            except RuntimeError:  # the loop has been closed: nobody waits for this result any more
                return
            del item, job, done, result  # a waiting thread must not keep the last batch alive
