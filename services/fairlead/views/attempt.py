"""The data of an evidence picture: the attempts in a ledger, each with its windows, gates and events."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log

from fairlead.contracts.base import format_e_value
from fairlead.contracts.revision import Cause, Check, Phase, Revision
from fairlead.contracts.route import TOTAL_WEIGHT, VersionRef
from fairlead.contracts.window import Window
from fairlead.rollout.analysis.counts import CHANGED_GAP
from fairlead.views.amounts import percent

DEFAULT_THRESHOLD = log(100)
"""Scales a line where no check of the gate is stored."""
HARM, SAFE = "rolls back", "shows safety"
"""What evidence does that reaches its threshold."""


def gap_in_words(gap: str) -> str:
    """Why a window was not counted, for people. Ledgers store other words for a change of the table."""
    return "the routing table changed during this window" if gap == CHANGED_GAP else gap


@dataclass(frozen=True, slots=True)
class GateLine:
    """One gate: the logarithm of its e-value at the end of every window, and the threshold, also as a logarithm."""

    gate: str
    log_e: tuple[float, ...]
    threshold: float | None
    """None where no check of this gate is stored."""
    windows: str = ""
    """What the windows say of harm, in words: "12 of 14 windows say the same". Empty where none was compared."""

    @property
    def is_reached(self) -> bool:
        """True when the last value reaches the threshold."""
        return self.threshold is not None and self.log_e[-1] >= self.threshold

    def describe(self, effect: str) -> str:
        """The last value, and the one that has the effect: "812 (300 rolls back; 12 of 14 windows say the same)"."""
        enough = f"{format_e_value(self.threshold)} {effect}" if self.threshold is not None else ""
        more = "; ".join(filter(None, (enough, self.windows)))
        return f"{format_e_value(self.log_e[-1])}{f' ({more})' if more else ''}"


@dataclass(frozen=True, slots=True)
class Event:
    """A revision of the attempt: who changed what, and why. `weight` is the candidate's weight after it."""

    at: datetime
    revision: str
    what: str
    actor: str
    reason: str
    weight: int
    is_end: bool = False
    """Whether the attempt ended with it. A rollback after the promotion is an end as well, and the last one."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt of a release: what was counted, and what happened. `led_to` names the revision of each window."""

    model: str
    number: int
    candidate: str
    stable: str
    windows: tuple[Window, ...]
    led_to: tuple[str, ...]
    """The revision that contains each window; empty for the windows since the head."""
    harm: tuple[GateLine, ...]
    safe: tuple[GateLine, ...]
    events: tuple[Event, ...]
    is_complete: bool
    """Whether its first event is known, so that the events alone tell the weight at any time."""

    @property
    def end(self) -> Event | None:
        """The event with which it ended; None while it is in progress."""
        return next((event for event in self.events if event.is_end), None)

    @property
    def title(self) -> str:
        """The model, the number and the versions: "iris, attempt 1: 1.0.0 -> 1.1.0"."""
        return f"{self.model}, attempt {self.number}: {self.stable} -> {self.candidate}"


def attempts(
    model: str, revisions: Sequence[Revision], since: Sequence[Window], checks: Sequence[Check]
) -> list[Attempt]:
    """Every attempt in these revisions, ascending. An attempt without windows has only events.

    `since` are the windows after the newest of `revisions`, `checks` the current checks of the gates. Both are empty
    when a time in the past is shown.
    """
    drafts: defaultdict[int, _Draft] = defaultdict(_Draft)
    before: Revision | None = None
    for revision in revisions:
        # A release stores the windows of the attempt that it ends.
        number = revision.state.attempt - (revision.cause is Cause.RELEASED)
        if revision.windows:
            drafts[number].count(revision.id, revision.windows, revision.evidence)
        if revision.cause is Cause.RELEASED and before is not None and before.state.phase is not Phase.STABLE:
            drafts[number].events.append(_event(revision, "replaced by another release", 0, is_end=True))
        if revision.state.attempt and (event := _event_of(revision, before)):
            drafts[revision.state.attempt].add(revision, event)
        before = revision
    if revisions and since:
        drafts[revisions[-1].state.attempt].count("", since, checks)
    return [draft.attempt(model, number) for number, draft in sorted(drafts.items())]


class _Draft:
    """An attempt while its revisions are read."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Window]] = []
        self.numbers: dict[str, Mapping[str, float]] = {}
        self.events: list[Event] = []
        self.versions: tuple[VersionRef, VersionRef] | None = None
        self.is_complete = False

    def count(self, led_to: str, windows: Iterable[Window], checks: Iterable[Check]) -> None:
        for window in windows:
            # A gap is dropped when its time was counted later.
            while self.rows and self.rows[-1][1].gap is not None and self.rows[-1][1].end > window.start:
                self.rows.pop()
            self.rows.append((led_to, window))
        self.numbers.update({check.gate: check.numbers for check in checks})

    def add(self, revision: Revision, event: Event) -> None:
        self.events.append(event)
        self.is_complete = self.is_complete or revision.cause is Cause.RELEASED
        state, stable = revision.state, revision.table.stable
        if self.versions is None:
            self.versions = (state.target, (state.previous or stable) if stable == state.target else stable)

    def attempt(self, model: str, number: int) -> Attempt:
        windows = tuple(window for _, window in self.rows)
        candidate, stable = map(str, self.versions) if self.versions else ("candidate", "stable")
        return Attempt(
            model,
            number,
            candidate,
            stable,
            windows,
            tuple(led_to for led_to, _ in self.rows),
            tuple(_lines(windows, self.numbers, "log_harm", "harm_at")),
            tuple(_lines(windows, self.numbers, "log_safe", "safe_at")),
            tuple(self.events),
            self.is_complete,
        )


def _event_of(revision: Revision, before: Revision | None) -> Event | None:
    """What the revision did to its attempt; None if it did nothing."""
    weight = revision.table.weight
    has_ended = revision.state.phase is Phase.STABLE
    match revision.cause:
        case Cause.RELEASED:
            return _event(revision, "released", 0)
        case Cause.STEP if revision.state.phase is Phase.SHADOWING:
            return _event(revision, "shadow", 0)
        case Cause.STEP:
            return _event(revision, percent(weight), weight)
        case Cause.PROMOTED:
            return _event(revision, "promoted", TOTAL_WEIGHT, is_end=True)
        case Cause.ROLLED_BACK:
            return _event(revision, "rolled back", 0, is_end=True)
        case Cause.REMOVED:
            return _event(revision, "removed", 0, is_end=True)
        case Cause.SPEC if has_ended:
            was_running = before is not None and before.state.phase is not Phase.STABLE
            return _event(revision, "withdrawn", 0, is_end=True) if was_running else None
        case Cause.SPEC:
            return _event(revision, "spec changed", weight)
        case Cause.ACTION if not has_ended:
            return _event(revision, _action(revision, before), weight)
    return None


def _action(revision: Revision, before: Revision | None) -> str:
    state, earlier = revision.state, before.state if before else None
    if earlier is None or state.paused != earlier.paused:
        return "paused" if state.paused else "resumed" if earlier else "action"
    return "approved" if state.approved != earlier.approved else "action"


def _event(revision: Revision, what: str, weight: int, *, is_end: bool = False) -> Event:
    return Event(revision.created_at, revision.id, what, revision.actor, revision.reason, weight, is_end)


def _lines(
    windows: Sequence[Window], numbers: Mapping[str, Mapping[str, float]], value: str, threshold: str
) -> Iterator[GateLine]:
    for gate in _gates(windows):
        words = _windows_in_words(windows, gate) if value == "log_harm" else ""
        yield GateLine(gate, tuple(_values(windows, gate, value)), numbers.get(gate, {}).get(threshold), words)


def _windows_in_words(windows: Sequence[Window], gate: str) -> str:
    """How many windows say that the candidate is worse; and the evidence that is of too few windows to count."""
    last = next((one for window in reversed(windows) for one in window.evidence if one.gate == gate), None)
    if last is None or not last.told_windows or not last.worse_windows:
        return ""
    unconfirmed = last.log_unconfirmed
    pending = "" if unconfirmed is None else f"{format_e_value(unconfirmed)} is of too few windows to count, "
    return f"{pending}{last.worse_windows} of {last.told_windows} windows say the same"


def _gates(windows: Iterable[Window]) -> list[str]:
    return list(dict.fromkeys(one.gate for window in windows for one in window.evidence))


def _values(windows: Sequence[Window], gate: str, value: str) -> Iterator[float]:
    """The gate's value at the end of every window; a window without one keeps the last value."""
    last = 0.0
    for window in windows:
        last = next((getattr(one, value) for one in window.evidence if one.gate == gate), last)
        yield last
