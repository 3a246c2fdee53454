"""Simulates the request counts of rollouts, per window, with disturbances: incidents, overdispersion, gaps, a ramp."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, pi, sqrt

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WINDOW_S = 5
MINUTES = 30
WINDOWS = MINUTES * 60 // WINDOW_S
PER_MINUTE = 60 // WINDOW_S
RAMP = ((0, 0.05), (5, 0.10), (10, 0.25), (20, 0.50))
"""The candidate's share from a minute on: (minute, share)."""
INCIDENT = (12, 17)
"""The minutes (first, last + 1) in which both versions fail fifty times as often."""
NUISANCES = (
    "stationary",
    "diurnal",
    "shared incident",
    "counter resets",
    "missing scrapes",
    "weight ramp",
    "overdispersion 0.5",
    "overdispersion 1",
    "overdispersion 2",
)
LASTING = tuple(f"overdispersion {variation} for {seconds} s" for variation in (1, 2) for seconds in (10, 60, 300))
"""Clumps that last longer than a window: each version's rate stays the same for so long, and is then drawn anew."""
IID = NUISANCES[:6]
"""The disturbances under which the requests of a window are independent given its rate: alpha is guaranteed here."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the grid: traffic, stable's and the candidate's error rate, a disturbance, the weight."""

    rps: float
    baseline: float
    bad: float
    nuisance: str = "stationary"
    weight: float = 0.10

    @property
    def name(self) -> str:
        """A short name for tables. It is also part of the random seed."""
        return f"{self.rps:g}/s, {self.baseline:.1%} -> {self.bad:.1%}, {self.nuisance}"


@dataclass(frozen=True, slots=True)
class Counted:
    """The gateways' counts: arrays of (windows, rollouts), or (windows, rollouts, parts) for classes and latency."""

    candidate_n: Floats
    candidate_bad: Floats
    stable_n: Floats
    stable_bad: Floats

    def begun_by(self, before: Counted, windows: int) -> Counted:
        """The first `windows` windows of `before`, and then these."""
        both = zip(_parts(before), _parts(self), strict=True)
        return Counted(*(np.concatenate([first[:windows], then[: WINDOWS - windows]]) for first, then in both))

    def minutes(self) -> Counted:
        """The counts per minute, for rules that query once a minute."""
        return Counted(*(_by_minute(one) for one in _parts(self)))


def simulate(cell: Cell, rollouts: int, seed: int) -> Counted:
    """Simulate the counts of one cell, then apply the gaps of its disturbance."""
    rng = np.random.default_rng([seed, *cell.name.encode()])
    weight, traffic, scale = _profiles(cell)
    candidate_n = rng.poisson((traffic * cell.rps * weight * WINDOW_S)[:, None], (WINDOWS, rollouts))
    stable_n = rng.poisson((traffic * cell.rps * (1 - weight) * WINDOW_S)[:, None], (WINDOWS, rollouts))
    arms = []
    for n, rate in ((candidate_n, cell.bad), (stable_n, cell.baseline)):
        chance = np.minimum(0.95, rate * scale[:, None] * _noise(cell, rng, rollouts))
        arms += [n, rng.binomial(n, chance)]
    counted = Counted(*(one.astype(np.float64) for one in arms))
    return _with_gaps(cell, counted, rng)


def simulate_latency(
    cell: Cell, slower: float, boundaries: Floats, rollouts: int, seed: int, *, median_s: float = 0.04
) -> Counted:
    """Simulate log-normal latency with sigma 0.6; the candidate's median is `slower` times stable's.

    A request counts as bad for each boundary that it exceeds.
    """
    rng = np.random.default_rng([seed, *cell.name.encode()])
    arms = []
    for share, median in ((cell.weight, median_s * slower), (1 - cell.weight, median_s)):
        n = rng.poisson(cell.rps * share * WINDOW_S, (WINDOWS, rollouts))
        inside = np.array([_below(bound, median) for bound in boundaries])
        parts = rng.multinomial(n, np.diff(inside, prepend=0.0, append=1.0))
        slow = n[..., None] - parts.cumsum(axis=-1)[..., :-1]
        arms += [np.broadcast_to(n[..., None], slow.shape).astype(np.float64), slow.astype(np.float64)]
    return Counted(*arms)


def simulate_classes(cell: Cell, before: Floats, after: Floats, rollouts: int, seed: int) -> Counted:
    """Simulate the counts of the predicted classes: stable's mix is `before`, the candidate's is `after`."""
    rng = np.random.default_rng([seed, *cell.name.encode()])
    arms = []
    for share, mix in ((cell.weight, after), (1 - cell.weight, before)):
        n = rng.poisson(cell.rps * share * WINDOW_S, (WINDOWS, rollouts))
        classes = rng.multinomial(n, mix)
        arms += [np.broadcast_to(n[..., None], classes.shape).astype(np.float64), classes.astype(np.float64)]
    return Counted(*arms)


def _profiles(cell: Cell) -> tuple[Floats, Floats, Floats]:
    minute = np.arange(WINDOWS) / PER_MINUTE
    weight, traffic, scale = (np.full(WINDOWS, value) for value in (cell.weight, 1.0, 1.0))
    if cell.nuisance == "weight ramp":
        for since, share in RAMP:
            weight[minute >= since] = share
    if cell.nuisance == "diurnal":
        # A day in half an hour: traffic and failures rise and fall together.
        traffic = 1 + 0.8 * np.sin(2 * pi * minute / MINUTES)
        scale = 1 + 0.5 * np.sin(2 * pi * minute / MINUTES)
    if cell.nuisance == "shared incident":
        scale[(minute >= INCIDENT[0]) & (minute < INCIDENT[1])] = 50.0
    return weight, traffic, scale


def _noise(cell: Cell, rng: np.random.Generator, rollouts: int) -> Floats:
    """A factor of the error rate for each window: a gamma variable for overdispersion, so failures are correlated."""
    kind, *rest = cell.nuisance.split(" ")
    if kind != "overdispersion":
        return np.ones((WINDOWS, 1))
    shape = float(rest[0]) ** -2
    windows = int(rest[2]) // WINDOW_S if len(rest) > 1 else 1
    drawn = rng.gamma(shape, 1 / shape, (WINDOWS // windows + (windows > 1), rollouts))
    if windows == 1:
        return drawn
    # A release begins at any moment of a clump.
    at = (np.arange(WINDOWS)[:, None] + rng.integers(0, windows, rollouts)) // windows
    lasting: Floats = np.take_along_axis(drawn, at, axis=0)
    return lasting


def _with_gaps(cell: Cell, counted: Counted, rng: np.random.Generator) -> Counted:
    if cell.nuisance == "counter resets":
        lost = rng.random(counted.stable_n.shape) < 0.05
        parts = (np.where(lost, 0.0, one) for one in _parts(counted))
        return Counted(*parts)
    if cell.nuisance == "missing scrapes":
        missing = rng.random(counted.stable_n.shape) < 0.25
        missing[-1] = False
        return Counted(*(_late(one, missing) for one in _parts(counted)))
    return counted


def _late(counts: Floats, missing: NDArray[np.bool_]) -> Floats:
    """Add the counts of a missed reading to the next one: a difference of counters loses no requests."""
    out, carried = np.zeros_like(counts), np.zeros(counts.shape[1])
    for at in range(len(counts)):
        carried = carried + counts[at]
        out[at] = np.where(missing[at], 0.0, carried)
        carried = np.where(missing[at], carried, 0.0)
    return out


def _parts(counted: Counted) -> tuple[Floats, Floats, Floats, Floats]:
    return counted.candidate_n, counted.candidate_bad, counted.stable_n, counted.stable_bad


def _by_minute(counts: Floats) -> Floats:
    summed: Floats = counts.reshape(MINUTES, PER_MINUTE, *counts.shape[1:]).sum(axis=1)
    return summed


def _below(bound: float, median: float) -> float:
    return _normal((np.log(bound) - np.log(median)) / 0.6)


def _normal(z: float) -> float:
    return 0.5 * (1 + erf(z / sqrt(2)))
