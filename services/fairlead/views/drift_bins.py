"""The bins of a feature in words, and which of them moved most. Pure.

A bin has the name of a value only where the type of the field says all values: any other text of the reference is data,
so its bins are told by their rank.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from fairlead.contracts.profile import HIGH, LOW, MISSING, NEW, OTHER
from fairlead.profile.counted import Binned

_NUMBER, _RANK = re.compile(r"\d\d"), re.compile(r"v(\d\d)")
LEAST_MOVE = 0.01
"""A bin that gained or lost a smaller share of the rows is not told."""
MOST_TOLD = 3


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin in words, and its share of the rows of the reference and of the live ones, from 0 to 1."""

    name: str
    reference: float
    live: float


def bins(one: Binned) -> tuple[Bin, ...]:
    """All bins of a feature, in its order. Without rows all shares are 0."""
    totals = max(1.0, float(one.reference.sum())), max(1.0, float(one.live.sum()))
    names = [_words(one, at) for at in range(len(one.bins))]
    shares = zip((one.reference / totals[0]).tolist(), (one.live / totals[1]).tolist(), strict=True)
    return tuple(Bin(name, *pair) for name, pair in zip(names, shares, strict=True))


def moved(feature: str, found: tuple[Bin, ...]) -> tuple[str, ...]:
    """The bins whose share has changed most: `age 18 to 25: 4 % in the reference, 19 % now`."""
    told = [one for one in found if abs(one.live - one.reference) >= LEAST_MOVE]
    told.sort(key=lambda one: -abs(one.live - one.reference))
    return tuple(f"{feature} {one.name}: {both(one)}" for one in told[:MOST_TOLD])


def both(one: Bin) -> str:
    """Its two shares in words."""
    return f"{percent(one.reference)} in the reference, {percent(one.live)} now"


def percent(share: float) -> str:
    """A share of rows: 0 %, 0.4 %, 19 %, 99.7 %, 100 %. Some rows are never none of them, and most are never all."""
    value = 100 * share
    if 0 < value < 1 or 99 < value < 100:  # noqa: PLR2004 - percent
        return f"{min(99.9, max(0.1, value)):.1f} %"
    return f"{value:.0f} %"


def _words(one: Binned, at: int) -> str:
    name = one.bins[at]
    if name == MISSING:
        return "missing"
    if (LOW in one.bins and name in (LOW, HIGH)) or _NUMBER.fullmatch(name):
        return _of_number(one, at)
    if name == OTHER:
        return "another value of the reference"
    if name == NEW:
        return "a value that the reference does not have"
    if rank := _RANK.fullmatch(name):
        return f"value number {int(rank[1]) + 1} of the reference"
    return name


def _of_number(one: Binned, at: int) -> str:
    if not one.starts:
        return {LOW: "below the reference's range", HIGH: "above the reference's range"}.get(
            one.bins[at], f"bin {one.bins[at]}"
        )
    written = _written(one.starts)
    following = one.bins[at + 1] if at + 1 < len(one.bins) else ""
    if one.bins[at] == LOW:
        return f"below {written.get(following, '?')}"
    start = written.get(one.bins[at], "?")
    if one.bins[at] == HIGH:
        return f"above {start}"
    end = written.get(following, "?")
    # A value that many rows have has a bin of its own, which ends at the next float.
    return start if start == end else f"{start} to {end}"


def _written(starts: Mapping[str, float]) -> dict[str, str]:
    """The starts of bins: integers as they are, others in as few digits as tell them apart."""
    known = sorted({float(f"{value:.12g}") for value in starts.values()})
    digits = next(
        (count for count in (4, 5, 6, 8, 10) if len({_number(one, count) for one in known}) == len(known)), 12
    )
    if all(one == int(one) for one in known if math.isfinite(one)):
        digits = 12
    return {name: _number(value, digits) for name, value in starts.items()}


def _number(value: float, digits: int) -> str:
    """A number with so many digits that count: 0.25, 18, 1987, 1,250,000."""
    rounded = float(f"{value:.{digits}g}")
    if not math.isfinite(rounded):
        return "?"
    if rounded == int(rounded) and abs(rounded) < 1e15:  # noqa: PLR2004 - as integers are written
        return f"{rounded:,.0f}" if abs(rounded) >= 10_000 else f"{rounded:.0f}"  # noqa: PLR2004 - a year has no comma
    return f"{rounded:.{digits}g}"
