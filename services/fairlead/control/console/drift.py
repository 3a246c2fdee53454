"""What the page of a model's drift shows: one version, of all its rows or of one slice. Pure."""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from fairlead import errors
from fairlead.views.amounts import score
from fairlead.views.drift import Feature, Part, State, Verdict, VersionDrift
from fairlead.views.drift_bins import Bin, percent

MAX_BINS = 700
"""The bins of the features that a page draws: 50 numbers have 650. Of further features it tells the PSI only."""
MARKS = {Verdict.DRIFTS: "fail", Verdict.MOVED: "degraded", Verdict.STEADY: "pass", Verdict.FEW: "unknown"}
"""The style of the mark of each verdict."""


@dataclass(frozen=True, slots=True)
class Link:
    """Another version or slice, and the mark of what is known of it."""

    name: str
    shown: str
    mark: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """One bin: its two shares in words, and as lengths in percent of the longest."""

    name: str
    reference: str
    live: str
    reference_length: int
    live_length: int


@dataclass(frozen=True, slots=True)
class Row:
    """One feature."""

    key: str
    """Names its elements on the page. The same for the same feature."""
    name: str
    kind: str
    mark: str
    verdict: str
    numbers: str
    """PSI and what chance explains of it; empty if there is none."""
    words: tuple[str, ...]
    bars: tuple[Bar, ...]
    is_open: bool


@dataclass(frozen=True, slots=True)
class DriftPage:
    """The whole page."""

    model: str
    version: str
    slice: str
    title: str
    mark: str
    headline: str
    notes: tuple[str, ...]
    versions: tuple[Link, ...]
    slices: tuple[Link, ...]
    rows: tuple[Row, ...]


def drift_page(model: str, versions: Sequence[VersionDrift], version: str, of_slice: str) -> DriftPage:
    """The page of one version, of the first one if none is named. Raises NotFound without such a version or slice."""
    if not versions:
        raise errors.NotFound(f"no version of {model} runs or serves, so there is no drift to show")
    chosen = next((one for one in versions if one.version == (version or versions[0].version)), None)
    if chosen is None:
        raise errors.NotFound(f"{model} has no version {version[:80]!r} now")
    part = next((one for one in chosen.parts if one.slice == of_slice), None)
    if part is None and of_slice:
        raise errors.NotFound(f"the profile of {model} {chosen.version} has no slice {of_slice[:80]!r}")
    mark = MARKS[part.verdict] if part else "unknown"
    links = tuple(
        Link(one.version, f"{one.version} ({one.role})" if one.role else one.version, _mark(one), one is chosen)
        for one in versions
    )
    slices = tuple(
        Link(one.slice, one.slice or "all rows", MARKS[one.verdict], one.slice == of_slice) for one in chosen.parts
    )
    return DriftPage(
        model=model,
        version=chosen.version,
        slice=of_slice,
        title=f"{model}: {part.verdict if part else 'drift unavailable'}",
        mark=mark,
        headline=f"{model} {chosen.version}: {_summary(chosen, part)}",
        notes=chosen.notes,
        versions=links,
        slices=slices if len(slices) > 1 else (),
        rows=_rows(part.features) if part else (),
    )


def _summary(version: VersionDrift, part: Part | None) -> str:
    if part is None:
        return version.summary
    return f"of slice {part.slice}, {part.summary}" if part.slice else part.summary


def _mark(version: VersionDrift) -> str:
    """The worst of its rows and slices."""
    if version.state not in (State.MEASURED, State.FEW):
        return "unknown"
    order = tuple(MARKS)
    return MARKS[min((one.verdict for one in version.parts), key=order.index)]


def _rows(features: Sequence[Feature]) -> tuple[Row, ...]:
    rows, room = list[Row](), MAX_BINS
    for one in features:
        room -= len(one.bins)
        bars = _bars(one.bins) if room >= 0 else ()
        rows.append(_row(one, bars))
    return tuple(rows)


def _row(one: Feature, bars: tuple[Bar, ...]) -> Row:
    numbers = ""
    if one.distance is not None and one.chance is not None:
        numbers = f"{one.measure} {score(one.distance)}, chance up to {score(one.chance)}"
    words = one.words
    if one.bins and not bars:
        words = (*words, "Its bins are not drawn: the page would be too large. The command below shows them.")
    return Row(
        key=f"{zlib.crc32(one.name.encode()):08x}",
        name=one.name,
        kind=one.kind,
        mark=MARKS[one.verdict],
        verdict=one.verdict.value,
        numbers=numbers,
        words=words,
        bars=bars,
        is_open=one.verdict is Verdict.DRIFTS,
    )


def _bars(bins: Sequence[Bin]) -> tuple[Bar, ...]:
    longest = max((max(one.reference, one.live) for one in bins), default=0) or 1
    return tuple(
        Bar(
            one.name,
            percent(one.reference),
            percent(one.live),
            math.ceil(100 * one.reference / longest),
            math.ceil(100 * one.live / longest),
        )
        for one in bins
    )
