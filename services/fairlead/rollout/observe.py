"""Looking: instances, gateways, golden rows and counters become one frozen observation per route.

The only memory of the engine is here: the raw counters of the last look, which cannot be read again. When it is
lost, by a restart, the time in between is a gap and no evidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from fairlead import errors
from fairlead.contracts.action import Action
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Cause, Check, Phase, Revision, Verdict, Window
from fairlead.contracts.route import Route, VersionRef
from fairlead.contracts.table import Table
from fairlead.rollout.analysis.counts import CHANGED, Counted, Gap, comparable, count
from fairlead.rollout.policy.evidence import weigh
from fairlead.rollout.policy.gates import acknowledged
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.ports import Clock, EngineStore, Gateways, GatewayState, MetricSource, Reading, Smoke

LATE = 3
"""A window longer than this many lengths was not watched: one look at its end says nothing about readiness in it."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The counters at both ends of a window that has just ended. `start` is None after a restart of the engine."""

    start: datetime | None
    before: Sequence[Reading] = ()
    after: Sequence[Reading] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    """The tables in force when it began."""


@dataclass(frozen=True, slots=True)
class Look:
    """What all routes share at one tick."""

    now: datetime
    gateways: tuple[GatewayState, ...]
    instances: tuple[Instance, ...]
    cut: Cut | None = None


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
        window_s: float,
    ) -> None:
        self._store = store
        self._gateways = gateways
        self._metrics = metrics
        self._smoke = smoke
        self._clock = clock
        self._window_s = window_s
        self._last: Cut | None = None
        self._tables: dict[str, Table] = {}
        self._slot = -1
        self._past: dict[str, tuple[str, tuple[Window, ...]]] = {}

    def look(self) -> Look:
        """Everything that is the same for all routes. Counters are read when a window ends, by the wall clock."""
        now = self._clock()
        look = Look(now, tuple(self._gateways.gateways()), tuple(self._store.instances()))
        slot = int(now.timestamp() // self._window_s)
        if slot == self._slot:
            return look
        self._slot = slot
        after = tuple(self._metrics.read())
        last, tables = self._last, self._tables
        self._last, self._tables = Cut(now, after), {}
        if last is None:
            return replace(look, cut=Cut(None))
        return replace(look, cut=replace(last, after=after, tables=tables))

    def window(self, route: Route, head: Revision, look: Look) -> Window | None:
        """The window that ended at this look, for a route whose rollout is under way; None when none did."""
        if look.cut is None:
            return None
        self._tables[route.name] = head.table
        if head.state.phase is Phase.STABLE:
            return None
        cut, before = look.cut, self._windows(head)
        counted, gap = _counted(cut, head)
        start, known = cut.start, before[-1].end if before else None
        if start is not None and known is not None and start < known:
            # Another engine, or a clock that was set back. Counted twice, evidence would be worth nothing.
            counted, gap = Counted(), "a part of it was counted in an earlier window"
        if start is None or gap is not None:
            began = max(head.created_at, known) if known else head.created_at
            start = max(began, start or began)
        if start >= look.now:
            return None
        watched = cut.start is not None and (look.now - start).total_seconds() <= LATE * self._window_s
        window = Window(
            start=start,
            end=look.now,
            weight=head.table.weight,
            candidate=counted.candidate,
            stable=counted.stable,
            assigned=counted.assigned,
            unserved=counted.unserved,
            rejections=counted.rejections,
            latency=counted.latency,
            ready=_ready(route, look).get(head.state.target, 0) if watched else None,
            gap=gap,
        )
        return window.model_copy(update={"evidence": weigh(route.spec.strategy, before, window)})

    def observe(self, route: Route, head: Revision | None, look: Look, actions: Sequence[Action]) -> Observation:
        """The route's world at this look."""
        seen = Observation(now=look.now, ready=_ready(route, look), gateways=look.gateways)
        if head is None:
            return seen
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


def _counted(cut: Cut, head: Revision) -> tuple[Counted, str | None]:
    if cut.start is None:
        return Counted(), "the control plane was not watching"
    table = cut.tables.get(head.route)
    if table is None or not comparable(table, head.table):
        return Counted(), CHANGED
    try:
        return count(cut.before, cut.after, head.table), None
    except Gap as gap:
        return Counted(), str(gap)


def _ready(route: Route, look: Look) -> dict[VersionRef, int]:
    found: dict[VersionRef, int] = {}
    for instance in look.instances:
        if instance.ready and (instance.namespace, instance.model) == (route.namespace, route.spec.model):
            found[instance.ref] = found.get(instance.ref, 0) + 1
    return found
