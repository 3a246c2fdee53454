"""What a picture shows: each gate's e-value over one attempt, what is enough, and the weights beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from fairlead.contracts.base import format_odds
from fairlead.contracts.revision import Cause, Check, Phase, Revision, Window
from fairlead.contracts.route import TOTAL_WEIGHT


@dataclass(frozen=True, slots=True)
class Line:
    """One gate: the logarithm of its e-value at the end of every window, and the logarithm that is enough."""

    gate: str
    log_e: tuple[float, ...]
    enough: float | None
    """None where nothing says what was asked: no check of this gate is kept."""

    @property
    def is_reached(self) -> bool:
        """True when the last value is enough."""
        return self.enough is not None and self.log_e[-1] >= self.enough

    def told(self) -> str:
        """Where it ended, in odds: "812 to 1, 300 is enough"."""
        enough = f", {format_odds(self.enough)} is enough" if self.enough is not None else ""
        return f"{format_odds(self.log_e[-1])} to 1{enough}"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened to the weight."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a release, from its first window to its last."""

    model: str
    number: int
    windows: tuple[Window, ...]
    harm: tuple[Line, ...]
    safe: tuple[Line, ...]
    marks: tuple[Mark, ...]

    @property
    def start(self) -> datetime:
        """When its first window began."""
        return self.windows[0].start

    @property
    def end(self) -> datetime:
        """When its last one ended."""
        return self.windows[-1].end


def newest(
    model: str, revisions: Sequence[Revision], since: Sequence[Window], checks: Sequence[Check]
) -> Attempt | None:
    """The newest attempt that has windows, or None. `since` are the windows after the last revision of `revisions`,
    `checks` what the gates say now; both empty where the past is asked for.
    """
    windows: dict[int, list[Window]] = {}
    said: dict[int, dict[str, Mapping[str, float]]] = {}
    marks: dict[int, list[Mark]] = {}
    for revision in revisions:
        number = _attempt_before(revision)
        windows.setdefault(number, []).extend(revision.windows)
        said.setdefault(number, {}).update({check.gate: check.numbers for check in revision.evidence})
        marks.setdefault(revision.state.attempt, []).extend(_marks(revision))
    if revisions and since:
        number = revisions[-1].state.attempt
        windows.setdefault(number, []).extend(since)
        said.setdefault(number, {}).update({check.gate: check.numbers for check in checks})
    number = max((number for number, found in windows.items() if found), default=-1)
    if number < 0:
        return None
    found, numbers = _in_time(windows[number]), said.get(number, {})
    return Attempt(
        model,
        number,
        found,
        tuple(_lines(found, numbers, "log_harm", "harm_at")),
        tuple(_lines(found, numbers, "log_safe", "safe_at")),
        tuple(mark for mark in marks.get(number, ()) if found[0].start <= mark.at),
    )


def _in_time(windows: Sequence[Window]) -> tuple[Window, ...]:
    """As time went: a gap that was made good by windows replayed later is not drawn beside them."""
    found: list[Window] = []
    for window in windows:
        while found and found[-1].gap is not None and found[-1].end > window.start:
            found.pop()
        found.append(window)
    return tuple(found)


def _attempt_before(revision: Revision) -> int:
    """The attempt whose windows a revision took along: a release takes those of the attempt that it ends."""
    return revision.state.attempt - (revision.cause is Cause.RELEASED)


def _marks(revision: Revision) -> Iterator[Mark]:
    if revision.cause is Cause.STEP:
        yield Mark(revision.created_at, f"{revision.table.weight * 100 / TOTAL_WEIGHT:g} %")
    elif revision.cause is Cause.PROMOTED:
        yield Mark(revision.created_at, "promoted")
    elif revision.cause is Cause.ROLLED_BACK and revision.state.phase is Phase.STABLE:
        yield Mark(revision.created_at, "rolled back")


def _lines(
    windows: Sequence[Window], numbers: Mapping[str, Mapping[str, float]], value: str, enough: str
) -> Iterator[Line]:
    for gate in _gates(windows):
        yield Line(gate, tuple(_values(windows, gate, value)), numbers.get(gate, {}).get(enough))


def _gates(windows: Iterable[Window]) -> list[str]:
    return list(dict.fromkeys(one.gate for window in windows for one in window.evidence))


def _values(windows: Sequence[Window], gate: str, value: str) -> Iterator[float]:
    """What was said last holds until something else is said."""
    last = 0.0
    for window in windows:
        last = next((getattr(one, value) for one in window.evidence if one.gate == gate), last)
        yield last
