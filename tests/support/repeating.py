"""Something done again and again on a thread of its own while a test does something else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeating(work: Callable[[], object], *, pause_s: float) -> Iterator[None]:
    """Does `work` with a pause before each time, from now to the end of the block; the last one is waited for."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(pause_s):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
