"""Runs a server, or repeats a function, on a background thread while a test does something else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from socketserver import BaseServer


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


@contextmanager
def serve_in_background(server: BaseServer) -> Iterator[None]:
    """Let a server answer until the end of the block, which also closes its socket."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
