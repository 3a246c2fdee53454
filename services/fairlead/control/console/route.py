"""What the page of one model shows: its split, steps, gates, instances and gateways. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from fairlead.contracts.base import format_duration
from fairlead.contracts.health import health_of
from fairlead.contracts.instance import Instance
from fairlead.contracts.route import TOTAL_WEIGHT, Step, VersionRef
from fairlead.contracts.status import Gateway, Status
from fairlead.control.console.gates import GateRow, gate_row
from fairlead.control.console.place import Place
from fairlead.rollout.policy import steps as policy_steps
from fairlead.views import health as health_words
from fairlead.views import rollout
from fairlead.views.amounts import percent, share

MAX_INSTANCES = 100
"""More rows would hide those that are not ready; the others are counted."""


@dataclass(frozen=True, slots=True)
class Arm:
    """A version that serves: its weight, what it really got, and its place on a bar of 100."""

    version: str
    role: str
    weight: str
    got: str
    start: float
    width: float


@dataclass(frozen=True, slots=True)
class StepRow:
    """One step of the strategy. `state` is done, current or next."""

    number: int
    weight: str
    lasts: str
    approval: str
    state: str


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """One instance: `why` says why it is not ready."""

    version: str
    role: str
    name: str
    is_ready: bool
    why: str
    restarts: int


@dataclass(frozen=True, slots=True)
class GatewayRow:
    """One gateway, and the revision that it serves."""

    name: str
    serves: str
    is_behind: bool
    state: str


@dataclass(frozen=True, slots=True)
class RoutePage:
    """The whole page, but for the drawing and the revisions."""

    model: str
    mark: str
    title: str
    headline: str
    """Without a running time: it is read aloud whenever it changes."""
    since: str
    command: str
    phase: str
    revision: str
    waiting: str
    arms: tuple[Arm, ...]
    steps: tuple[StepRow, ...]
    progress: tuple[str, ...]
    gates: tuple[GateRow, ...]
    counts: tuple[str, ...]
    problems: tuple[str, ...]
    ready: str
    instances: tuple[InstanceRow, ...]
    more_instances: int
    gateways: tuple[GatewayRow, ...]
    programmed: str


def route_page(
    status: Status, steps: Sequence[Step], instances: Iterable[Instance], place: Place, now: datetime
) -> RoutePage:
    """The page of a route with this status. `steps` are those of the strategy that is in force."""
    health = health_of(status)
    rows = sorted((_instance(status, one) for one in instances), key=lambda row: (row.is_ready, row.version, row.name))
    headline = f"{status.route} is {health.mark}" + (f": {health.reason}" if health.reason else "")
    return RoutePage(
        model=status.route,
        mark=health.mark.value,
        title=f"{status.route}: {health.mark}",
        headline=headline,
        since=health_words.mark(health, now),
        command=health_words.next_step(health, place.with_options, place.gateways),
        phase=rollout.phase(status),
        revision=status.revision or "",
        waiting=status.waiting if status.waiting != health.reason else "",
        arms=tuple(_arms(status)),
        steps=tuple(_steps(status, steps)) if status.candidate is not None else (),
        progress=tuple(rollout.progress(status, now)) if status.candidate is not None else (),
        gates=tuple(map(gate_row, status.checks)),
        counts=tuple(rollout.counts(status)),
        problems=tuple(rollout.problems(status, status.waiting)),
        ready=rollout.ready(status),
        instances=tuple(rows[:MAX_INSTANCES]),
        more_instances=max(0, len(rows) - MAX_INSTANCES),
        gateways=tuple(_gateway(status, one) for one in status.gateways),
        programmed=rollout.programmed(status),
    )


def _arms(status: Status) -> Iterator[Arm]:
    if status.stable is None:
        return
    rest, got = TOTAL_WEIGHT - status.weight, status.share
    yield Arm(
        version=str(status.stable),
        role="stable",
        weight=percent(rest),
        got=share(TOTAL_WEIGHT - got) if got is not None and status.candidate is not None else "",
        start=0,
        width=rest * 100 / TOTAL_WEIGHT,
    )
    if status.candidate is not None:
        yield Arm(
            version=str(status.candidate),
            role="candidate",
            weight=percent(status.weight),
            got=share(got) if got is not None else "",
            start=rest * 100 / TOTAL_WEIGHT,
            width=status.weight * 100 / TOTAL_WEIGHT,
        )


def _steps(status: Status, steps: Sequence[Step]) -> Iterator[StepRow]:
    current = policy_steps.current_step(steps, status.weight)
    for index, step in enumerate(steps):
        state = "done" if index < current else "current" if index == current else "next"
        is_approved = index < current or (index == current and status.step is not None and status.step.approved)
        approval = "" if not step.approval else "approved" if is_approved else "needs an approval"
        yield StepRow(index + 1, percent(step.weight), format_duration(step.min_duration), approval, state)


def _instance(status: Status, instance: Instance) -> InstanceRow:
    restarts = instance.restarts
    why = "" if instance.ready else instance.reason or "it has not reported why"
    name = instance.id.removeprefix(f"{instance.namespace}/{instance.model}/")
    return InstanceRow(str(instance.ref), _role(status, instance.ref), name, instance.ready, why, restarts)


def _role(status: Status, ref: VersionRef) -> str:
    roles = {"stable": status.stable, "candidate": status.candidate, "previous": status.previous}
    return next((role for role, one in roles.items() if one == ref), "")


def _gateway(status: Status, gateway: Gateway) -> GatewayRow:
    serves = f"{status.route}.{gateway.programmed}" if gateway.programmed is not None else "nothing of this model"
    is_behind = gateway.programmed != status.seq
    state = "unreachable" if not gateway.reachable else "rejected" if gateway.rejected else ""
    return GatewayRow(gateway.name, serves, is_behind, state or ("behind" if is_behind else "programmed"))
