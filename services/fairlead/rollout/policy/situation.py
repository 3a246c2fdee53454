"""A route, its head and the observation, with the properties that gates and rules use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from fairlead.contracts.revision import Phase, Rejected, Revision
from fairlead.contracts.route import TOTAL_WEIGHT, Route, Strategy, VersionRef
from fairlead.contracts.window import Window
from fairlead.rollout.policy import steps
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.policy.settings import strategy_in_force

MAX_SKEW = timedelta(seconds=15)
"""If a phase's first window begins later than the phase by more than this, the clock was set in between."""


@dataclass(frozen=True, slots=True)
class Situation:
    """The input of every gate and rule."""

    route: Route
    head: Revision
    observation: Observation

    @property
    def strategy(self) -> Strategy:
        """The strategy of the attempt in progress; without one, that of the spec."""
        return strategy_in_force(self.route, self.head)

    @property
    def has_seen_the_spec(self) -> bool:
        """True when the head was decided on this generation of the spec."""
        return self.head.generation == self.route.generation

    @property
    def stable(self) -> VersionRef:
        """The version with the rest of the weight."""
        return self.head.table.stable

    @property
    def candidate(self) -> VersionRef | None:
        """The version that is being released; None when no rollout is in progress."""
        return None if self.head.state.phase is Phase.STABLE else self.head.state.target

    @property
    def weight(self) -> int:
        """The candidate's present weight."""
        return self.head.table.weight

    @property
    def next_weight(self) -> int:
        """The next weight, which the gates must allow. Before a shadow: the share of mirrored requests."""
        shadow, phase = self.strategy.shadow, self.head.state.phase
        if shadow is not None and phase is Phase.PREPARING:
            return shadow.share
        return steps.next_weight(self.strategy.steps, self.weight)

    @property
    def observed_s(self) -> float:
        """Observed seconds since the phase or step began. Time that a clock jumped over does not count.

        Windows have a clock of their own that is never set back. A window that lasted longer than it was observed does
        not count. Time after the newest window is measured by a monotonic clock.
        """
        entered, windows, mine = self.head.state.entered_at, self.observation.windows, self.phase_windows
        watched = sum(window.seconds for window in mine[1:] if window.ready is not None)
        if mine and mine[0].ready is not None and _began_in(mine[0], entered):
            watched += min(mine[0].seconds, (mine[0].end - entered).total_seconds())
        # The latest end, not the end of the last window: windows replayed after a gap are older than the gap.
        since = max([entered, *(window.end for window in windows)])
        newer = (self.observation.now - since).total_seconds()
        return min(watched + min(max(0.0, newer), self.observation.since_window_s), self.observation.since_entered_s)

    @property
    def phase_windows(self) -> tuple[Window, ...]:
        """The windows of the present phase or step, by time and by weight, because the clock may have been set back."""
        entered = self.head.state.entered_at
        return tuple(one for one in self.observation.windows if one.weight == self.weight and one.end > entered)

    @property
    def counted_windows(self) -> tuple[Window, ...]:
        """The windows of the present phase or step that are no gap and lie completely in it."""
        entered, mine = self.head.state.entered_at, self.phase_windows
        if mine and not (_began_in(mine[0], entered) and mine[0].start >= entered):
            mine = mine[1:]
        return tuple(one for one in mine if one.gap is None)

    @property
    def pause_is_over(self) -> bool:
        """True when the route is paused for a time, and that time is over."""
        return self.head.state.paused_until is not None and self.observation.pause_left_s <= 0

    @property
    def unread_answers(self) -> str:
        """Why the services' answer records are not complete now, as a sentence; empty if they are."""
        silent = self.observation.shadow.silent if self.observation.shadow is not None else ()
        return f"the answers of {silent[0]} cannot be read" if silent else ""

    def ready(self, ref: VersionRef | None) -> int:
        """How many instances of a version are ready."""
        return self.observation.ready.get(ref, 0) if ref else 0

    @property
    def stable_instances(self) -> int:
        """How many instances the whole load needs: as many as stable should have, whether they are ready or not.

        Where that is not known, the most that stable had in this attempt. So an instance that fails lowers no need,
        and one that an owner or an autoscaler takes away does.
        """
        wanted = self.observation.wanted.get(self.stable)
        if wanted is not None:
            return max(1, wanted)
        known = (one.stable_instances for one in self.observation.windows if one.stable_instances is not None)
        return max([self.ready(self.stable), self.head.state.stable_instances, *known])

    def instances_for(self, weight: int) -> int:
        """How many instances a share of the requests needs, in 1/10,000: in proportion to stable's, at least 1."""
        return max(1, ceil(weight * self.stable_instances / TOTAL_WEIGHT))

    def rejected(self, ref: VersionRef) -> Rejected | None:
        """Why this identity is not tried again; None if it was not rejected."""
        return self.head.state.rejection_of(ref)

    @property
    def is_back(self) -> bool:
        """True when the target was ended by a rollback, so that another one must not go back a second version.

        A target that was rejected before the last promotion is only a wish that could not start.
        """
        target, promoted_after = self.route.spec.target_ref, self.head.state.previous_revision
        if target == self.stable:
            return False
        rejected = self.rejected(target)
        return rejected is None or promoted_after is None or rejected.revision > promoted_after

    def specified(self, ref: VersionRef) -> bool:
        """True when the spec lists exactly this identity."""
        version = self.route.spec.versions.get(ref.version)
        return version is not None and version.ref(ref.version) == ref

    def unready_for_s(self) -> float:
        """Seconds without a ready candidate instance, up to now, observed without a break."""
        return _lasting(self.observation.windows, lambda ready: ready == 0)

    def ready_for_s(self) -> float:
        """Seconds with a ready candidate instance, up to now, observed without a break."""
        return _lasting(self.observation.windows, lambda ready: ready > 0)


def _began_in(first: Window, entered: datetime) -> bool:
    """True if the phase may have begun in its first window or just before it. If not, the clock was set meanwhile."""
    return first.start - MAX_SKEW <= entered <= first.end


def _lasting(windows: tuple[Window, ...], holds: Callable[[int], bool]) -> float:
    total = 0.0
    for window in reversed(windows):
        if window.ready is None or not holds(window.ready):
            break
        total += window.seconds
    return total
