"""Worker threads that run the model's code. Results are passed back to the event loop, which never blocks on them."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, Protocol


class Workers(Protocol):
    """Runs jobs outside of the event loop."""

    count: int

    def submit(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run `job`, then call `done` with its result on the event loop. `job` must not raise."""


class Threads:
    """A fixed number of threads, started by the constructor.

    They are daemon threads: a call that never returns must not keep the process from exiting after its drain.
    """

    def __init__(self, count: int, loop: asyncio.AbstractEventLoop, name: str = "model") -> None:
        self.count = count
        self._loop = loop
        # A SimpleQueue, not an executor: an executor would add a future, a lock and a callback to each batch.
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Callable[[Any], None]] | None] = queue.SimpleQueue()
        for number in range(count):
            threading.Thread(target=self._work, name=f"{name}-{number}", daemon=True).start()

    def submit(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Run `job` on the next free thread, then call `done` with its result on the event loop."""
        self._jobs.put((job, done))

    def close(self) -> None:
        """Let every thread end after its current job and the jobs in the queue."""
        for _ in range(self.count):
            self._jobs.put(None)

    def _work(self) -> None:
        while (item := self._jobs.get()) is not None:
            job, done = item
            result = job()
            try:
                self._loop.call_soon_threadsafe(done, result)
            except RuntimeError:  # the loop has been closed, so the result is not needed any more
                return
            del item, job, done, result  # an idle thread must not keep the last batch in memory
