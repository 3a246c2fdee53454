"""Runs an asyncio event loop on its own thread, and ends every task and connection of it.

Cancelling all tasks at once is not enough. A connection that is accepted while its listener closes becomes a task only
some turns of the loop later, and a task that is cancelled before its first step never closes its connection. The
garbage collector would report both as leaks, in the middle of another test.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
SETTLE_TURNS = 20
"""Turns of the loop that `end_tasks` waits. From an accepted socket to the first step of its handler there are four."""
TIMEOUT_S = 10.0


class Loop:
    """A handle to a running loop for other threads. Use `running_loop`."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop

    def call(self, work: Coroutine[Any, Any, T], timeout_s: float = TIMEOUT_S) -> T:
        """Run a coroutine on the loop and return its result.

        Raises: TimeoutError, and the errors of the coroutine.
        """
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout_s)


async def end_tasks() -> None:
    """Let every new task reach its first step, cancel all tasks, and let every connection close."""
    await _turns()
    while tasks := [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _turns()
    await _turns()


async def _turns() -> None:
    for _ in range(SETTLE_TURNS):
        await asyncio.sleep(0)


@contextmanager
def running_loop(name: str) -> Iterator[Loop]:
    """Run a loop on a thread with this name. At the end of the block its tasks are cancelled."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=name, daemon=True)
    thread.start()
    running = Loop(loop)
    try:
        yield running
    finally:
        running.call(end_tasks())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(TIMEOUT_S)
        loop.close()
