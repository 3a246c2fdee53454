"""Pairs and classes from the services' answer records: for the next window that ends, or as a window of their own.

Pairs are matched at every tick, and each belongs to one window. Pairs that decide against a candidate do not wait for
the window's end, because hundreds of requests may follow until then: they end a window early. Such a window has no
counts of the gateways; the next window has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fairlead.contracts.answers import ShadowStatus
from fairlead.contracts.gates import MEASURED
from fairlead.contracts.revision import Phase, Revision
from fairlead.contracts.route import Route, VersionRef
from fairlead.contracts.window import Window
from fairlead.rollout.analysis.counts import EARLY_GAP
from fairlead.rollout.analysis.shadows import ComparedVersions, Matched, ShadowMatcher, WindowEnds
from fairlead.rollout.policy.evidence import AGREEMENT, reaches_refusal
from fairlead.rollout.ports import AnswerSource
from fairlead.rollout.windows.source import RouteTick


class AnswerWindows:
    """Works beside a `source.Source`, which decides when a window ends. Not for several threads at once."""

    def __init__(self, answers: AnswerSource) -> None:
        self._answers = answers
        self._matcher = ShadowMatcher()
        self._matched = Matched()

    def collect(self) -> None:
        """Take the answer records that arrived up to now, for all routes."""
        self._matcher.receive(self._answers.collect())

    def has_new_answers(self, route: str) -> bool:
        """True when records of this route arrived."""
        return self._matcher.has_new_answers(route)

    def match(self, route: Route, head: Revision, before: Sequence[Window]) -> None:
        """Match this route's records. The other methods then work on this route, until the next call."""
        newest = _ends(before[-1]) if before else None
        self._matched = self._matcher.match(route.name, _compared(route, head), newest)

    def windows(self, tick: RouteTick) -> list[Window]:
        """An early window, if the matched pairs now decide against the candidate."""
        if (
            not self._matched.pairs.n
            or tick.head.state.phase is not Phase.SHADOWING
            or tick.recorded_until >= tick.until
        ):
            return []
        window = self.fill(Window(start=tick.recorded_until, end=tick.until, weight=0, gap=EARLY_GAP))
        return [window] if reaches_refusal(tick.route.spec.strategy, tick.before, window) else []

    def fill(self, window: Window) -> Window:
        """The window with the pairs and classes that are in no other window."""
        found = self._matched
        return window.model_copy(update={"pairs": found.pairs, "classes": found.classes, "measured": found.measured})

    def mark_recorded(self, route: str, newest: Window) -> None:
        """The matched pairs are in the ledger now, in this newest window."""
        self._matcher.mark_recorded(route, _ends(newest))

    def keep(self, routes: set[str]) -> None:
        """Drop the answers of all other routes: they were deleted."""
        self._matcher.keep(routes)

    def problems(self, route: str) -> Mapping[VersionRef, Mapping[str, int]]:
        """For people: how often predictions failed in the newest attempt, by version, and by status and sentence."""
        return self._matcher.problems(route)

    def status(self, route: str) -> ShadowStatus | None:
        """For people: everything compared in the newest attempt, or None if nothing was."""
        return self._matcher.status(route)


def _ends(window: Window) -> WindowEnds:
    return window.start, window.end


def _compared(route: Route, head: Revision) -> ComparedVersions:
    candidate = head.state.target if head.state.phase is not Phase.STABLE else None
    gates = {gate.name: gate for gate in route.spec.strategy.gates}
    tolerance = gates.get("agreement", AGREEMENT).score_tolerance
    asked = MEASURED & {name for name, gate in gates.items() if gate.role != "off"}
    max_error = gates["quality"].max_error if "quality" in asked else None
    return ComparedVersions(head.state.attempt, head.table.stable, candidate, tolerance, asked, max_error)
