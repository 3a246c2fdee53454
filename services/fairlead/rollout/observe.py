"""Looking: instances, gateways, golden rows and counters become one frozen observation per route.

Nothing is remembered between two looks but the raw counters (`analysis.cuts`) and what was read from the ledger.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fairlead import errors
from fairlead.contracts.action import Action
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Cause, Check, Histograms, Phase, Revision, Verdict, Window
from fairlead.contracts.route import Route, VersionRef
from fairlead.contracts.table import Table
from fairlead.rollout.analysis.counts import CHANGED, EARLY, Counted, Gap, comparable, count
from fairlead.rollout.analysis.cuts import Cut, Cutter
from fairlead.rollout.analysis.recall import BEHIND_S, SETTLE_S
from fairlead.rollout.analysis.shadows import Compare, Ends, Matched, Shadows
from fairlead.rollout.past import PastWindows, Settled, Stretch, Tallies, ask, noted_until
from fairlead.rollout.policy.evidence import AGREEMENT, refuses, weigh
from fairlead.rollout.policy.gates import acknowledged
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.ports import (
    Answers,
    Clock,
    EngineStore,
    Gateways,
    GatewayState,
    History,
    MetricSource,
    Site,
    Smoke,
)
from fairlead.rollout.watch import Watch

LATE = 3
"""Two looks that are further apart than this many windows did not watch what was between them."""


@dataclass(frozen=True, slots=True)
class Look:
    """What all routes share at one tick."""

    now: datetime
    until: datetime
    """The same on the windows' clock, which is never set back."""
    gateways: tuple[GatewayState, ...]
    instances: tuple[Instance, ...]
    cut: Cut | None = None
    settled: Settled | None = None
    """How far the history is, where there is one and a window ended."""


class Observer:
    """Looks at the world once per tick."""

    def __init__(
        self,
        store: EngineStore,
        *,
        gateways: Gateways,
        metrics: MetricSource,
        smoke: Smoke,
        clock: Clock,
        monotonic: Callable[[], float],
        window_s: float,
        answers: Answers,
        history: History | None = None,
        replays: bool = False,
    ) -> None:
        """`history` is asked for custom gates, and for everything where it `replays`; `metrics` is not asked then."""
        self._store = store
        self._gateways = gateways
        self._metrics = metrics
        self._smoke = smoke
        self._clock = clock
        self._window_s = window_s
        self._answers = answers
        self._shadows = Shadows()
        self._wanted: dict[str, tuple[Site, ...]] = {}
        self._history = history
        self._replayed = PastWindows(history, window_s) if history is not None and replays else None
        self._watch = Watch(monotonic, break_s=LATE * window_s)
        self._cutter = Cutter()
        self._ahead = timedelta()
        self._tables: dict[str, Table] = {}
        self._slot = -1
        self._past: dict[str, tuple[str, tuple[Window, ...]]] = {}
        self._stretches: dict[str, tuple[str, Stretch]] = {}

    def glance(self) -> Look:
        """As `look`, but no window ends by it."""
        now = self._clock()
        self._watch.look()
        return Look(now, now + self._ahead, tuple(self._gateways.gateways()), tuple(self._store.instances()))

    def look(self) -> Look:
        """Everything that is the same for all routes. Counters are read when a window ends, by the wall clock."""
        look = self.glance()
        self._answers.listen(self._wanted)
        self._wanted = {}
        behind_s = SETTLE_S + BEHIND_S if self._replayed is not None else 0.0
        self._shadows.listen(self._answers.hear())
        slot = int((look.until.timestamp() - behind_s) // self._window_s)
        if slot == self._slot:
            return look
        self._slot = slot
        if self._history is not None:
            look = replace(look, settled=ask(self._history, look.now))
        if self._replayed is not None:
            return look
        cut = self._cutter.cut(look.until, tuple(self._metrics.read()), self._tables)
        self._tables = {}
        return replace(look, cut=cut)

    def windows(self, route: Route, head: Revision, look: Look) -> list[Window]:
        """The windows that ended at this look, and those that can be counted only now, with what they say."""
        if head.state.phase is Phase.STABLE:
            self._watch.begin(route.name)
        if look.cut is None and look.settled is None and not self._shadows.has_news(route.name):
            return []
        before = self._windows(head)
        matched = self._shadows.match(route.name, _compare(route, head), _ends(before[-1]) if before else None)
        if look.cut is not None:
            self._tables[route.name] = head.table
        if head.state.phase is Phase.STABLE:
            return []
        if self._replayed is None:
            window = self._cut(route, head, look, before, matched)
            found = [] if window is None else [window]
        else:
            found = self._replay(route, head, look, before, matched)
        if not found and matched.pairs.n:
            found = self._early(route, head, look, before, matched)
        if found:
            self._shadows.place(route.name, _ends(found[-1]))
        return found

    def _early(
        self, route: Route, head: Revision, look: Look, before: Sequence[Window], matched: Matched
    ) -> list[Window]:
        """A window of pairs alone, at the moment at which they refuse the candidate."""
        start = max([one.end for one in before], default=head.created_at)
        if head.state.phase is not Phase.SHADOWING or start >= look.until:
            return []
        window = Window(start=start, end=look.until, weight=0, pairs=matched.pairs, classes=matched.classes, gap=EARLY)
        if not refuses(route.spec.strategy, before, window):
            return []
        is_watched = self._watch.place(route.name, window.seconds)
        ready = _ready(route, look).get(head.state.target, 0) if is_watched else None
        return [_weighed(route, before, window.model_copy(update={"ready": ready}))]

    def _replay(
        self, route: Route, head: Revision, look: Look, before: Sequence[Window], matched: Matched
    ) -> list[Window]:
        if look.settled is None or self._replayed is None:
            return []
        found, stretch = list[Window](), self._stretch(head)
        self._go_on(noted_until(before, stretch), look)
        tallies = self._tallies(route, head, look, before)
        past = self._replayed.windows(head, stretch, look.settled, look.until, before)
        for window in past:
            more: dict[str, object] = {"custom": tallies.up_to(window.end)}
            is_watched = self._watch.place(route.name, window.seconds)
            if window is past[-1]:
                more |= {"pairs": matched.pairs, "classes": matched.classes}
                more["ready"] = _ready(route, look).get(head.state.target, 0) if is_watched else None
            found.append(_weighed(route, (*before, *found), window.model_copy(update=more)))
        return found

    def _go_on(self, noted: datetime, look: Look) -> None:
        """The clock was set back. Windows go on from where they were: a brake that waits for the clock is none."""
        self._ahead += max(timedelta(), noted - look.until)

    def _cut(
        self, route: Route, head: Revision, look: Look, before: Sequence[Window], matched: Matched
    ) -> Window | None:
        """The window that ended at this look; None when none did."""
        if look.cut is None:
            return None
        if before:
            self._go_on(before[-1].end, look)
        counted, gap = _counted(look.cut, head, before)
        start = _start(look.cut, head, before, gap)
        if start >= look.until:
            return None
        is_watched = self._watch.place(route.name, (look.until - start).total_seconds())
        window = Window(
            start=start,
            end=look.until,
            weight=head.table.weight,
            candidate=counted.candidate,
            stable=counted.stable,
            assigned=counted.assigned,
            unserved=counted.unserved,
            rejections=counted.rejections,
            latency=counted.latency,
            pairs=matched.pairs,
            classes=matched.classes,
            custom=self._tallies(route, head, look, before).up_to(look.until),
            ready=_ready(route, look).get(head.state.target, 0) if is_watched and look.cut.start is not None else None,
            gap=gap,
        )
        return _weighed(route, before, window)

    def _tallies(self, route: Route, head: Revision, look: Look, before: Sequence[Window]) -> Tallies:
        settled = look.settled or Settled(None)
        return Tallies(self._history, route, head, self._stretch(head), settled, before)

    def _stretch(self, head: Revision) -> Stretch:
        """Since when the head's two versions are compared: as far back as the ledger tells of the same two."""
        name, stretch = self._stretches.get(head.route, ("", None))
        if stretch is None or name != head.hash:
            stretch = Stretch(*_weights(self._back(head)))
            self._stretches[head.route] = (head.hash, stretch)
        return stretch

    def _back(self, head: Revision) -> Iterator[Revision]:
        revision = head
        with contextlib.suppress(errors.NotFound):
            while comparable(revision.table, head.table):
                yield revision
                revision = self._store.revision(head.route, revision.seq - 1)

    def observe(self, route: Route, head: Revision | None, look: Look, actions: Sequence[Action]) -> Observation:
        """The route's world at this look."""
        seen = Observation(now=look.now, ready=_ready(route, look), gateways=look.gateways)
        if head is None:
            return seen
        self._wanted[route.name] = _sites(route, head, look)
        seen = replace(seen, shadow=self._shadows.told(route.name))
        entered_s = self._watch.enter(route.name, (head.state.attempt, head.state.entered_at))
        seen = replace(seen, since_window_s=self._watch.left_s(route.name), since_entered_s=entered_s)
        seen = replace(seen, windows=self._windows(head), named=self._named(route, actions))
        return replace(seen, smoke=self._smoked(Situation(route, head, seen)))

    def _smoked(self, situation: Situation) -> Check | None:
        """Ask the golden rows once they can be asked on the way users take, and as long as nothing has weight."""
        candidate, head = situation.candidate, situation.head
        if candidate is None or head.state.phase is not Phase.PREPARING or not situation.strategy.warm_up.smoke:
            return None
        if candidate not in head.table.pins or not situation.ready(candidate):
            return None
        if acknowledged(situation).verdict is not Verdict.PASS:
            return None
        return self._smoke.smoke(head.table, candidate)

    def _windows(self, head: Revision) -> tuple[Window, ...]:
        """All windows of the attempt: those since the head, and those that its revisions took along."""
        if head.state.phase is Phase.STABLE:
            return ()
        name, past = self._past.get(head.route, ("", ()))
        if name != head.hash:
            past = self._taken_along(head)
            self._past[head.route] = (head.hash, past)
        return (*past, *self._store.windows(head.route))

    def _taken_along(self, head: Revision) -> tuple[Window, ...]:
        found: list[tuple[Window, ...]] = []
        revision = head
        try:
            # What the release itself took along was counted before the attempt began.
            while revision.cause is not Cause.RELEASED:
                found.append(revision.windows)
                revision = self._store.revision(head.route, revision.seq - 1)
        except errors.NotFound:
            pass  # pruned: the attempt is longer than the ledger
        return tuple(window for windows in reversed(found) for window in windows)

    def _named(self, route: Route, actions: Sequence[Action]) -> dict[int, Revision]:
        found = {}
        for seq in {action.to_revision for action in actions if action.to_revision is not None}:
            try:
                found[seq] = self._store.revision(route.name, seq)
            except errors.NotFound:
                continue  # the policy refuses the action with a sentence
        return found


def _weights(revisions: Iterator[Revision]) -> tuple[datetime, tuple[tuple[datetime, int], ...]]:
    """When the first of them began, and which weight held from when on; they come newest first."""
    found = [(revision.created_at, revision.table.weight) for revision in revisions][::-1]
    return found[0][0], tuple(found)


def _ends(window: Window) -> Ends:
    return window.start, window.end


def _weighed(route: Route, before: Sequence[Window], window: Window) -> Window:
    return window.model_copy(update={"evidence": weigh(route.spec.strategy, before, window)})


def _compare(route: Route, head: Revision) -> Compare:
    candidate = head.state.target if head.state.phase is not Phase.STABLE else None
    gates = {gate.name: gate for gate in route.spec.strategy.gates}
    tolerance = gates.get("agreement", AGREEMENT).score_tolerance
    return Compare(head.state.attempt, head.table.stable, candidate, tolerance)


def _sites(route: Route, head: Revision, look: Look) -> tuple[Site, ...]:
    """Whose answers are compared: where something is mirrored, or two versions answer users. At rest nobody's."""
    table = head.table
    if not table.mirrors and table.candidate is None:
        return ()
    refs = {table.stable, table.candidate, *(mirror.version for mirror in table.mirrors)}
    return tuple(
        Site(one.id, one.ref, one.host, one.port)
        for one in look.instances
        if one.ref in refs and one.ready and (one.namespace, one.model) == (route.namespace, route.spec.model)
    )


def _counted(cut: Cut, head: Revision, before: Sequence[Window]) -> tuple[Counted, str | None]:
    """What the window counts, and why it is a gap if it is one."""
    if cut.start is None:
        return Counted(), "the control plane was not watching"
    newest = next((window for window in reversed(before) if window.gap is None), None)
    if newest is not None and cut.start < newest.end:
        # Another engine, or a clock that was set back. Counted twice, evidence would be worth nothing.
        return Counted(), "a part of it was counted in an earlier window"
    table = cut.tables.get(head.route)
    if table is None or not comparable(table, head.table):
        return Counted(), CHANGED
    try:
        counted = count(cut.before, cut.after, head.table)
    except Gap as gap:
        return Counted(), str(gap)
    # Over missed readings nobody can say which answers were an instance's first and slow ones.
    return (replace(counted, latency=Histograms()) if cut.bridged else counted), None


def _start(cut: Cut, head: Revision, before: Sequence[Window], gap: str | None) -> datetime:
    start = cut.start or head.created_at
    if gap is not None:
        start = max(start, head.created_at)
    # The gaps that a bridged window makes good stay in the record: they were not known when they ended.
    return max(start, before[-1].end) if before else start


def _ready(route: Route, look: Look) -> dict[VersionRef, int]:
    found: dict[VersionRef, int] = {}
    for instance in look.instances:
        if instance.ready and (instance.namespace, instance.model) == (route.namespace, route.spec.model):
            found[instance.ref] = found.get(instance.ref, 0) + 1
    return found
