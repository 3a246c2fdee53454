"""When the requests of a window are due: an open load, whose requests do not wait for earlier answers."""

from __future__ import annotations

import itertools
import random


def plan(rate: float, seconds: float, seed: int) -> list[float]:
    """The times of round(`rate` x `seconds`) requests, in seconds from the start of the window, in order.

    They are a Poisson process of which the count is known. The same seed gives the same gaps at every rate, so two
    rates differ by the rate alone, and two runs by the service.
    """
    rng = random.Random(seed)
    count = round(rate * seconds)
    sums = list(itertools.accumulate(rng.expovariate(1.0) for _ in range(count + 1)))
    return [one / sums[-1] * seconds for one in sums[:-1]]
