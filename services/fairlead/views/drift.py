"""What is said about the drift of a model: per version and feature, whether live rows are as those of the reference.

The limits are those of the alerts (`contracts.drift_limits`). What cannot be told is said in words, and never passes
for "as the reference". Pure.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fairlead.contracts import drift_limits as limits
from fairlead.contracts.gateway import pin_name
from fairlead.contracts.profile import ANSWERS, MISSING, NEW, OTHER
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.profile.counted import Binned, Counted, Vectors
from fairlead.profile.statistics import psi, psi_critical, shares
from fairlead.profile.vectors import mmd
from fairlead.views.drift_bins import Bin, bins, both, moved

_PROFILE = "build one and deploy the folder again: fairlead profile build DIR --data FILE"


class Verdict(enum.StrEnum):
    """What the rows say about one feature."""

    DRIFTS = "drifts"
    """An alert fires when this lasts."""
    MOVED = "moved"
    """More than chance explains, and less than matters or with too few rows for an alert."""
    STEADY = "as the reference"
    FEW = "not enough rows"


class State(enum.StrEnum):
    """What is known about one version."""

    MEASURED = "measured"
    FEW = "not enough rows"
    NO_PROFILE = "no profile"
    NO_INSTANCE = "no instance"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Asked:
    """What was read of one version: the sum of the instances that answered, and why others did not."""

    version: str
    role: str
    """`stable`, `candidate`, or empty."""
    instances: int
    counted: Counted | None = None
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature. `distance` is PSI, or the squared MMD of a vector; `chance` is what chance explains of it."""

    name: str
    kind: str
    """`input`, `answer` or `vector`."""
    verdict: Verdict
    rows: int
    """The independent ones."""
    distance: float | None = None
    chance: float | None = None
    words: tuple[str, ...] = ()
    """The bins that moved most, and what is missing or new too often."""
    bins: tuple[Bin, ...] = ()

    @property
    def measure(self) -> str:
        """What `distance` is."""
        return "squared MMD" if self.kind == "vector" else "PSI"


@dataclass(frozen=True, slots=True)
class Part:
    """All rows of a version, with an empty name, or those of a slice: every feature, those that drift most first."""

    slice: str
    summary: str
    verdict: Verdict
    features: tuple[Feature, ...]


@dataclass(frozen=True, slots=True)
class VersionDrift:
    """One version. `parts` begins with all rows; it is empty unless something was counted."""

    version: str
    role: str
    state: State
    summary: str
    notes: tuple[str, ...] = ()
    """What makes the numbers less than they seem."""
    parts: tuple[Part, ...] = ()


def version_drifts(
    table: Table | None, asked: Mapping[VersionRef, Asked], *, is_known: bool = True
) -> tuple[VersionDrift, ...]:
    """Those of the table first: stable, candidate, and those that can be asked by their name. Then all others that run.

    `asked` is what was read of each version; with `is_known` False it was not read yet.
    """
    roles = {table.stable: "stable", table.candidate: "candidate"} if table is not None else {}
    known = (*roles, *(table.pins if table is not None else ()), *asked)
    found = []
    for ref in dict.fromkeys(one for one in known if one is not None):
        nothing = Asked(ref.version, "", 0 if is_known else 1)
        name = pin_name(table, ref) if table is not None else ref.version
        found.append(version_drift(replace(asked.get(ref, nothing), version=name, role=roles.get(ref, ""))))
    return tuple(found)


def version_drift(asked: Asked) -> VersionDrift:
    """What is said about one version."""
    told = _unknown(asked)
    if told is not None:
        return VersionDrift(asked.version, asked.role, *told)
    counted = asked.counted
    assert counted is not None
    names = tuple(dict.fromkeys(("", *(one.slice for one in counted.features))))
    parts = tuple(_part(counted, name) for name in names)
    state = State.FEW if parts[0].verdict is Verdict.FEW else State.MEASURED
    notes = tuple(_notes(asked, counted))
    return VersionDrift(asked.version, asked.role, state, parts[0].summary, notes, parts)


def _unknown(asked: Asked) -> tuple[State, str] | None:
    """Why nothing can be said; None if something can."""
    if asked.counted is None:
        if asked.problems:
            return State.UNAVAILABLE, f"drift unavailable: {'; '.join(asked.problems[:3])}"
        if asked.instances:
            return State.UNAVAILABLE, "drift unavailable: its instances are being asked"
        return State.NO_INSTANCE, "drift unavailable: no instance of it runs, so nothing is counted"
    if not asked.counted.profile:
        return State.NO_PROFILE, f"drift unavailable: it has no profile to compare rows with; {_PROFILE}"
    return None


def _notes(asked: Asked, counted: Counted) -> Iterator[str]:
    answered = asked.instances - len(asked.problems)
    if asked.problems:
        yield f"{answered} of {asked.instances} instances answered; not in the numbers: {'; '.join(asked.problems[:3])}"
    requests = counted.requests.get("", 0)
    yield (
        f"Live are {_counted(counted.rows, 'row')} of {_counted(requests, 'request')}, counted since "
        f"{'the instance' if asked.instances == 1 else 'each instance'} started."
    )
    if requests < counted.rows:
        yield "Rows of one request are often alike, so no more rows than requests count as independent."
    if counted.skipped:
        yield f"{_counted(counted.skipped, 'row')} were not looked at: under load, drift is a sample."
    if counted.failed:
        yield f"{_counted(counted.failed, 'row')} could not be counted, so the shares may be wrong: see the log."


def _part(counted: Counted, name: str) -> Part:
    requests = counted.requests.get(name, 0)
    found = [_feature(one, requests) for one in counted.features if one.slice == name]
    if not name:
        found += [_vector(one, requests) for one in counted.vectors]
    found.sort(key=_urgency)
    verdict = found[0].verdict if found else Verdict.FEW
    return Part(name, _summary(found), verdict, tuple(found))


_ORDER = (Verdict.DRIFTS, Verdict.MOVED, Verdict.STEADY, Verdict.FEW)


def _urgency(one: Feature) -> tuple[int, float, str]:
    times = one.distance / one.chance if one.distance is not None and one.chance else 0.0
    return _ORDER.index(one.verdict), -times, one.name


def _summary(found: Sequence[Feature]) -> str:
    by = {verdict: [one for one in found if one.verdict is verdict] for verdict in Verdict}
    drifting, looked = by[Verdict.DRIFTS], len(found) - len(by[Verdict.FEW])
    if not looked:
        most = max((one.rows for one in found), default=0)
        return f"not enough rows yet: {most:,} independent rows, and a PSI needs {limits.SHOWN_ROWS}"
    few = f"; {len(by[Verdict.FEW])} have not enough rows" if by[Verdict.FEW] else ""
    if drifting:
        names = ", ".join(one.name for one in drifting[:3]) + (", ..." if len(drifting) > 3 else "")  # noqa: PLR2004
        return f"{len(drifting)} of {looked} features {'drifts' if len(drifting) == 1 else 'drift'}: {names}{few}"
    if by[Verdict.MOVED]:
        count = len(by[Verdict.MOVED])
        return f"{count} of {looked} features moved by more than chance, none by enough for an alert{few}"
    return f"as the reference: none of {_counted(looked, 'feature')} moved by more than chance explains{few}"


def _feature(one: Binned, requests: int) -> Feature:
    rows, reference_rows = int(one.live.sum()), float(one.reference.sum())
    independent, kind = min(rows, requests), "answer" if one.feature in ANSWERS else "input"
    found = bins(one)
    if independent < limits.SHOWN_ROWS:
        why = f"{independent:,} independent rows of the {limits.SHOWN_ROWS} that a PSI needs"
        return Feature(one.feature, kind, Verdict.FEW, independent, words=(why,), bins=found)
    distance = psi(one.live, one.reference)
    chance = psi_critical(one.critical, independent, reference_rows)
    floor = limits.ANSWER_FLOOR if kind == "answer" else limits.INPUT_FLOOR
    often = tuple(_too_often(one, found, independent)) if kind == "input" else ()
    verdict = (
        Verdict.DRIFTS if often and independent > limits.LEAST_ROWS else _verdict(distance, chance, floor, independent)
    )
    words = moved(one.feature, found) if verdict in (Verdict.DRIFTS, Verdict.MOVED) else ()
    return Feature(
        one.feature, kind, verdict, independent, distance, chance, tuple(dict.fromkeys((*often, *words))), found
    )


def _vector(one: Vectors, requests: int) -> Feature:
    independent = min(int(one.rows), requests)
    if independent < limits.SHOWN_ROWS:
        words = f"{independent:,} independent vectors of the {limits.SHOWN_ROWS} that an MMD needs"
        return Feature(one.feature, "vector", Verdict.FEW, independent, words=(words,))
    distance = mmd(one.sums / one.rows, one.means)
    chance = psi_critical(one.critical, independent, one.reference_rows)
    verdict = _verdict(distance, chance, limits.VECTOR_FLOOR, independent)
    return Feature(one.feature, "vector", verdict, independent, distance, chance)


def _verdict(distance: float, chance: float, floor: float, independent: int) -> Verdict:
    if distance > floor and distance > limits.TIMES_CRITICAL * chance and independent > limits.LEAST_ROWS:
        return Verdict.DRIFTS
    return Verdict.MOVED if distance > chance else Verdict.STEADY


def _too_often(one: Binned, found: Sequence[Bin], independent: int) -> Iterator[str]:
    """What is missing or new more often than the reference explains, by the rules of the alerts."""
    smoothed = dict(zip(one.bins, shares(one.reference).tolist(), strict=True))
    spread = 1 / independent + 1 / max(1.0, float(one.reference.sum()))
    for name, expected_in in ((MISSING, (MISSING,)), (NEW, (NEW, OTHER))):
        if name not in smoothed:
            continue
        shown = found[one.bins.index(name)]
        share = shown.live
        expected = sum(smoothed.get(place, 0.0) for place in expected_in)
        if share <= expected + limits.RISE or share <= limits.TIMES * expected:
            continue
        if (share * math.log(share / expected) - share + expected) / spread > limits.evidence():
            yield f"{one.feature} {shown.name}: {both(shown)}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
