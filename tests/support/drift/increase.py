"""Prometheus' `increase()`, written again: what a counter has grown in a window, extrapolated to its ends."""

from __future__ import annotations

from collections.abc import Sequence

Sample = tuple[float, float]
"""Seconds, and the counter's value."""


def increase(samples: Sequence[Sample], start: float, end: float) -> float | None:
    """The increase of one series from `start` to `end`. A value below the one before is a restart from 0.

    None with fewer than two samples.
    """
    if len(samples) < 2:
        return None
    (first_at, first), (last_at, _) = samples[0], samples[-1]
    values = [value for _, value in samples]
    grown = values[-1] - first + sum(one for one, other in zip(values, values[1:], strict=False) if other < one)
    sampled = last_at - first_at
    between = sampled / (len(samples) - 1)
    before, after = first_at - start, end - last_at
    if grown > 0 and first >= 0:
        # The counter was 0 at that time, if it has grown steadily.
        before = min(before, sampled * first / grown)
    near = 1.1 * between
    whole = sampled + (before if before < near else between / 2) + (after if after < near else between / 2)
    return grown * whole / sampled
