"""Repeats a function on a background thread while a test does something else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeat_in_background(work: Callable[[], object], *, pause_s: float) -> Iterator[None]:
    """Call `work` until the end of the block, with a pause before each call. The end waits for the last call."""
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
