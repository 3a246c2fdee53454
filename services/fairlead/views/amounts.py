"""Weights, shares, times and durations as people read them."""

from __future__ import annotations

from datetime import UTC, datetime

from fairlead.contracts.route import TOTAL_WEIGHT


def percent(weight: int) -> str:
    """A weight that was set: 1,000 of 10,000 as "10 %"."""
    return f"{weight / 100:g} %"


def share(measured: int) -> str:
    """A share that was measured, in 1/10,000, rounded: 9,327 is "93 %"."""
    shown = 100 * measured / TOTAL_WEIGHT
    return f"{round(shown) if 1 <= shown <= 99 else shown:g} %"


def moment(value: datetime) -> str:
    """A time in UTC to the second, in the form that `--at` accepts."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def ago(value: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that fits."""
    seconds = max(0, int((now - value).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def score(value: float) -> str:
    """A statistic of drift in two digits that count: 0.41, 1.1, 0.0041, 12."""
    return f"{float(f'{value:.2g}'):g}"
