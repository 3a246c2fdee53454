"""Memory that all workers of a service share: arrays of numbers for each worker, and a part that belongs to no worker.

It is anonymous memory, made before the workers are forked. So it needs no file, a worker that is killed loses nothing
of what it has written, and the worker in its place goes on with the same numbers. A service of one process has the same
memory for itself.

Each worker takes its arrays in the same order and of the same sizes, which puts them at the same place in the memory of
every worker: the workers of a service serve the same model folder with the same settings.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import tempfile
import uuid
import weakref
from types import TracebackType
from typing import Protocol

from fairlead import errors

NUMBER = 8
"""Bytes of a number: a float64, which is written whole, so that a reader never sees half of it."""
WORKER_BYTES = 4 << 20
"""Memory of one worker. What nobody writes to costs nothing."""


class Lock(Protocol):
    """A context manager that can be entered again and again."""

    def __enter__(self) -> object: ...  # noqa: D105
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> object: ...


class SharedMemory:
    """The memory of `workers` workers, and `common` bytes that all of them write.

    None: of a process that is no worker, and whose memory ends with it.
    """

    def __init__(self, workers: int | None = None, common: int = 0) -> None:
        self.epoch = uuid.uuid4().hex
        """Identifies this memory: the workers that replace others have the same one."""
        self.own = 0
        """The number of the worker that this process is."""
        self.outlives = workers is not None
        """Whether the memory is still there when a process that writes to it has been killed."""
        self.workers = workers = workers or 1
        self._whole = memoryview(mmap.mmap(-1, workers * WORKER_BYTES + common))
        self._taken = 0
        self._common_taken = workers * WORKER_BYTES
        self.lock: Lock = _FileLock() if workers > 1 else contextlib.nullcontext()
        """Held while the common part is written. One thread of each process may use it."""

    def array(self, size: int) -> tuple[memoryview[float], ...]:
        """The next `size` float64 of every worker, all zero at first; a worker writes those at index `own`.

        Raises MemoryError if they do not fit.
        """
        start, self._taken = self._taken, self._taken + size * NUMBER
        if self._taken > WORKER_BYTES:
            raise MemoryError(f"the shared memory of a worker has {WORKER_BYTES} bytes; {self._taken} are asked for")
        places = (worker * WORKER_BYTES + start for worker in range(self.workers))
        return tuple(self._whole[at : at + size * NUMBER].cast("d") for at in places)

    def common(self, size: int) -> memoryview:
        """The next `size` bytes of the common part, a multiple of 8, all zero at first. Raises MemoryError."""
        start, self._common_taken = self._common_taken, self._common_taken + size
        if self._common_taken > len(self._whole):
            raise MemoryError("the common part of the shared memory is too small")
        return self._whole[start : start + size]


class _FileLock:
    """A lock between processes. The system releases it when a process ends in any way."""

    def __init__(self) -> None:
        try:
            self._file, path = tempfile.mkstemp(prefix="fairlead-workers-")
            os.unlink(path)
        except OSError as cause:
            raise errors.Unavailable(
                f"cannot create a temporary file for the workers: {cause}",
                hint="Mount a writable folder (an emptyDir) at /tmp, or set TMPDIR to a writable folder.",
            ) from cause
        weakref.finalize(self, os.close, self._file)

    def __enter__(self) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_EX)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        fcntl.lockf(self._file, fcntl.LOCK_UN)


class Text:
    """A text in shared memory. What does not fit is cut off."""

    def __init__(self, memory: memoryview[float]) -> None:
        self._bytes = memory.cast("B")

    @property
    def value(self) -> str:
        """The text, empty at first."""
        return bytes(self._bytes).rstrip(b"\0").decode(errors="ignore")

    @value.setter
    def value(self, text: str) -> None:
        written = text.encode(errors="replace")[: len(self._bytes)]
        self._bytes[:] = written.ljust(len(self._bytes), b"\0")
