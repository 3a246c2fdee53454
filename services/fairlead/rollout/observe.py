"""Observation: instances, gateways, golden rows and counters become one frozen observation per route.

Between two ticks this module keeps only the raw counters (`analysis.window_boundaries`), answers that wait for their
pair, observed time, and parts of the ledger that never change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fairlead import errors
from fairlead.contracts.action import Action
from fairlead.contracts.earlier_versions import once_stable
from fairlead.contracts.instance import Instance, Wanted
from fairlead.contracts.revision import Check, Phase, Revision, Verdict
from fairlead.contracts.route import Route, VersionRef
from fairlead.contracts.window import Window
from fairlead.rollout.last_use import LastUse
from fairlead.rollout.lost_gateways import LostGateways
from fairlead.rollout.policy.desired_instances import by_model, wanted_counts
from fairlead.rollout.policy.evidence import active_gates, weigh
from fairlead.rollout.policy.gates import acknowledged
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.policy.settings import in_force
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.policy.unready import missing_instances, unready_versions
from fairlead.rollout.ports import (
    AnswerSource,
    Clock,
    Demand,
    EngineStore,
    Gateways,
    GatewayState,
    History,
    Inputs,
    InstanceAddress,
    MetricSource,
    NoDemand,
    NoInputs,
    Smoke,
)
from fairlead.rollout.windows.attempt_history import AttemptHistory
from fairlead.rollout.windows.custom_metrics import CustomTallies
from fairlead.rollout.windows.freshness import Freshness, check_freshness
from fairlead.rollout.windows.from_answers import AnswerWindows
from fairlead.rollout.windows.from_counters import CountedWindows
from fairlead.rollout.windows.from_prometheus import ReplayedWindows
from fairlead.rollout.windows.observed_time import ObservedTime
from fairlead.rollout.windows.pause_clock import PauseClock
from fairlead.rollout.windows.source import RouteTick, Source

BREAK_WINDOWS = 3
"""When two ticks are further apart than this many windows, the time between them does not count as observed."""


@dataclass(frozen=True, slots=True)
class TickSnapshot:
    """What all routes share in one tick."""

    now: datetime
    until: datetime
    """Now on the windows' clock, which is never set back."""
    gateways: tuple[GatewayState, ...]
    instances: Mapping[tuple[str, str], Sequence[Instance]]
    """By namespace and model."""
    wanted: tuple[Wanted, ...]
    """The instances that should run."""
    wanted_of: Mapping[tuple[str, str], Sequence[Wanted]]
    """The same, by namespace and model."""
    lost: tuple[GatewayState, ...] = ()
    """Gateways that answered a short time ago and do not answer now, as they last answered."""
    ended: bool = False
    """True when a window ends at this tick."""
    freshness: Freshness = Freshness(None)
    """Up to when the history is complete, if there is a history."""
    unknown: str = ""
    """Why nobody knows which instances are ready; empty while the instances are current."""


class Observer:
    """Reads the state of the platform once per tick."""

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
        answers: AnswerSource,
        history: History | None = None,
        replays: bool = False,
        why_unknown: Callable[[], str] = lambda: "",
        demand: Demand | None = None,
        inputs: Inputs | None = None,
    ) -> None:
        """`history` serves custom gates. If it `replays`, it also replaces `metrics`, which is then not read."""
        self._store = store
        self._gateways = gateways
        self._smoke = smoke
        self._clock = clock
        self._why_unknown = why_unknown
        self._window_s = window_s
        self._answers = answers
        self._inputs: Inputs = inputs or NoInputs()
        self._history = history
        replayed = ReplayedWindows(history, window_s) if history is not None and replays else None
        self._source: Source = replayed or CountedWindows(metrics)
        self._answer_windows = AnswerWindows(answers)
        self._attempts = AttemptHistory(store)
        self._observed = ObservedTime(monotonic, break_s=BREAK_WINDOWS * window_s)
        self._lost = LostGateways()
        self._last_use = LastUse(demand or NoDemand(), monotonic)
        self._pauses = PauseClock(monotonic)
        self._monotonic = monotonic
        self._served_at: dict[str, float] = {}
        self._wanted: dict[str, tuple[InstanceAddress, ...]] = {}
        self._once_stable: dict[str, tuple[str, tuple[VersionRef, ...]]] = {}
        self._ahead = timedelta()
        self._slot = -1

    def take_snapshot(self) -> TickSnapshot:
        """Like `start_tick`, but without ending a window."""
        now = self._clock()
        self._observed.tick()
        gateways, wanted = tuple(self._gateways.gateways()), tuple(self._store.wanted())
        return TickSnapshot(
            now,
            now + self._ahead,
            gateways,
            _by_model(_without_stopped(self._store.instances(), wanted)),
            wanted,
            by_model(wanted),
            self._lost.follow(gateways, self._observed.total_s),
            unknown=self._why_unknown(),
        )

    def start_tick(self) -> TickSnapshot:
        """Read everything that is the same for all routes. Windows end by the wall clock."""
        snapshot = self.take_snapshot()
        self._answers.subscribe(self._wanted)
        self._wanted = {}
        self._answer_windows.collect()
        slot = int((snapshot.until.timestamp() - self._source.delay_s) // self._window_s)
        if slot == self._slot:
            return snapshot
        self._slot = slot
        self._source.end_window(snapshot.until)
        freshness = check_freshness(self._history, snapshot.now) if self._history is not None else snapshot.freshness
        return replace(snapshot, ended=True, freshness=freshness)

    def forget_deleted(self, routes: set[str]) -> None:
        """Drop what is known of all routes but these. One that is created again begins anew.

        The largest part are answers: up to 32,768 wait for their partner in each route.
        """
        self._answer_windows.keep(routes)
        self._inputs.keep(routes)
        self._served_at = {name: at for name, at in self._served_at.items() if name in routes}
        self._once_stable = {name: known for name, known in self._once_stable.items() if name in routes}

    def windows(self, route: Route, head: Revision, snapshot: TickSnapshot) -> list[Window]:
        """The windows that ended at this tick, and earlier ones that can be counted only now, with their evidence."""
        route = in_force(route, head)
        if head.state.phase is Phase.STABLE:
            self._observed.reset(route.name)
        if not snapshot.ended and not self._answer_windows.has_new_answers(route.name):
            return []
        before = self._attempts.windows(head)
        self._answer_windows.match(route, head, before)
        if head.state.phase is Phase.STABLE:
            if snapshot.ended:
                self._source.begin_window(head)
            return []
        tick = RouteTick(route, head, before, self._attempts.period(head), snapshot.until, snapshot.freshness)
        found = self._ended(tick, snapshot) if snapshot.ended else []
        weighed = list[Window]()
        for window in found or [self._with_ready(one, tick, snapshot) for one in self._answer_windows.windows(tick)]:
            evidence = weigh(route.spec.strategy, (*before, *weighed), window)
            weighed.append(window.model_copy(update={"evidence": evidence}))
        if weighed:
            self._answer_windows.mark_recorded(route.name, weighed[-1])
        return weighed

    def _ended(self, tick: RouteTick, snapshot: TickSnapshot) -> list[Window]:
        """The source's new windows. The last one also has the ready instances, the pairs and the classes."""
        # If the clock was set back, windows go on from their own last time. Otherwise the rollback guard would wait
        # until the clock has caught up.
        self._ahead += max(timedelta(), tick.recorded_until - tick.until)
        tallies, found = CustomTallies(self._history, tick), list[Window]()
        windows = self._source.windows(tick)
        self._source.begin_window(tick.head)
        for window in windows:
            counted = window.model_copy(update={"custom": tallies.up_to(window.end)})
            counted = self._with_ready(counted, tick, snapshot)
            is_last = window is windows[-1]
            found.append(self._answer_windows.fill(counted) if is_last else counted.model_copy(update={"ready": None}))
        return found

    def _with_ready(self, window: Window, tick: RouteTick, snapshot: TickSnapshot) -> Window:
        """The window with its instances. The candidate's are unknown (None) if nobody observed them in its time."""
        is_observed = self._observed.place(tick.route.name, window.seconds) and not snapshot.unknown
        ready, stable = ready_counts(tick.route.namespace, tick.route.spec.model, snapshot), tick.head.table.stable
        wanted = wanted_counts(tick.route, _wanted_of(tick.route, snapshot)).get(stable, ready.get(stable, 0))
        mine = ready.get(tick.head.state.target, 0) if is_observed else None
        return window.model_copy(update={"ready": mine, "stable_instances": wanted})

    def observe(
        self, route: Route, head: Revision | None, snapshot: TickSnapshot, actions: Sequence[Action]
    ) -> Observation:
        """What the policy needs to know about the route at this tick."""
        seen = Observation(
            now=snapshot.now,
            ready=ready_counts(route.namespace, route.spec.model, snapshot),
            unready=unready_versions(
                _of_model(route.namespace, route.spec.model, snapshot),
                since=self._attempts.began(head) if head is not None else None,
            ),
            missing=missing_instances(_of_model(route.namespace, route.spec.model, snapshot)),
            wanted=wanted_counts(route, _wanted_of(route, snapshot)),
            unknown=snapshot.unknown,
            gateways=snapshot.gateways,
            lost=snapshot.lost,
        )
        if head is None:
            return seen
        self._wanted[route.name] = _addresses(in_force(route, head), head, snapshot)
        asked = self._last_use.asked(route.name)
        idle_s = self._last_use.idle_s(route, head.table, asked)
        # After `idle_s`, which reads the gateways' counters: a new leader has no older reading to judge by.
        if unfound := self._last_use.unfound(head.table):
            # Its requests are held until every gateway can send them on.
            seen = replace(seen, ready={ref: count for ref, count in seen.ready.items() if ref not in unfound})
        entered_s = self._observed.enter(route.name, (head.state.attempt, head.state.entered_at))
        # All at once: with many routes, each copy of the observation is felt.
        seen = replace(
            seen,
            asked=asked,
            idle_s=idle_s,
            silent_s=self._silent_s(route, snapshot),
            returnable=self._returnable(route, head, seen),
            pause_left_s=self._pauses.left_s(route.name, head.state, snapshot.now),
            shadow=self._answer_windows.status(route.name),
            problems=self._answer_windows.problems(route.name),
            since_window_s=self._observed.left_s(route.name),
            since_entered_s=entered_s,
            windows=self._attempts.windows(head),
            named=self._named(route, actions),
            inputs=self._inputs.compared(
                route.name, head.table, _of_model(route.namespace, route.spec.model, snapshot)
            ),
            present=_present(route, snapshot) if head.table.cold else frozenset(),
        )
        smoke = self._smoked(Situation(route, head, seen))
        return replace(seen, smoke=smoke) if smoke is not None else seen

    def _returnable(self, route: Route, head: Revision, seen: Observation) -> tuple[VersionRef, ...]:
        """Reads the ledger once for each head, and only where stable is down and another version is ready."""
        situation = Situation(route, head, seen)
        if situation.ready(situation.stable):
            return ()
        ready = {ref for ref in seen.ready if situation.ready(ref) and situation.specified(ref)}
        if not ready:
            return ()
        known, refs = self._once_stable.get(route.name, ("", ()))
        if known != head.hash:
            refs = once_stable(self._store.revisions(route.name))
            self._once_stable[route.name] = (head.hash, refs)
        return tuple(ref for ref in refs if ref in ready)

    def _silent_s(self, route: Route, snapshot: TickSnapshot) -> float:
        now = self._monotonic()
        if any(one.reachable and route.name in one.programmed for one in snapshot.gateways):
            self._served_at[route.name] = now
        return now - self._served_at.setdefault(route.name, now)

    def _smoked(self, situation: Situation) -> Check | None:
        """Run the golden rows while the candidate has no weight, once users' path through the gateways reaches it."""
        candidate, head = situation.candidate, situation.head
        if candidate is None or head.state.phase is not Phase.PREPARING or not situation.strategy.warm_up.smoke:
            return None
        if candidate not in head.table.pins or not situation.ready(candidate):
            return None
        if acknowledged(situation).verdict is not Verdict.PASS:
            return None
        return self._smoke.smoke(head.table, candidate)

    def _named(self, route: Route, actions: Sequence[Action]) -> dict[int, Revision]:
        found = {}
        for seq in {action.to_revision for action in actions if action.to_revision is not None}:
            try:
                found[seq] = self._store.revision(route.name, seq)
            except errors.NotFound:
                continue  # the policy refuses the action and gives the reason
        return found


def _addresses(route: Route, head: Revision, snapshot: TickSnapshot) -> tuple[InstanceAddress, ...]:
    """Instances whose answers are compared: where requests are mirrored, or two versions serve users."""
    table, target = head.table, None
    if head.state.phase is Phase.PREPARING and any(one.name == "cost" for one in active_gates(route.spec.strategy)):
        target = head.state.target  # what it uses without any row is known before its first row
    if not table.mirrors and table.candidate is None and target is None:
        return ()
    refs = {table.stable, table.candidate, target, *(mirror.version for mirror in table.mirrors)}
    return tuple(
        InstanceAddress(one.id, one.ref, one.host, one.port, one.namespace, one.model)
        for one in _of_model(route.namespace, route.spec.model, snapshot)
        if one.ref in refs and one.ready
    )


def _present(route: Route, snapshot: TickSnapshot) -> frozenset[VersionRef]:
    found = _of_model(route.namespace, route.spec.model, snapshot)
    return frozenset(one.ref for one in found if not one.ending)


def _wanted_of(route: Route, snapshot: TickSnapshot) -> Sequence[Wanted]:
    return snapshot.wanted_of.get((route.namespace, route.spec.model), ())


def _without_stopped(instances: Sequence[Instance], wanted: Sequence[Wanted]) -> Iterator[Instance]:
    """The instances; those of a version that was scaled to 0 are about to end, ready or not."""
    stopped = {(row.namespace, row.model, row.ref) for row in wanted if row.stopped}
    for one in instances:
        ends = (one.namespace, one.model, one.ref) in stopped
        yield one.model_copy(update={"ready": False, "reason": "its version is scaled to 0"}) if ends else one


def ready_counts(namespace: str, model: str, snapshot: TickSnapshot) -> dict[VersionRef, int]:
    """How many instances of each version of a model are ready. A version without any is left out."""
    found: dict[VersionRef, int] = {}
    for instance in _of_model(namespace, model, snapshot):
        if instance.ready:
            found[instance.ref] = found.get(instance.ref, 0) + 1
    return found


def _by_model(instances: Iterable[Instance]) -> Mapping[tuple[str, str], Sequence[Instance]]:
    found: dict[tuple[str, str], list[Instance]] = {}
    for one in instances:
        found.setdefault((one.namespace, one.model), []).append(one)
    return found


def _of_model(namespace: str, model: str, snapshot: TickSnapshot) -> Sequence[Instance]:
    return snapshot.instances.get((namespace, model), ())
