"""The candidate's instances as one gateway sees them, with outlier ejection.

An instance that fails EJECT_AFTER times in a row is ejected for a while, as the gateways' configuration says. Requests
for a bad candidate then go to stable, which the gate `starved` detects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import Generator

from fairlead.routing.envoy.clusters import EJECT_AFTER, EJECTION_S, MAX_EJECTION_S


@dataclass
class Instance:
    """One instance. `ok` and `failed` are the gateway's counters of its responses."""

    address: str
    ok: int = 0
    failed: int = 0
    consecutive_failures: int = 0
    """Failures since the last success."""
    ejections: int = 0
    ejected_until: float = 0.0
    """It gets no requests before this time."""

    def record(self, failed: bool, now: float) -> None:
        """Count one attempt, and eject the instance after EJECT_AFTER failures in a row."""
        if not failed:
            self.ok, self.consecutive_failures = self.ok + 1, 0
            return
        self.failed, self.consecutive_failures = self.failed + 1, self.consecutive_failures + 1
        if self.consecutive_failures >= EJECT_AFTER:
            self.ejections, self.consecutive_failures = self.ejections + 1, 0
            self.ejected_until = now + min(MAX_EJECTION_S, EJECTION_S * self.ejections)


@dataclass(frozen=True, slots=True)
class Attempts:
    """The results of requests that were given to the candidate."""

    ok: int
    failed: int
    spilled: int
    """Not tried: no instance was ready, or all were ejected."""


def send(instances: Sequence[Instance], n: int, chance: float, *, now: float, rng: Generator) -> Attempts:
    """Send `n` requests, each to a random instance that is not ejected; each fails with probability `chance`."""
    failures = rng.random(n) < chance
    if not failures.any() and not any(instance.ejected_until > now for instance in instances):
        return _all_succeed(instances, n, rng)
    drawn = rng.random(n)
    ok = failed = 0
    for fails, where in zip(failures.tolist(), drawn.tolist(), strict=True):
        live = [instance for instance in instances if instance.ejected_until <= now]
        if not live:
            break
        live[int(where * len(live))].record(fails, now)
        ok, failed = ok + (not fails), failed + fails
    return Attempts(ok, failed, n - ok - failed)


def _all_succeed(instances: Sequence[Instance], n: int, rng: Generator) -> Attempts:
    """The fast case in which nothing fails and no instance is ejected: no loop over the requests."""
    if not instances:
        return Attempts(0, 0, n)
    for instance, share in zip(
        instances, rng.multinomial(n, [1 / len(instances)] * len(instances)).tolist(), strict=True
    ):
        if share:
            instance.ok, instance.consecutive_failures = instance.ok + share, 0
    return Attempts(n, 0, 0)
