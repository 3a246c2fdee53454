"""The candidate's instances as one gateway sees them, with outlier ejection.

An instance that fails EJECT_AFTER times in a row is ejected for a while, as the gateways' configuration says. Requests
for a bad candidate then go to stable, which the gate `starved` detects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from fairlead.routing.envoy.clusters import EJECT_AFTER, EJECTION_S, MAX_EJECTION_S


class Ending(IntEnum):
    """How an attempt at the candidate ends."""

    OK = 0
    FAILED = 1
    """An error; stable is asked then."""
    LATE = 2
    """Stable was asked too after `perTry`, and the candidate answered first."""
    OVERTAKEN = 3
    """Stable was asked too after `perTry`, and answered first."""
    TIMED_OUT = 4
    """Nobody answered within `request`."""


Endings = NDArray[np.int64]


@dataclass
class Instance:
    """One instance. `ok`, `failed` and `timed_out` are the gateway's counters of its responses."""

    address: str
    ok: int = 0
    failed: int = 0
    timed_out: int = 0
    """A part of `failed`."""
    consecutive_failures: int = 0
    """Failures since the last success."""
    ejections: int = 0
    ejected_until: float = 0.0
    """It gets no requests before this time."""

    def record(self, ending: Ending, now: float) -> None:
        """Count one attempt, and eject the instance after EJECT_AFTER in a row that failed or were overtaken."""
        if ending in (Ending.OK, Ending.LATE):
            self.ok, self.consecutive_failures = self.ok + 1, 0
            return
        self.failed += ending is not Ending.OVERTAKEN
        self.timed_out += ending is Ending.TIMED_OUT
        self.consecutive_failures += 1
        if self.consecutive_failures >= EJECT_AFTER:
            self.ejections, self.consecutive_failures = self.ejections + 1, 0
            self.ejected_until = now + min(MAX_EJECTION_S, EJECTION_S * self.ejections)


def send(instances: Sequence[Instance], endings: Endings, *, now: float, rng: Generator) -> int:
    """Send requests with these endings, each to a random instance that is not ejected.

    Returns how many were tried. The others were not, because no instance was ready or all were ejected.
    """
    bad = (endings != Ending.OK) & (endings != Ending.LATE)
    if not bad.any() and not any(instance.ejected_until > now for instance in instances):
        return _all_succeed(instances, len(endings), rng)
    drawn = rng.random(len(endings))
    for tried, (ending, where) in enumerate(zip(endings.tolist(), drawn.tolist(), strict=True)):
        live = [instance for instance in instances if instance.ejected_until <= now]
        if not live:
            return tried
        live[int(where * len(live))].record(Ending(ending), now)
    return len(endings)


def _all_succeed(instances: Sequence[Instance], n: int, rng: Generator) -> int:
    """The fast case in which nothing fails and no instance is ejected: no loop over the requests."""
    if not instances:
        return 0
    for instance, share in zip(
        instances, rng.multinomial(n, [1 / len(instances)] * len(instances)).tolist(), strict=True
    ):
        if share:
            instance.ok, instance.consecutive_failures = instance.ok + share, 0
    return n
