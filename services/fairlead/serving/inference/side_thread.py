"""`SideThread`: runs what would block the event loop for long, large bodies and many answers, on a thread beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from fairlead import errors
from fairlead.serving.formats.author_code import described
from fairlead.serving.inference import workers

T = TypeVar("T")


class SideThread:
    """One thread, whose jobs run one after the other: many large requests do not share the interpreter with the loop.

    It is started by the first job. Call all methods on the event loop only.
    """

    def __init__(self, limit: int) -> None:
        """`limit` is the most bytes that the jobs which have not ended may have together."""
        self._limit = limit
        self._size = 0
        self._thread: workers.Threads | None = None

    async def run(self, job: Callable[[], T], size: int = 0) -> T:
        """The result of a job with so many bytes. Raises what it raises, or Overloaded if all jobs have too many."""
        if self._size + size > self._limit:
            raise errors.Overloaded(f"{self._size} bytes of large requests are waiting to be decoded")
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = workers.Threads(1, loop, name="side")
        ended: asyncio.Future[T | _Raised] = loop.create_future()
        self._size += size
        try:
            self._thread.submit(lambda: _outcome(job), partial(_settle, ended))
            outcome = await ended
        finally:
            self._size -= size
        if not isinstance(outcome, _Raised):
            return outcome
        try:
            raise outcome.problem
        finally:
            # Its traceback refers to this frame. Such a cycle would keep the body until the next garbage collection.
            del outcome, ended

    def close(self) -> None:
        """Let the thread end after its jobs."""
        if self._thread is not None:
            self._thread.close()


class _Raised:
    def __init__(self, problem: Exception) -> None:
        self.problem = problem


def _outcome(job: Callable[[], T]) -> T | _Raised:
    try:
        return job()
    except Exception as problem:
        return _Raised(problem)
    except BaseException as cause:  # not even sys.exit() in a validator may end the thread, or the service
        failed = errors.ModelFailed(described(cause))
        failed.__cause__ = cause
        return _Raised(failed)


def _settle(ended: asyncio.Future[T], outcome: T) -> None:
    if not ended.done():  # else the request was cancelled meanwhile
        ended.set_result(outcome)
