"""Measures how long a model's code keeps all other threads of its process from running."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

TICK_S = 0.005
LONG_S = 0.2
"""Held for longer, the probes and the other requests of the service notice it."""
TRIES = 3


def held_s(call: Callable[[], object]) -> float:
    """The longest time in which another thread could not run while `call` did, in seconds.

    A busy machine keeps threads waiting too. So a long time is measured again, and the shortest one counts.
    """
    shortest = _longest_gap(call)
    for _ in range(TRIES - 1):
        if shortest <= LONG_S:
            break
        shortest = min(shortest, _longest_gap(call))
    return shortest


def _longest_gap(call: Callable[[], object]) -> float:
    longest = 0.0
    started, ended = threading.Event(), threading.Event()

    def tick() -> None:
        nonlocal longest
        last = time.perf_counter()
        started.set()
        while not ended.wait(TICK_S):
            now = time.perf_counter()
            longest, last = max(longest, now - last - TICK_S), now

    ticking = threading.Thread(target=tick, daemon=True)
    ticking.start()
    started.wait()
    try:
        call()
    finally:
        time.sleep(TICK_S)  # the tick that was kept waiting runs now
        ended.set()
        ticking.join()
    return longest
