"""Builders of routes, heads, observations and actions, each with usual values; and what is decided for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from fairlead.contracts.action import Action, ActionType, Outcome
from fairlead.contracts.revision import Cause, Check, Phase, Rejected, Revision, State, Verdict
from fairlead.contracts.route import Route, RouteSpec, Step, Strategy, Target, VersionRef, VersionSpec, WarmUp
from fairlead.contracts.table import Table
from fairlead.contracts.window import Window
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.observation import Decision, Observation
from fairlead.rollout.ports import GatewayState

ROLLBACK, RETRY, APPROVE, PAUSE, RESUME, PROMOTE = ActionType
NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
V0, V1, V2, V3 = (VersionSpec(source=f"/m/{name}").ref(name) for name in ("0.9.0", "1.0.0", "1.1.0", "1.2.0"))
STEPS = (Step(weight=500, min_duration=30.0), Step(weight=2500, min_duration=30.0, approval=True))
PASSED = Check(gate="smoke", verdict=Verdict.PASS, reason="8 golden rows answered")
FAILED = Check(gate="smoke", verdict=Verdict.FAIL, reason="golden row 3: 0.2 is not 0.3")


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def a_route(
    target: str = "1.1.0",
    *,
    versions: tuple[str, ...] = ("1.0.0", "1.1.0", "1.2.0"),
    strategy: Strategy | None = None,
    generation: int = 2,
    **spec: Any,
) -> Route:
    return Route(
        name="iris",
        generation=generation,
        created_at=NOW,
        actor="ada",
        spec=RouteSpec(
            model="iris",
            versions={name: VersionSpec(source=f"/m/{name}") for name in versions},
            target=Target(version=target),
            strategy=strategy or a_strategy(),
            **spec,
        ),
    )


def a_strategy(**changes: Any) -> Strategy:
    return Strategy.model_validate({"steps": STEPS, "warm_up": WarmUp(), "min_requests": 0, **changes})


def a_head(
    *,
    stable: VersionRef = V1,
    candidate: VersionRef | None = None,
    weight: int = 0,
    pins: tuple[VersionRef, ...] = (V1, V2, V3),
    seq: int = 7,
    cause: Cause = Cause.STEP,
    action: str | None = None,
    **state: Any,
) -> Revision:
    """A revision of the route of `a_route()`, without a rollout and with stable 1.0.0 by default."""
    after = State.model_validate({"target": stable, "entered_at": NOW, "attempt": 3, **state})
    serving = {ref for ref in (stable, candidate) if ref is not None}
    return Revision(
        route="iris",
        seq=seq,
        parent="p",
        cause=cause,
        actor="fairlead",
        action=action,
        generation=2,
        table=Table(
            model="iris",
            attempt=after.attempt,
            stable=stable,
            candidate=candidate,
            weight=weight,
            pins=tuple(sorted({*pins, *serving}, key=lambda ref: (ref.version, ref.identity))),
        ),
        state=after,
        created_at=NOW,
    ).sealed()


def preparing(**changes: Any) -> Revision:
    """1.1.0 has been released and has no weight yet."""
    return a_head(**{"phase": Phase.PREPARING, "target": V2, "cause": Cause.RELEASED, **changes})


def canary(weight: int = 500, **changes: Any) -> Revision:
    """1.1.0 has a weight beside 1.0.0."""
    step = sum(one.weight <= weight for one in STEPS) - 1
    state = {"phase": Phase.CANARY, "target": V2, "step": step, "candidate": V2, "weight": weight}
    return a_head(**{**state, **changes})


def promoted(**changes: Any) -> Revision:
    """1.1.0 is stable, 1.0.0 is the previous version."""
    state = {"stable": V2, "previous": V1, "previous_revision": 6, "promoted_at": NOW, "cause": Cause.PROMOTED}
    return a_head(**{**state, **changes})


def rejected(ref: VersionRef = V2, *, revision: int = 5, reason: str = "smoke: wrong answers") -> tuple[Rejected, ...]:
    return (Rejected(ref=ref, revision=revision, reason=reason),)


def seen(at: float = 0, *, ready: dict[VersionRef, int] | None = None, acked: int = 7, **changes: Any) -> Observation:
    """Everything is ready and one gateway serves revision 7, `at` seconds after the head."""
    everything = {V1: 1, V2: 1, V3: 1}
    gateways = (GatewayState("edge", reachable=True, programmed={"iris": acked}),)
    seen = Observation(now=later(at), ready=everything if ready is None else ready, gateways=gateways)
    return replace(seen, **changes)


def without_ready(seconds: float, *, then: int | None = 0) -> tuple[Window, ...]:
    """Windows of five seconds in which the candidate had `then` ready instances."""
    return tuple(Window(start=later(at), end=later(at + 5), weight=500, ready=then) for at in range(0, int(seconds), 5))


def an_action(kind: ActionType, name: str = "a1", **changes: Any) -> Action:
    return Action(name=name, route="iris", type=kind, actor="bob", created_at=NOW, **changes)


def after(route: Route, head: Revision | None, observation: Observation) -> Revision:
    """The next revision, which must continue the head."""
    decision = decide(route, head, observation, ())
    assert decision.next is not None, decision.waiting
    if head is not None:
        assert (decision.next.seq, decision.next.parent) == (head.seq + 1, head.hash)
    return decision.next


def waits(route: Route, head: Revision | None, observation: Observation) -> str:
    """What the rollout waits for, when there is no next revision."""
    decision = decide(route, head, observation, ())
    assert decision.next is None, decision.next
    return decision.waiting


def asked(route: Route, head: Revision, world: Observation, *actions: Action) -> Decision:
    return decide(route, head, world, actions)


def carried_out(route: Route, head: Revision, world: Observation, action: Action) -> Revision:
    decision = asked(route, head, world, action)
    assert decision.finished == (), decision.finished
    assert decision.next is not None
    assert decision.next.action == action.name
    assert decision.next.actor == action.actor
    return decision.next


def refused(route: Route, head: Revision, world: Observation, action: Action) -> str:
    (done,) = asked(route, head, world, action).finished
    assert done.outcome is Outcome.REFUSED, done
    return done.message
