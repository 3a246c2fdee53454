"""An event loop on a thread of its own, that leaves no task and no connection behind.

A connection that was accepted as the listener closes becomes a task only some turns later, and a task that is
cancelled before its first step never closes what it was given: both would be found by the garbage collector, in the
middle of another test.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
TURNS = 20
"""Of the loop; from an accepted socket to its handler's first step there are four."""
PATIENCE_S = 10.0


class Loop:
    """A running loop, seen from other threads. Use `running_loop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def call(self, work: Coroutine[Any, Any, T], patience_s: float = PATIENCE_S) -> T:
        """The result of work done there.

        Raises: TimeoutError, and whatever the work raises.
        """
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(patience_s)


async def end_tasks() -> None:
    """Let what has begun reach its first step, cancel it, and let every connection be closed."""
    await _turns()
    while tasks := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _turns()
    await _turns()


async def _turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


@contextmanager
def running_loop(name: str) -> Iterator[Loop]:
    """A loop; what still runs on it at the end is cancelled."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=name, daemon=True)
    thread.start()
    running = Loop(loop)
    try:
        yield running
    finally:
        running.call(end_tasks())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE_S)
        loop.close()
