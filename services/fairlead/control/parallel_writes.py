"""Writes statuses to an API server: those of different routes at the same time, those of one route in their order."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from fairlead import errors

WRITES = 4
"""Writes at the same time. A write takes the API server a few milliseconds, about as long as the next decision takes
here; more would only take its time away from others, and connections from the watches."""


class ParallelWrites:
    """`rollout.ports.StatusWrites`. For the thread of the loop; only the writes are on others.

    At most `WRITES` are under way: with an API server that does not answer, a tick fails at the first that fails.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=WRITES, thread_name_prefix="statuses")
        self._running: dict[str, Future[None]] = {}

    def start(self, route: str, write: Callable[[], None]) -> None:
        """Start it, after the one before of this route, and while all places are taken after the oldest one."""
        self.finish(route)
        if len(self._running) == WRITES:
            self.finish(next(iter(self._running)))
        self._running[route] = self._pool.submit(write)

    def finish(self, route: str) -> None:
        """Wait for the route's write. Raises its error, once."""
        if (running := self._running.pop(route, None)) is not None:
            running.result()

    def finish_all(self) -> None:
        """Wait for all. Raises the first error, when all have ended."""
        failed: errors.FairleadError | None = None
        for route in list(self._running):
            try:
                self.finish(route)
            except errors.FairleadError as error:
                failed = failed or error
        if failed is not None:
            raise failed

    def close(self) -> None:
        """Wait for the writes under way, and end the threads."""
        self._pool.shutdown()
