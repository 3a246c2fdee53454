"""The candidate's instances as one gateway sees them: who is asked, and who is left out for a while.

An instance that fails so often in a row is ejected, as the gateways' configuration says: that is what makes a bad
candidate's requests land on stable, and what the gate `starved` sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.random import Generator

from fairlead.routing.envoy.clusters import EJECT_AFTER, EJECTION_S, MAX_EJECTION_S


@dataclass
class Host:
    """One instance. `ok` and `failed` are what the gateway's counters say of it."""

    address: str
    ok: int = 0
    failed: int = 0
    row: int = 0
    """Failures without a good answer in between."""
    ejections: int = 0
    back_at: float = 0.0
    """Until then it is left out."""

    def answer(self, failed: bool, now: float) -> None:
        """Count one attempt, and leave it out if it was one failure too many."""
        if not failed:
            self.ok, self.row = self.ok + 1, 0
            return
        self.failed, self.row = self.failed + 1, self.row + 1
        if self.row >= EJECT_AFTER:
            self.ejections, self.row = self.ejections + 1, 0
            self.back_at = now + min(MAX_EJECTION_S, EJECTION_S * self.ejections)


@dataclass(frozen=True, slots=True)
class Attempts:
    """What became of requests that were given to the candidate."""

    ok: int
    failed: int
    spilled: int
    """Never tried there: no instance was ready, or all were left out."""


def attempt(hosts: Sequence[Host], n: int, chance: float, *, now: float, rng: Generator) -> Attempts:
    """Give so many requests to the instances, each to one that is not left out; `chance` is that of a failure."""
    fates = rng.random(n) < chance
    if not fates.any() and not any(host.back_at > now for host in hosts):
        return _all_well(hosts, n, rng)
    drawn = rng.random(n)
    ok = failed = 0
    for fails, where in zip(fates.tolist(), drawn.tolist(), strict=True):
        live = [host for host in hosts if host.back_at <= now]
        if not live:
            break
        live[int(where * len(live))].answer(fails, now)
        ok, failed = ok + (not fails), failed + fails
    return Attempts(ok, failed, n - ok - failed)


def _all_well(hosts: Sequence[Host], n: int, rng: Generator) -> Attempts:
    """The same when nothing fails and nobody is left out, without looking at every request."""
    if not hosts:
        return Attempts(0, 0, n)
    for host, share in zip(hosts, rng.multinomial(n, [1 / len(hosts)] * len(hosts)).tolist(), strict=True):
        if share:
            host.ok, host.row = host.ok + share, 0
    return Attempts(n, 0, 0)
