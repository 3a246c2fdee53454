"""Rollback rules for simulated rollouts: Fairlead's, with the engine's own code, and those of other tools.

Each rule takes the counts and returns the window in which each rollout was rolled back; `WINDOWS` means never. The
rules of other tools follow their documentation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from fairlead.rollout.analysis import comparison, multiple_comparisons
from fairlead.rollout.analysis.bets import Sample
from fairlead.rollout.analysis.comparison import Comparison, Margins, Prior
from support.rollouts.simulated_counts import MINUTES, PER_MINUTE, WINDOWS, Counted, Floats

ALPHA, BETA = 0.01, 0.05
Ints = NDArray[np.int64]
Rule = Callable[[Counted], Ints]
Advance = Callable[[Comparison, Sample, Margins], Comparison]


@dataclass(frozen=True, slots=True)
class Found:
    """The windows in which each rollout was ended, by share of alpha; and in which it was shown to be safe."""

    harmed: dict[float, Ints]
    """By evidence as it counts."""
    of_requests: dict[float, Ints]
    """By the evidence of the requests alone, without the windows."""
    proven: Ints


def evidence(
    counted: Counted,
    *,
    margins: Margins,
    shares: tuple[float, ...],
    advance: Advance = comparison.advance,
    prior: Prior = comparison.RARE,
    width: int = 1,
) -> Found:
    """The first windows in which harm reached 1/(share alpha), and those in which safety reached 1/beta.

    `width` is the number of comparisons of the gate for each part of the last axis: two for classes, else one. The
    loop stops when every rollout has been ended by harm.
    """
    rollouts = counted.candidate_n.shape[1]
    parts = counted.candidate_n.shape[2:]
    state = comparison.fresh((rollouts, *(width * size for size in parts)), prior)
    harmed, of_requests = ({share: np.full(rollouts, WINDOWS) for share in shares} for _ in range(2))
    proven = np.full(rollouts, WINDOWS)
    for at in range(WINDOWS):
        sample = Sample(
            counted.candidate_n[at], counted.candidate_bad[at], counted.stable_n[at], counted.stable_bad[at]
        )
        state = advance(state, sample, margins)
        harm, requests, safe = (
            tuple(one(state) for one in _SEVERAL)
            if parts
            else (state.log_harm, state.log_harm_of_requests, state.log_safe)
        )
        for firsts, log_e in ((harmed, harm), (of_requests, requests)):
            for share, first in firsts.items():
                first[(first == WINDOWS) & (log_e >= -log(share * ALPHA))] = at
        proven[(proven == WINDOWS) & (safe >= -log(BETA))] = at
        if harmed and all((first < WINDOWS).all() for first in harmed.values()):
            break
    return Found(harmed, of_requests, proven)


_SEVERAL = (multiple_comparisons.log_harm, multiple_comparisons.log_harm_of_requests, multiple_comparisons.log_safe)


def argo(threshold: float, *, every: int, limit: int) -> Rule:
    """Argo Rollouts: checks the candidate's success rate every `every` minutes; rolls back after more than `limit`
    failed checks."""

    def rule(counted: Counted) -> Ints:
        below = _below(counted, threshold, every)
        return _first(below.cumsum(axis=0) > limit, every)

    return rule


def flagger(threshold: float, *, failures: int) -> Rule:
    """Flagger: checks the candidate's success rate of each minute; rolls back after `failures` failed checks in all."""

    def rule(counted: Counted) -> Ints:
        return _first(_below(counted, threshold, 1).cumsum(axis=0) >= failures, 1)

    return rule


def peeked_z(counted: Counted) -> Ints:
    """A one-sided two-proportion z-test on the totals so far, evaluated every minute."""
    totals = _totals(counted)
    pooled = (totals.candidate_bad + totals.stable_bad) / np.maximum(totals.candidate_n + totals.stable_n, 1)
    spread = pooled * (1 - pooled) * (1 / np.maximum(totals.candidate_n, 1) + 1 / np.maximum(totals.stable_n, 1))
    z = _difference(totals) / np.sqrt(np.maximum(spread, 1e-12))
    return _first((z > NormalDist().inv_cdf(1 - ALPHA)) & (totals.candidate_n > 0), 1)


def asymptotic_sequence(counted: Counted) -> Ints:
    """Waudby-Smith & Ramdas' asymptotic confidence sequence on the totals so far, tuned to 5,000 requests."""
    totals = _totals(counted)
    n = np.maximum(totals.candidate_n + totals.stable_n, 1)
    variance = n * sum(
        (bad / np.maximum(size, 1)) * (1 - bad / np.maximum(size, 1)) / np.maximum(size, 1)
        for bad, size in (
            (totals.candidate_bad, totals.candidate_n),
            (totals.stable_bad, totals.stable_n),
        )
    )
    rho2 = (-2 * log(2 * ALPHA) + log(1 - 2 * log(2 * ALPHA))) / 5000
    width = np.sqrt(2 * (n * rho2 + 1) / (n * n * rho2) * np.log(np.sqrt(n * rho2 + 1) / (2 * ALPHA)))
    far = _difference(totals) - np.sqrt(variance) * width > 0
    return _first(far & (totals.candidate_bad + totals.stable_bad >= 5), 1)


def kayenta(counted: Counted) -> Ints:
    """Kayenta-like: Mann-Whitney on the error rates of the minutes, 98 %, tolerance 0.25, at 10, 20 and 30 minutes."""
    by_minute = counted.minutes()
    candidate = by_minute.candidate_bad / np.maximum(by_minute.candidate_n, 1)
    stable = by_minute.stable_bad / np.maximum(by_minute.stable_n, 1)
    out = np.full(candidate.shape[1], WINDOWS)
    z = NormalDist().inv_cdf(0.99)
    for until in (10, 20, MINUTES):
        pairs = np.sort((candidate[:until, None] - stable[None, :until]).reshape(until * until, -1), axis=0)
        shift = np.median(pairs, axis=0)
        rank = max(0, int(until * until / 2 - z * sqrt(until * until * (2 * until + 1) / 12)))
        high = pairs[rank] > 0.25 * np.abs(shift)
        out[(out == WINDOWS) & high] = until * PER_MINUTE - 1
    return out


RIVALS: dict[str, Rule] = {
    "Argo >= 99 %, 1 m, limit 0": argo(0.99, every=1, limit=0),
    "Argo >= 95 %, 5 m, limit 3": argo(0.95, every=5, limit=3),
    "Flagger >= 99 %, 1 m, threshold 5": flagger(0.99, failures=5),
    "Kayenta-like": kayenta,
    "z-test, peeked each minute": peeked_z,
    "asymptotic sequence on totals": asymptotic_sequence,
}


def _below(counted: Counted, threshold: float, every: int) -> NDArray[np.bool_]:
    """Whether the candidate's success rate was below the threshold. A period without requests counts as a success,
    which favours these rules."""
    minutes = counted.minutes()
    n, bad = (
        one.reshape(MINUTES // every, every, -1).sum(axis=1) for one in (minutes.candidate_n, minutes.candidate_bad)
    )
    below: NDArray[np.bool_] = (n > 0) & (1 - bad / np.maximum(n, 1) < threshold)
    return below


def _totals(counted: Counted) -> Counted:
    minutes = counted.minutes()
    parts = (minutes.candidate_n, minutes.candidate_bad, minutes.stable_n, minutes.stable_bad)
    return Counted(*(one.cumsum(axis=0) for one in parts))


def _difference(totals: Counted) -> Floats:
    difference: Floats = totals.candidate_bad / np.maximum(totals.candidate_n, 1) - totals.stable_bad / np.maximum(
        totals.stable_n, 1
    )
    return difference


def _first(crossed: NDArray[np.bool_], every: int) -> Ints:
    """The last window of the first period in which the limit was crossed."""
    found: Ints = np.where(crossed.any(axis=0), (crossed.argmax(axis=0) + 1) * every * PER_MINUTE - 1, WINDOWS)
    return found
