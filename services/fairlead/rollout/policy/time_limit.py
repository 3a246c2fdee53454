"""The time limit of the candidate, `timeouts.perTry`: its default, and the gate that compares it with stable. Pure.

The limit applies to the candidate only. So it must leave room for what stable itself needs, or it would be a fault of
the candidate to be as slow as stable.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.revision import Check, Verdict
from fairlead.contracts.route import Timeouts
from fairlead.contracts.window import Buckets, Window, add_buckets
from fairlead.rollout.policy.situation import Situation

FACTOR = 3.0
"""The default limit, in multiples of stable's p99.9."""
LEAST_S = 2.0
"""The default limit is at least this: whether a candidate is slower than a fast stable is the question of the gate
`latency`. The limit is for a candidate that hangs."""
UNKNOWN_SHARE = 0.5
"""The default limit while too little of stable was seen, as a share of `timeouts.request`: stable gets the rest."""
MIN_ANSWERS = 100
"""So many answers of stable are needed for the default limit."""
RECENT_S = 60.0
"""The gate looks at stable's answers of so many seconds."""
TOLERATED_SHARE = 0.01
"""Stable reaches the limit if more than this share of its answers takes longer."""
MIN_LATE = 3


def limit_for(timeouts: Timeouts, windows: Sequence[Window]) -> float:
    """The candidate's time limit in seconds: what the spec says, or else what stable's own latency allows."""
    if timeouts.per_try is not None:
        return timeouts.per_try
    slowest = percentile(stable_latency(windows), 0.999)
    if slowest is None:
        return UNKNOWN_SHARE * timeouts.request
    return min(timeouts.request, max(LEAST_S, FACTOR * slowest))


def timeouts(situation: Situation) -> Check:
    """Stable itself stays within the limit that the spec sets for the candidate. A default limit follows stable."""
    limit = situation.route.spec.timeouts.per_try
    if limit is None:
        return Check(gate="timeouts", verdict=Verdict.PASS, reason="perTry is chosen from stable's own latency")
    if not situation.route.spec.idempotent:
        return Check(gate="timeouts", verdict=Verdict.PASS, reason="perTry is not used: no request is sent twice")
    found = stable_latency(_recent(situation.observation.windows))
    n, late = (found[-1], slower_than(found, limit)) if found else (0, 0)
    numbers = {"stable_n": float(n), "stable_late": float(late), "limit_s": limit}
    if not is_reached(late, n):
        reason = f"{situation.stable} answers within perTry {limit:g} s"
        return Check(gate="timeouts", verdict=Verdict.PASS, reason=reason, numbers=numbers)
    reason = (
        f"{late:,} of {n:,} answers of {situation.stable} took longer than perTry {limit:g} s (median "
        f"{percentile(found, 0.5, at_least=1) or GRID_MS[-1] / 1000:.2g} s), which only {situation.candidate} must "
        "keep: raise timeouts.perTry, or leave it out"
    )
    return Check(gate="timeouts", verdict=Verdict.INCONCLUSIVE, reason=reason, numbers=numbers)


def is_reached(late: int, n: int) -> bool:
    """True when so many of stable's answers took longer than the candidate's limit that it is no fault to be late."""
    return late >= MIN_LATE and late > TOLERATED_SHARE * n


def stable_latency(windows: Iterable[Window]) -> Buckets:
    """Stable's answers by latency; empty if there are none."""
    found: Buckets = ()
    for window in windows:
        found = add_buckets(found, window.latency.stable)
    return found


def slower_than(found: Buckets, seconds: float) -> int:
    """Answers that certainly took longer than this: those above the first bound of the grid that is not below it."""
    at = next((index for index, bound in enumerate(GRID_MS) if bound >= seconds * 1000), None)
    return found[-1] - found[at] if at is not None and found else 0


def percentile(found: Buckets, share: float, *, at_least: int = MIN_ANSWERS) -> float | None:
    """The latency in seconds that this share of the answers does not exceed, interpolated inside a bucket.

    None if there are fewer than `at_least` answers.
    """
    if not found or found[-1] < at_least:
        return None
    rank = share * found[-1]
    at = next(index for index, count in enumerate(found) if count >= rank)
    lower, below = (GRID_MS[at - 1], found[at - 1]) if at else (0, 0)
    return (lower + (GRID_MS[at] - lower) * (rank - below) / max(1, found[at] - below)) / 1000


def _recent(windows: Sequence[Window]) -> list[Window]:
    """The newest windows that have stable's latency. Those without it say nothing, and do not end a hold."""
    kept, seconds = list[Window](), 0.0
    for window in reversed(windows):
        if seconds >= RECENT_S:
            break
        if window.latency.stable:
            kept.append(window)
            seconds += window.seconds
    return kept
