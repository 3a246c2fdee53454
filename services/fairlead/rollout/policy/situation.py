"""A route, its head and what was observed, with the questions that every rule asks of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fairlead.contracts.revision import Phase, Rejected, Revision, Window
from fairlead.contracts.route import Route, Strategy, VersionRef
from fairlead.rollout.policy import steps
from fairlead.rollout.policy.observation import Observation

MAX_SKEW = timedelta(seconds=15)
"""A first window that begins so much later than its phase is of another clock."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What a gate is asked about."""

    route: Route
    head: Revision
    observation: Observation

    @property
    def strategy(self) -> Strategy:
        """How the user wants it done."""
        return self.route.spec.strategy

    @property
    def stable(self) -> VersionRef:
        """Who has the rest of the weight."""
        return self.head.table.stable

    @property
    def candidate(self) -> VersionRef | None:
        """Who is being released; None at rest."""
        return None if self.head.state.phase is Phase.STABLE else self.head.state.target

    @property
    def weight(self) -> int:
        """The candidate's present share."""
        return self.head.table.weight

    @property
    def next_weight(self) -> int:
        """The share that the gates are asked about: before a shadow, that of the copies."""
        shadow, phase = self.strategy.shadow, self.head.state.phase
        if shadow is not None and phase is Phase.PREPARING:
            return shadow.share
        return steps.next_weight(self.strategy.steps, self.weight)

    @property
    def observed_s(self) -> float:
        """Since the phase or step began, as far as somebody was watching: what a clock jumped over does not count.

        Windows keep a time of their own, which is never set back, and one that lasted longer than anybody watched is
        not watched. What is newer than the newest window is measured by a clock that nobody sets.
        """
        entered, windows, mine = self.head.state.entered_at, self.observation.windows, self.phase_windows
        watched = sum(window.seconds for window in mine[1:] if window.ready is not None)
        if mine and mine[0].ready is not None and _began_in(mine[0], entered):
            watched += min(mine[0].seconds, (mine[0].end - entered).total_seconds())
        # Not the newest's alone: what is replayed after a gap is older than the gap.
        since = max([entered, *(window.end for window in windows)])
        newer = (self.observation.now - since).total_seconds()
        return min(watched + min(max(0.0, newer), self.observation.since_window_s), self.observation.since_entered_s)

    @property
    def phase_windows(self) -> tuple[Window, ...]:
        """The windows that ended in the present phase or step. By the weight too: the clock may have been set back."""
        entered = self.head.state.entered_at
        return tuple(one for one in self.observation.windows if one.weight == self.weight and one.end > entered)

    @property
    def counted_windows(self) -> tuple[Window, ...]:
        """Those of them that count something, and nothing of what was before."""
        entered, mine = self.head.state.entered_at, self.phase_windows
        if mine and not (_began_in(mine[0], entered) and mine[0].start >= entered):
            mine = mine[1:]
        return tuple(one for one in mine if one.gap is None)

    def ready(self, ref: VersionRef | None) -> int:
        """How many instances of a version are ready."""
        return self.observation.ready.get(ref, 0) if ref else 0

    def rejected(self, ref: VersionRef) -> Rejected | None:
        """Why this identity is not tried again, if so."""
        return next((one for one in self.head.state.rejected if one.ref == ref), None)

    def specified(self, ref: VersionRef) -> bool:
        """True when the spec lists exactly this identity."""
        version = self.route.spec.versions.get(ref.version)
        return version is not None and version.ref(ref.version) == ref

    def unready_for_s(self) -> float:
        """How long the candidate has had no ready instance, as far as that was watched without a break."""
        return _lasting(self.observation.windows, lambda ready: ready == 0)

    def ready_for_s(self) -> float:
        """How long the candidate has had a ready instance, as far as that was watched without a break."""
        return _lasting(self.observation.windows, lambda ready: ready > 0)


def _began_in(first: Window, entered: datetime) -> bool:
    """Whether a phase can have begun in its first window, or just before it; if not, the clock was set meanwhile."""
    return first.start - MAX_SKEW <= entered <= first.end


def _lasting(windows: tuple[Window, ...], holds: Callable[[int], bool]) -> float:
    total = 0.0
    for window in reversed(windows):
        if window.ready is None or not holds(window.ready):
            break
        total += window.seconds
    return total
