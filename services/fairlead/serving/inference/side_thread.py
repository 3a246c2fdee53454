"""`SideThread`: runs what would block the event loop for long, large bodies and many answers, on a thread beside it.

Rows of a large body need many times the memory of its JSON. So bodies wait as they arrived, and the next one is decoded
only while the rows of those before it, until they are answered, leave room.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

from fairlead import errors
from fairlead.serving.formats.author_code import described
from fairlead.serving.inference import workers

T = TypeVar("T")


class Job(Generic[T]):
    """A job that waits or runs. To give it up, cancel `future`, as the watcher of disconnects does."""

    __slots__ = ("client_disconnected", "future", "size", "work")

    def __init__(self, work: Callable[[], T], size: int, future: asyncio.Future[T | _Raised]) -> None:
        self.work = work
        self.size = size
        self.future = future
        self.client_disconnected = False  # set when the future is cancelled for that reason

    async def result(self) -> T:
        """What the job returns. Raises what it raises."""
        outcome = await self.future
        if not isinstance(outcome, _Raised):
            return outcome
        raise outcome.taken()

    def fail(self, problem: Exception) -> None:
        """End the wait for it."""
        if not self.future.done():
            self.future.set_result(_Raised(problem))


class SideThread:
    """One thread, whose jobs run one after the other: many large requests do not share the interpreter with the loop.

    Jobs that leave the interpreter to others most of the time may have several threads. They are started by the first
    job. Call all methods on the event loop only.
    """

    def __init__(self, limit: int, threads: int = 1) -> None:
        """`limit` is the most bytes of all bodies that wait, and the memory of rows from which on none is decoded."""
        self._limit = limit
        self._size = 0
        self._count = threads
        self._threads: workers.Threads | None = None
        self._running = 0
        self._answers: deque[Job[Any]] = deque()
        self._bodies: deque[Job[Any]] = deque()
        self.held = 0
        """The memory of the rows that are held, in bytes."""

    async def run(self, work: Callable[[], T]) -> T:
        """The result of a job that need not wait for room. Raises what it raises."""
        job: Job[T] = Job(work, 0, asyncio.get_running_loop().create_future())
        self._answers.append(job)
        self._next()
        return await job.result()

    def decode(self, work: Callable[[], tuple[T, int]], size: int) -> Job[tuple[T, int]]:
        """Decode a body of so many bytes, when there is room. The job returns the rows and their memory, in bytes.

        The memory is held until `release`. Raises Overloaded if all bodies that wait have too many bytes.
        """
        if self._size + size > self._limit:
            raise errors.Overloaded(f"{self._size} bytes of large requests are waiting to be decoded")
        job = Job(work, size, asyncio.get_running_loop().create_future())
        job.future.add_done_callback(partial(self._dropped, job))
        self._size += size
        self._bodies.append(job)
        self._next()
        return job

    def release(self, memory: int) -> None:
        """Give back the memory of rows that are answered."""
        self.held -= memory
        self._next()

    def close(self) -> None:
        """Let the thread end after its job."""
        if self._threads is not None:
            self._threads.close()

    def _next(self) -> None:
        """Run the next jobs, if a thread is free. Answers go first: what they hold is about to be freed."""
        while self._running < self._count:
            if self._answers:
                job = self._answers.popleft()
            elif self._bodies and self.held < self._limit:
                job = self._bodies.popleft()
            else:
                return
            if self._threads is None:
                self._threads = workers.Threads(self._count, asyncio.get_running_loop(), name="side")
            self._running += 1
            self._threads.submit(partial(_outcome, job.work), partial(self._ended, job))

    def _ended(self, job: Job[Any], outcome: Any) -> None:
        self._running -= 1
        self._size -= job.size
        if not job.future.done():
            if job.size and not isinstance(outcome, _Raised):
                self.held += outcome[1]
            job.future.set_result(outcome)
        self._next()

    def _dropped(self, job: Job[Any], future: asyncio.Future[Any]) -> None:
        """Forget a body that nobody waits for any more before its turn."""
        if job in self._bodies:
            self._bodies.remove(job)
            self._size -= job.size


class _Raised:
    def __init__(self, problem: Exception) -> None:
        self._problem: Exception | None = problem

    def taken(self) -> Exception:
        """The problem, which is then nowhere else: its traceback refers to frames that refer to this object, and such
        a cycle would keep the body until the next garbage collection."""
        problem, self._problem = self._problem, None
        assert problem is not None  # a job has one result
        return problem


def _outcome(job: Callable[[], T]) -> T | _Raised:
    try:
        return job()
    except Exception as problem:
        return _Raised(problem)
    except BaseException as cause:  # not even sys.exit() in a validator may end the thread, or the service
        failed = errors.ModelFailed(described(cause))
        failed.__cause__ = cause
        return _Raised(failed)
