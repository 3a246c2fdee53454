"""Counts of a custom gate: increases of counters between two moments, per target, with restart detection. Pure.

A counter that is new counts from zero only if its target was already scraped before. So a first failure counts as a
failure, and the past counts of a new instance are not taken for a burst.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf

from fairlead.contracts.window import Counts
from fairlead.rollout.analysis.counts import Gap
from fairlead.rollout.analysis.scrape_alignment import max_age_s
from fairlead.rollout.ports import Series

MORE_BAD_SHARE = 0.1
"""A target does not write all counters at the same instant: `bad` may be ahead of `total` by this share."""

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class VersionSeries:
    """The series of one version."""

    bad: Sequence[Series]
    total: Sequence[Series]


class NotScrapedYet(Exception):
    """A target was not scraped again yet: the window continues."""


def count(version: VersionSeries, since: datetime, until: datetime, interval_s: float) -> Counts:
    """The increases of one version's counters. Raises Gap if they are not valid, NotScrapedYet if nothing is new."""
    max_age = max_age_s(interval_s)
    start, end = since.timestamp(), until.timestamp()
    known = _targets(version, start, max_age)
    now = _targets(version, end, max_age)
    for target, at in sorted(now.items()):
        if target in known and known[target] == at:
            raise NotScrapedYet
    for target in sorted(known.keys() - now.keys()):
        raise Gap(f"{_instance_name(target)} was not scraped any more")
    for target in sorted(now.keys() - known.keys()):
        raise Gap(f"{_instance_name(target)} was not scraped before")
    n, bad = (sum(_rise(one, start, end, max_age) for one in series) for series in (version.total, version.bad))
    if bad > n + max(2.0, MORE_BAD_SHARE * n):
        raise Gap(f"{bad:g} bad of {n:g}: what `bad` selects must be a part of what `total` selects")
    return Counts(n=round(n), bad=round(min(n, bad)))


def is_scraped(version: VersionSeries, moment: datetime, interval_s: float) -> bool:
    """Whether any target of the version was scraped lately at this moment."""
    return bool(_targets(version, moment.timestamp(), max_age_s(interval_s)))


def _targets(version: VersionSeries, moment: float, max_age: float) -> dict[Labels, float]:
    """When each target was last scraped before this moment."""
    found: dict[Labels, float] = {}
    for series in _all(version):
        sample = _at(series, moment, max_age)
        if sample is not None:
            target = _target(series)
            found[target] = max(found.get(target, 0.0), sample[0])
    return found


def _rise(series: Series, start: float, end: float, max_age: float) -> float:
    """The increase of one counter. A counter that is new started at zero: `count` checked that its target is known."""
    last = _at(series, end, max_age)
    if last is None:
        if _at(series, start, max_age) is None:
            return 0.0
        raise Gap(f"{_named(series)} of {_instance_name(_target(series))} is not told any more")
    first = _at(series, start, max_age)
    before = first[1] if first else 0.0
    values = [before, *(value for at, value in series.samples if (first[0] if first else start) < at <= last[0])]
    if nonsense := [value for value in values if not 0 <= value < inf]:
        raise Gap(f"{_named(series)} of {_instance_name(_target(series))} is {nonsense[0]:g}, which is no count")
    for one, other in zip(values, values[1:], strict=False):
        if other < one:
            raise Gap(f"{_named(series)} of {_instance_name(_target(series))} fell: started anew, or not a counter")
    return values[-1] - before


def _at(series: Series, moment: float, max_age: float) -> tuple[float, float] | None:
    index = bisect_right(series.samples, moment, key=lambda one: one[0])
    if not index or moment - series.samples[index - 1][0] >= max_age:
        return None
    return series.samples[index - 1]


def _all(version: VersionSeries) -> Iterable[Series]:
    yield from version.total
    yield from version.bad


def _target(series: Series) -> Labels:
    return tuple((name, series.labels[name]) for name in ("job", "instance") if name in series.labels)


def _named(series: Series) -> str:
    return series.labels.get("__name__", "a counter")


def _instance_name(target: Labels) -> str:
    return dict(target).get("instance") or "a target without the label instance"
