"""The data of an evidence picture: each gate's e-value over one attempt, its threshold, and the weight changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fairlead.contracts.base import format_e_value
from fairlead.contracts.revision import Cause, Check, Phase, Revision, Window
from fairlead.contracts.route import TOTAL_WEIGHT


@dataclass(frozen=True, slots=True)
class GateLine:
    """One gate: the logarithm of its e-value at the end of every window, and the threshold, also as a logarithm."""

    gate: str
    log_e: tuple[float, ...]
    threshold: float | None
    """None where no check of this gate is stored."""

    @property
    def is_reached(self) -> bool:
        """True when the last value reaches the threshold."""
        return self.threshold is not None and self.log_e[-1] >= self.threshold

    def describe(self) -> str:
        """The last value and the threshold as odds: "812 to 1, 300 is enough"."""
        threshold = f", {format_e_value(self.threshold)} is enough" if self.threshold is not None else ""
        return f"{format_e_value(self.log_e[-1])} to 1{threshold}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A change of the weight: a step, the promotion or the rollback."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a release, from its first window to its last."""

    model: str
    number: int
    windows: tuple[Window, ...]
    harm: tuple[GateLine, ...]
    safe: tuple[GateLine, ...]
    marks: tuple[Mark, ...]

    @property
    def start(self) -> datetime:
        """When its first window began."""
        return self.windows[0].start

    @property
    def end(self) -> datetime:
        """When its last window ended."""
        return self.windows[-1].end


def newest(
    model: str, revisions: Sequence[Revision], since: Sequence[Window], checks: Sequence[Check]
) -> Attempt | None:
    """The newest attempt that has windows, or None.

    `since` are the windows after the newest of `revisions`, `checks` the current checks of the gates. Both are empty
    when a time in the past is shown.
    """
    windows: dict[int, list[Window]] = {}
    numbers_of: dict[int, dict[str, Mapping[str, float]]] = {}
    marks: dict[int, list[Mark]] = {}
    for revision in revisions:
        number = _attempt_before(revision)
        windows.setdefault(number, []).extend(revision.windows)
        numbers_of.setdefault(number, {}).update({check.gate: check.numbers for check in revision.evidence})
        marks.setdefault(revision.state.attempt, []).extend(_marks(revision))
    if revisions and since:
        number = revisions[-1].state.attempt
        windows.setdefault(number, []).extend(since)
        numbers_of.setdefault(number, {}).update({check.gate: check.numbers for check in checks})
    number = max((number for number, found in windows.items() if found), default=-1)
    if number < 0:
        return None
    found, numbers = _in_order(windows[number]), numbers_of.get(number, {})
    return Attempt(
        model,
        number,
        found,
        tuple(_lines(found, numbers, "log_harm", "harm_at")),
        tuple(_lines(found, numbers, "log_safe", "safe_at")),
        tuple(mark for mark in marks.get(number, ()) if found[0].start <= mark.at),
    )


def _in_order(windows: Sequence[Window]) -> tuple[Window, ...]:
    """The windows in order of time, without gaps whose time was recovered by windows replayed later."""
    found: list[Window] = []
    for window in windows:
        while found and found[-1].gap is not None and found[-1].end > window.start:
            found.pop()
        found.append(window)
    return tuple(found)


def _attempt_before(revision: Revision) -> int:
    """The attempt that a revision's windows belong to: a release stores those of the attempt that it ends."""
    return revision.state.attempt - (revision.cause is Cause.RELEASED)


def _marks(revision: Revision) -> Iterator[Mark]:
    if revision.cause is Cause.STEP:
        yield Mark(revision.created_at, f"{revision.table.weight * 100 / TOTAL_WEIGHT:g} %")
    elif revision.cause is Cause.PROMOTED:
        yield Mark(revision.created_at, "promoted")
    elif revision.cause is Cause.ROLLED_BACK and revision.state.phase is Phase.STABLE:
        yield Mark(revision.created_at, "rolled back")


def _lines(
    windows: Sequence[Window], numbers: Mapping[str, Mapping[str, float]], value: str, threshold: str
) -> Iterator[GateLine]:
    for gate in _gates(windows):
        yield GateLine(gate, tuple(_values(windows, gate, value)), numbers.get(gate, {}).get(threshold))


def _gates(windows: Iterable[Window]) -> list[str]:
    return list(dict.fromkeys(one.gate for window in windows for one in window.evidence))


def _values(windows: Sequence[Window], gate: str, value: str) -> Iterator[float]:
    """The gate's value at the end of every window; a window without one keeps the last value."""
    last = 0.0
    for window in windows:
        last = next((getattr(one, value) for one in window.evidence if one.gate == gate), last)
        yield last
