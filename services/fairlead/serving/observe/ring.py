"""`Ring`: the files of one process that records. They never have more bytes, and never older lines, than was said.

Each process takes the first ring of the folder that no other process holds, by a lock that the system releases when a
process ends in any way. So the workers of a service, and several services with one folder, never write to one file, and
a service that starts again goes on with its ring.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from fairlead.contracts.recording import RING, SUFFIX

FILES = 8
"""The files of a full ring, at least: one of them is deleted at a time."""
LOCK = "lock"
MOST_RINGS = 1024


class Ring:
    """Writes lines. Use it on one thread only. All methods raise OSError; the next call tries again."""

    def __init__(self, folder: Path, max_bytes: int, max_age_s: float, clock: Callable[[], float]) -> None:
        """`folder` has the rings of all processes. `clock` is the time of day in seconds."""
        self._folder, self._clock = folder, clock
        self._max_bytes, self._max_age_s = max_bytes, max_age_s
        self.most_bytes = max_bytes // FILES
        """The most bytes of one line."""
        self._lock: int | None = None
        self._file: int | None = None
        self._sizes: dict[Path, int] = {}  # of the files, in the order of their names; the last one is written
        self._began = 0.0
        self._lines = 0  # of the file that is written

    def write(self, lines: Sequence[bytes]) -> int:
        """Write lines, each with its end. Returns how many were written: an error is raised only for the first."""
        for count, line in enumerate(lines):
            try:
                self._write(line)
            except OSError:
                self._give_up_file()
                if not count:
                    raise
                return count
        return len(lines)

    def forget(self) -> None:
        """Delete what is too old, also in rings that no process holds: theirs may have ended for good.

        A ring that another process holds is left to it: its requests may be kept for longer.
        """
        oldest = self._clock() - self._max_age_s
        for ring in self._folder.glob(f"{RING}*"):
            if ring != self._own and _is_held(ring):
                continue
            for file in _files(ring):
                if _began(file) < oldest and file != self._current:
                    file.unlink(missing_ok=True)
                    self._sizes.pop(file, None)
        if self._current is not None and self._began < oldest:
            current = self._current
            self._drop_file()
            current.unlink(missing_ok=True)
            del self._sizes[current]

    def close(self) -> None:
        """Close the file, and leave the ring to others."""
        self._drop_file()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def _own(self) -> Path | None:
        return self._ring if self._lock is not None else None

    @property
    def _current(self) -> Path | None:
        return next(reversed(self._sizes), None) if self._file is not None else None

    def _write(self, line: bytes) -> None:
        if self._lock is None:
            self._take()
        full = self._current is not None and self._sizes[self._current] + len(line) > self.most_bytes
        if full or self._clock() - self._began > self._max_age_s / FILES:
            self._drop_file()
        while self._sizes and sum(self._sizes.values()) + len(line) > self._max_bytes:
            oldest = next(iter(self._sizes))
            oldest.unlink(missing_ok=True)
            del self._sizes[oldest]
        if self._file is None:
            self._begin_file()
        assert self._file is not None
        assert self._current is not None
        self._sizes[self._current] += len(line)  # also of a line that is cut off: the disk may have a part of it
        written = os.write(self._file, line)
        if written < len(line):
            raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes were written")
        self._lines += 1

    def _begin_file(self) -> None:
        last = next(reversed(self._sizes), None)
        # A clock that was set back must not make a file that is before the others.
        number = max(round(self._clock() * 1000), int(last.stem) + 1 if last else 0)
        file = self._ring / f"{number:013d}{SUFFIX}"
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._sizes[file] = 0
        self._began, self._lines = self._clock(), 0

    def _give_up_file(self) -> None:
        """Close a file that cannot be written. One without a line is deleted: a full disk gets no heap of them."""
        current = self._current
        self._drop_file()
        if current is not None and not self._lines:
            with contextlib.suppress(OSError):
                current.unlink(missing_ok=True)
                del self._sizes[current]

    def _drop_file(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _take(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in itertools.count(1):
            ring = self._folder / f"{RING}{number}"
            ring.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(ring / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                if number == MOST_RINGS:
                    raise OSError(errno.EBUSY, f"{number} processes write to {self._folder} already") from None
                continue
            except OSError:
                os.close(lock)
                raise
            self._lock, self._ring = lock, ring
            break
        self._sizes = {}
        for file in _files(self._ring):
            with contextlib.suppress(FileNotFoundError):
                self._sizes[file] = file.stat().st_size


def _files(ring: Path) -> list[Path]:
    """The files that a service has written into a ring, the oldest first: others there are not its own."""
    return sorted(file for file in ring.glob(f"*{SUFFIX}") if file.stem.isdecimal() and file.stem.isascii())


def _began(file: Path) -> float:
    """When a file was begun, in seconds."""
    return int(file.stem) / 1000


def _is_held(ring: Path) -> bool:
    """Whether a process writes to a ring."""
    try:
        lock = os.open(ring / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False
