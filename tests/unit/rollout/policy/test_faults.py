"""No fault makes a rise easier, for generated situations: every role and setting, with evidence of any kind."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.contracts.answers import ClassCounts
from fairlead.contracts.gates import OnInconclusive, OnMetricsUnavailable
from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import GateSpec, Step, Strategy
from fairlead.contracts.window import Counts, CustomGateCounts, Histograms, VersionCounts, Window
from fairlead.rollout.policy.evidence import weigh
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.ports import GatewayState
from unit.rollout import weakened
from unit.rollout.policy.builders import FAILED, PASSED, V1, V2, a_route, canary, later, preparing

QUERY = 'lost_total{version="$version"}'
GATES = ("ready", "smoke", "acknowledged", "capacity", "errors", "starved", "rejections", "latency", "classes")
STEPS = tuple(Step(weight=weight, min_duration=10.0) for weight in (500, 2500, 5000))


@st.composite
def strategies(draw: st.DrawFn) -> Strategy:
    roles = st.sampled_from(("guard", "signal"))
    gates = [GateSpec.model_validate({"name": name, "role": draw(roles)}) for name in GATES if draw(st.booleans())]
    if draw(st.booleans()):
        promql = {"bad": QUERY, "total": QUERY}
        gates.append(GateSpec.model_validate({"name": "custom-lost", "role": draw(roles), "promql": promql}))
    return Strategy(
        steps=STEPS,
        gates=tuple(gates),
        preset=draw(st.sampled_from(("quick", "strict"))),
        min_requests=draw(st.sampled_from((0, 1, 20))),
        min_windows=1,
        on_inconclusive=OnInconclusive(after=10.0, do=draw(st.sampled_from(("hold", "promote", "rollback")))),
        on_metrics_unavailable=OnMetricsUnavailable(hold=10.0, then=draw(st.sampled_from(("hold", "rollback")))),
    )


@st.composite
def counts(draw: st.DrawFn) -> dict[str, Any]:
    """What one window counted: nothing, a gap, good answers, or bad ones."""
    if draw(st.integers(0, 9)) == 0:
        return {"gap": "no gateway told its counters"}
    n, bad = draw(st.sampled_from((0, 10, 200))), draw(st.sampled_from((0.0, 0.0, 0.02, 0.5)))
    failed, slow = round(n * bad), draw(st.sampled_from((0.0, 0.1, 0.9)))
    timed = Histograms(candidate=buckets(n, slow), stable=buckets(9 * n, 0.1))
    arms = VersionCounts(candidate=Counts(n=n, bad=failed), stable=Counts(n=9 * n))
    until, labels = later(1000), {"a": n - failed, "b": failed}
    return {
        "candidate": Counts(n=n, bad=failed),
        "stable": Counts(n=9 * n),
        "assigned": n + draw(st.sampled_from((0, 0, 30))),
        "unserved": draw(st.sampled_from((0, 0, failed))),
        "rejections": arms,
        "latency": timed if draw(st.booleans()) else Histograms(),
        "classes": ClassCounts(candidate=labels, stable={"a": 9 * n}) if draw(st.booleans()) else ClassCounts(),
        "custom": {"custom-lost": CustomGateCounts(arms=arms, until=until)} if draw(st.booleans()) else {},
    }


def buckets(n: int, slow: float) -> tuple[int, ...]:
    """`slow` of n answers took longer than half of the bounds, the others took less than the first."""
    return tuple(round(n * (1 - slow)) if at < len(GRID_MS) // 2 else n for at in range(len(GRID_MS)))


@st.composite
def situations(draw: st.DrawFn) -> tuple[Strategy, Revision, Observation]:
    strategy = draw(strategies())
    weight = draw(st.sampled_from((0, 500, 2500, 5000)))
    some = st.integers(0, 4)
    ready = {V1: draw(some), V2: draw(some)}
    # The attempt began with at least as many instances of stable as are ready now.
    began = {"stable_instances": draw(st.integers(ready[V1], 4))}
    state = {"approved": 5, "entered_at": later(draw(st.sampled_from((0, 5, 20)))), **began}
    head = canary(weight, **state) if weight else preparing(**state)
    found: list[Window] = []
    for at, one in enumerate(draw(st.lists(counts(), max_size=8))):
        mine, known = draw(st.sampled_from((None, 0, 1, 2))), draw(st.sampled_from((None, 1, 2, 4)))
        window = Window(
            start=later(5 * at), end=later(5 * at + 5), weight=weight, ready=mine, stable_instances=known, **one
        )
        window = window.model_copy(update={"evidence": weigh(strategy, found, window)})
        found = [*(each.without_state() for each in found), window]
    gateways = st.builds(
        GatewayState,
        st.just("e"),
        st.booleans(),
        st.sampled_from(({}, {"iris": 6}, {"iris": 7})),
        st.sampled_from((None, None, None, "bad route")),
    )
    listed = tuple(replace(one, name=f"e{at}") for at, one in enumerate(draw(st.lists(gateways, max_size=3))))
    seen = Observation(
        now=later(draw(st.sampled_from((5, 30, 90)))),
        ready=ready,
        wanted=draw(st.sampled_from(({}, {V1: 1}, {V1: 2}, {V1: 4}))),
        gateways=listed,
        smoke=draw(st.sampled_from((None, PASSED, FAILED))),
        windows=tuple(found),
        since_window_s=draw(st.sampled_from((0.0, 5.0))),
    )
    return strategy, head, seen


@settings(max_examples=100)
@given(situations())
def test_without_one_thing_a_decision_that_held_still_holds(drawn: tuple[Strategy, Revision, Observation]) -> None:
    strategy, head, seen = drawn
    weakened.check(a_route(strategy=strategy), head, seen, ())
