"""A simulated platform around a real engine and a real store.

A test controls when gateways acknowledge, which instances are ready, whether golden rows pass, the clock, and the write
at which the process dies.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fairlead.contracts.action import Action, ActionType
from fairlead.contracts.gateway import ClusterKey, Role, key_of
from fairlead.contracts.instance import Instance, Wanted
from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.revision import Check, Revision, Verdict
from fairlead.contracts.route import Route, RouteSpec, Step, Strategy, Target, VersionRef, VersionSpec
from fairlead.contracts.status import Condition, Reason, WantedInstances
from fairlead.contracts.table import Table
from fairlead.contracts.window import Buckets
from fairlead.rollout.observe import TickSnapshot
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.ports import (
    Answer,
    CollectedAnswers,
    GatewayState,
    History,
    Increase,
    InstanceAddress,
    MetricSource,
    Reading,
)
from fairlead.rollout.reconcile import Engine
from unit.rollout.crashing_store import CrashingStore

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
STEPS = (
    Step(weight=500, min_duration=20.0),
    Step(weight=2500, min_duration=20.0, approval=True),
    Step(weight=5000, min_duration=20.0),
)


class AnswerQueue:
    """`ports.AnswerSource` of one engine: each answer since it subscribed, once."""

    def __init__(self, answers: list[Answer], told: list[tuple[VersionRef, Increase]]) -> None:
        self._answers, self._told = answers, told
        self._at: int | None = None
        self._told_at = 0

    def subscribe(self, wanted: Mapping[str, Sequence[InstanceAddress]]) -> None:
        if not wanted.get("iris"):
            self._at = None
        elif self._at is None:
            self._at, self._told_at = len(self._answers), len(self._told)

    def collect(self) -> Mapping[str, CollectedAnswers]:
        if self._at is None:
            return {}
        start, self._at = self._at, len(self._answers)
        collected = self._answers[start:]
        classes: dict[VersionRef, dict[str, int]] = {}
        for one in collected:
            if one.label and not one.shadow:
                counts = classes.setdefault(one.ref, {})
                counts[one.label] = counts.get(one.label, 0) + 1
        increases: dict[VersionRef, Increase] = {}
        for ref, more in self._told[self._told_at :]:
            increases[ref] = increases[ref].plus(more) if ref in increases else more
        self._told_at = len(self._told)
        return {"iris": CollectedAnswers(collected, classes, increases=increases)}


class SimulatedInputs:
    """`ports.Inputs` of a simulated platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def compared(self, route: str, table: Table, instances: Sequence[Instance]) -> Condition:  # noqa: ARG002
        return self._platform.inputs

    def keep(self, routes: Collection[str]) -> None:
        pass


class Platform:
    """One route "iris" with gateways, instances, answers and a clock."""

    def __init__(self, gateways: Sequence[str] = ("e1", "e2")) -> None:
        self.store = CrashingStore()
        self.now = START
        self.elapsed_s = 0.0
        """How much time has really passed, independent of the clock."""
        self.programmed: dict[str, int] = dict.fromkeys(gateways, 0)
        self.unreachable: set[str] = set()
        """Gateways that do not answer."""
        self.bad: set[VersionRef] = set()
        """Versions whose golden rows fail."""
        self.asked: list[VersionRef] = []
        """Versions whose golden rows were sent."""
        self.traffic: dict[VersionRef, tuple[int, int]] = {}
        """Good and failed answers so far, per version."""
        self.since: dict[str, datetime] = {}
        """When a gateway was last restarted; without an entry, at the beginning."""
        self.log: list[str] = []
        self.answers: list[Answer] = []
        """The services' answer records."""
        self.told: list[tuple[VersionRef, Increase]] = []
        """What services counted of themselves, reading by reading."""
        self.decided: list[tuple[Route, Revision | None, Observation, Sequence[Action]]] = []
        """What each decision was based on."""
        self.scaled: dict[VersionRef, int] = {}
        """How many instances each version was given, where nothing else scales."""
        self.unknown = ""
        """Why nobody knows which instances are ready; then their rows are only what was known last."""
        self.inputs = Condition(type="InputsDiffer", status=False, reason=Reason.NOT_COMPARED, message="few rows")
        """Whether the candidate's rows differ from stable's."""
        self.uses: dict[ClusterKey, int] = {}
        """How many requests each cluster of the gateways has had."""
        self.waiting: set[VersionRef] = set()
        """Cold versions that requests wait for."""
        self.unfound: set[VersionRef] = set()
        """Versions of which a gateway has found no instance, as long as they are cold."""
        self._names = itertools.count(1)
        self.engine = self.started()

    def started(
        self, *, metrics: MetricSource | None = None, history: History | None = None, replays: bool = False
    ) -> Engine:
        """The engine of another process over the same platform."""
        engine = Engine(
            self.store,
            gateways=self,
            metrics=metrics or self,
            smoke=self,
            clock=lambda: self.now,
            monotonic=lambda: self.elapsed_s,
            log=self.log.append,
            answers=AnswerQueue(self.answers, self.told),
            history=history,
            replays=replays,
            scales=self,
            why_unknown=lambda: self.unknown,
            demand=SimulatedDemand(self),
            inputs=SimulatedInputs(self),
        )
        observe = engine._observer.observe

        def recorded(
            route: Route, head: Revision | None, snapshot: TickSnapshot, actions: Sequence[Action]
        ) -> Observation:
            seen = observe(route, head, snapshot, actions)
            self.decided.append((route, head, seen, actions))
            return seen

        engine._observer.observe = recorded  # type: ignore[method-assign]
        return engine

    # What the engine sees

    def gateways(self) -> list[GatewayState]:
        return [
            GatewayState(name, False)
            if name in self.unreachable
            else GatewayState(name, True, {"iris": seq} if seq else {})
            for name, seq in self.programmed.items()
        ]

    def smoke(self, table: Table, ref: VersionRef) -> Check:
        assert ref in table.pins
        self.asked.append(ref)
        verdict = Verdict.FAIL if ref in self.bad else Verdict.PASS
        return Check(gate="smoke", verdict=verdict, reason="as the test sets it")

    def read(self) -> list[Reading]:
        return [self._reading(name) for name in self.programmed if name not in self.unreachable]

    def scale(self, route: Route, wanted: Sequence[WantedInstances]) -> None:
        self.scaled.update((one.ref, one.instances) for one in wanted)

    def _reading(self, gateway: str) -> Reading:
        clusters: dict[ClusterKey, dict[str, int]] = {}
        endpoints: dict[ClusterKey, dict[str, tuple[int, int]]] = {}
        latency: dict[ClusterKey, Buckets] = {}
        seq = self.programmed[gateway]
        if seq:
            table = self.store.revision("iris", seq).table
            for ref in (table.stable, table.candidate):
                if ref is not None:
                    ok, bad = self.traffic.get(ref, (0, 0))
                    split = key_of(Role.SPLIT, table, ref)
                    clusters[split] = {"upstream_rq_completed": ok + bad, "upstream_rq_5xx": bad}
                    aggregate = key_of(Role.AGGREGATE, table, ref)
                    clusters[aggregate] = {"upstream_rq_completed": ok + bad}
                    latency[split] = latency[aggregate] = (ok + bad,) * len(GRID_MS)
                    endpoints[split] = {"h:1": (ok, bad)}
        uptime_s = (self.now - self.since.get(gateway, START)).total_seconds()
        return Reading(gateway, self.now, clusters, endpoints, uptime_s, latency)

    # Events

    def deploy(
        self, versions: Sequence[str] = ("1.0.0", "1.1.0", "1.2.0"), target: str = "1.0.0", **spec: Any
    ) -> Route:
        """Write a whole spec."""
        desired = RouteSpec(
            model="iris",
            versions={name: VersionSpec(source=f"/m/{name}", artifact=name) for name in versions},
            target=Target(version=target),
            strategy=spec.pop("strategy", Strategy(steps=STEPS, min_requests=0)),
            **spec,
        )
        return self.store.put_route("iris", desired, now=self.now, actor="ada")

    def change(self, **spec: Any) -> Route:
        """Change these fields of the spec."""
        desired = self.route.spec.model_copy(update=spec)
        desired = RouteSpec.model_validate(desired.model_dump(by_alias=False))
        return self.store.put_route("iris", desired, now=self.now, actor="ada")

    def release(self, version: str) -> Route:
        return self.change(target=Target(version=version))

    def ask(self, kind: ActionType, **more: Any) -> Action:
        """Create an action with a new name."""
        action = Action(name=f"a{next(self._names)}", route="iris", type=kind, actor="bob", created_at=self.now, **more)
        return self.store.create_action(action)

    def acknowledge(self, *names: str) -> None:
        """These gateways, or all of them, now serve the head."""
        head = self.store.head("iris")
        for name in names or tuple(self.programmed):
            self.programmed[name] = head.seq if head else 0

    def supervise(self, *, ready: bool = True) -> None:
        """Start the wanted instances, ready or not, and stop all others."""
        wanted = {row.id: row for row in self.store.wanted() if not row.stopped}
        for instance in self.store.instances():
            if instance.id not in wanted:
                self.store.remove_instance(instance.id)
        for row in wanted.values():
            self._report(row, ready)

    def turn(self, ref: VersionRef, *, ready: bool) -> None:
        """Set whether one version's instances are ready."""
        for row in self.store.wanted():
            if row.ref == ref and not row.stopped:
                self._report(row, ready)

    def turn_one(self, ref: VersionRef, *, ready: bool) -> None:
        """Set whether the last of one version's instances is ready."""
        rows = [row for row in self.store.wanted() if row.ref == ref and not row.stopped]
        for row in rows[-1:]:
            self._report(row, ready)

    def _report(self, row: Wanted, ready: bool) -> None:
        self.store.report(
            Instance(id=row.id, model=row.model, ref=row.ref, host="h", port=1, ready=ready, observed_at=self.now)
        )

    def serve(self, ref: VersionRef, ok: int, bad: int = 0) -> None:
        """Add requests that a version answered, good and failed ones."""
        before = self.traffic.get(ref, (0, 0))
        self.traffic[ref] = (before[0] + ok, before[1] + bad)

    def use(self, ref: VersionRef, role: Role = Role.SPLIT) -> None:
        """Add a request that a gateway sent to a version."""
        key = key_of(role, self.head.table, ref)
        self.uses[key] = self.uses.get(key, 0) + 1

    def mirror(self, live: VersionRef, shadow: VersionRef, count: int, *, label: str = "a") -> None:
        """Add requests that `live` answered with "a" and `shadow`, as mirrored requests, with `label`."""
        for _ in range(count):
            name = f"{next(self._names):032x}"
            self.answers.append(Answer(name, live, False, label="a"))
            self.answers.append(Answer(name, shadow, True, label=label))

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.elapsed_s += max(0.0, seconds)

    def jump(self, seconds: float) -> None:
        """Set the clock; no time passes."""
        self.now += timedelta(seconds=seconds)

    def tick(self, seconds: float = 0) -> list[Revision]:
        """Let time pass, then run one tick."""
        self.wait(seconds)
        return self.engine.tick()

    def settle(self, ticks: int = 8, seconds: float = 1.0) -> None:
        """Run ticks while everything works: instances become ready and gateways acknowledge."""
        for _ in range(ticks):
            self.tick(seconds)
            self.supervise()
            self.acknowledge()

    # State that tests read

    @property
    def route(self) -> Route:
        return self.store.route("iris")

    @property
    def head(self) -> Revision:
        head = self.store.head("iris")
        assert head is not None
        return head

    def ref(self, version: str) -> VersionRef:
        return self.route.spec.versions[version].ref(version)

    def ready(self, ref: VersionRef) -> int:
        return sum(one.ready and one.ref == ref for one in self.store.instances())


class SimulatedDemand:
    """`ports.Demand` of a platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._unfound: frozenset[VersionRef] = frozenset()
        """At the last reading, which is that of the requests too."""

    def requests(self) -> Mapping[ClusterKey, tuple[int, int]] | None:
        self._unfound = frozenset(self._platform.unfound)
        return {key: (total, 0) for key, total in self._platform.uses.items()}

    def unfound(self, table: Table) -> frozenset[VersionRef]:
        return frozenset(table.cold) & self._unfound

    def asked(self) -> Collection[tuple[str, VersionRef]]:
        return {("iris", ref) for ref in self._platform.waiting}


def at_step(platform: Platform, weight: int) -> None:
    """Release 1.1.0 and run until it has this weight."""
    platform.release("1.1.0")
    for _ in range(60):
        if platform.head.table.weight == weight:
            return
        if "approval" in str((platform.store.status("iris") or {}).get("waiting")):
            platform.ask(ActionType.APPROVE)
        platform.settle(1, 5)
    raise AssertionError(f"stays at {platform.head.table.weight}: {platform.store.status('iris')}")
