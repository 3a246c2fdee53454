"""A route, its head and what was observed, with the questions that every rule asks of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fairlead.contracts.revision import Phase, Rejected, Revision, Window
from fairlead.contracts.route import Route, Strategy, VersionRef
from fairlead.rollout.policy import steps
from fairlead.rollout.policy.observation import Observation


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
    def elapsed_s(self) -> float:
        """Since the phase or step began."""
        return (self.observation.now - self.head.state.entered_at).total_seconds()

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


def _lasting(windows: tuple[Window, ...], holds: Callable[[int], bool]) -> float:
    total = 0.0
    for window in reversed(windows):
        if window.ready is None or not holds(window.ready):
            break
        total += window.seconds
    return total
