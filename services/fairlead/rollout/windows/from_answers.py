"""What services told of their answers: pairs and classes for whichever window ends next, and windows of pairs alone.

Pairs are matched at every look, and each is in one window. Those that refuse a candidate do not wait for its end: there
may be hundreds of requests until then. Gateways' counters are not read for it; the next window has them.
"""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.contracts.answers import ShadowStatus
from fairlead.contracts.revision import Phase, Revision, Window
from fairlead.contracts.route import Route
from fairlead.rollout.analysis.counts import EARLY
from fairlead.rollout.analysis.shadows import Compare, Ends, Matched, Shadows
from fairlead.rollout.policy.evidence import AGREEMENT, refuses
from fairlead.rollout.ports import Answers
from fairlead.rollout.windows.source import Asked


class PairedWindows:
    """Beside a `source.Source`, which says when a window ends. Not for several threads at once."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._shadows = Shadows()
        self._matched = Matched()

    def hear(self) -> None:
        """What was told up to now, of all routes."""
        self._shadows.listen(self._answers.hear())

    def has_news(self, route: str) -> bool:
        """Whether anything was told of it."""
        return self._shadows.has_news(route)

    def match(self, route: Route, head: Revision, before: Sequence[Window]) -> None:
        """Match what was told of this route; everything else is then asked of it, until another one is matched."""
        newest = _ends(before[-1]) if before else None
        self._matched = self._shadows.match(route.name, _compare(route, head), newest)

    def windows(self, asked: Asked) -> list[Window]:
        """A window at the moment at which what was matched refuses the candidate."""
        if not self._matched.pairs.n or asked.head.state.phase is not Phase.SHADOWING or asked.noted >= asked.until:
            return []
        window = self.fill(Window(start=asked.noted, end=asked.until, weight=0, gap=EARLY))
        return [window] if refuses(asked.route.spec.strategy, asked.before, window) else []

    def fill(self, window: Window) -> Window:
        """The window with what was matched and is in no other."""
        return window.model_copy(update={"pairs": self._matched.pairs, "classes": self._matched.classes})

    def place(self, route: str, newest: Window) -> None:
        """What was matched is in the ledger now; this is its newest window."""
        self._shadows.place(route, _ends(newest))

    def told(self, route: str) -> ShadowStatus | None:
        """For people: everything compared in the newest attempt; None where nothing was."""
        return self._shadows.told(route)


def _ends(window: Window) -> Ends:
    return window.start, window.end


def _compare(route: Route, head: Revision) -> Compare:
    candidate = head.state.target if head.state.phase is not Phase.STABLE else None
    gates = {gate.name: gate for gate in route.spec.strategy.gates}
    tolerance = gates.get("agreement", AGREEMENT).score_tolerance
    return Compare(head.state.attempt, head.table.stable, candidate, tolerance)
