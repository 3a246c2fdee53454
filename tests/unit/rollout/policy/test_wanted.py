"""How many instances the rollout wants of each version, over all heads, gateways and instances."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.revision import Phase, Revision
from fairlead.contracts.route import TOTAL_WEIGHT, MirrorSpec, Route, ShadowSpec, Step, VersionRef
from fairlead.contracts.table import Mirror
from fairlead.rollout.policy.desired_instances import roles, within_rollback_window
from fairlead.rollout.policy.gates import capacity
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.policy.wanted import managed, wanted
from fairlead.rollout.ports import GatewayState
from unit.rollout.policy.builders import V1, V2, V3, a_head, a_route, a_strategy, canary, preparing, promoted, seen

STEPS = (Step(weight=1000), Step(weight=5000))
ALL = (V1, V2, V3)


def route(**spec: object) -> Route:
    return a_route(strategy=a_strategy(steps=STEPS, rollback_window=3600.0), **spec)  # type: ignore[arg-type]


def with_instances(route: Route, **instances: int) -> Route:
    versions = {
        name: spec.model_copy(update={"instances": instances.get(f"v{name[0]}{name[2]}", 1)})
        for name, spec in route.spec.versions.items()
    }
    return route.model_copy(update={"spec": route.spec.model_copy(update={"versions": versions})})


def counts(head: Revision | None, observed: Observation, *, of: Route | None = None) -> dict[str, int]:
    return {one.ref.version: one.instances for one in wanted(of or route(), head, observed)}


def of_deployments(v1: int, v2: int = 1, v3: int = 1) -> Observation:
    return seen(wanted={V1: v1, V2: v2, V3: v3})


def test_a_candidate_gets_what_its_next_share_needs_and_stable_keeps_all() -> None:
    assert counts(preparing(), of_deployments(8)) == {"1.0.0": 8, "1.1.0": 1, "1.2.0": 0}
    assert counts(canary(1000), of_deployments(8)) == {"1.0.0": 8, "1.1.0": 4, "1.2.0": 0}


def test_before_its_promotion_a_candidate_gets_as_much_as_stable() -> None:
    assert counts(canary(5000), of_deployments(8))["1.1.0"] == 8


def test_no_version_that_is_needed_gets_less_than_its_instances() -> None:
    several = with_instances(route(), v10=2, v11=3)
    assert counts(preparing(), of_deployments(8), of=several) == {"1.0.0": 8, "1.1.0": 3, "1.2.0": 0}
    assert counts(a_head(), of_deployments(1), of=several)["1.0.0"] == 2


def test_the_version_before_stays_whole_through_the_rollback_window() -> None:
    observed = seen(wanted={V1: 6, V2: 6, V3: 1})
    assert counts(promoted(), observed) == {"1.0.0": 6, "1.1.0": 1, "1.2.0": 0}
    assert counts(promoted(), replace(observed, now=seen(3601).now))["1.0.0"] == 0


def test_before_the_first_revision_the_target_gets_its_instances_and_the_others_keep_theirs() -> None:
    assert counts(None, seen(wanted={V1: 1}, ready={})) == {"1.0.0": 1, "1.1.0": 1, "1.2.0": 0}


@pytest.mark.parametrize("in_the_table", [True, False])
def test_a_version_that_gets_mirrored_requests_gets_what_they_need(in_the_table: bool) -> None:
    """Before its first instance is ready, only the spec names it: the table mirrors to pinned versions."""
    mirrored = route(mirrors=(MirrorSpec(version="1.2.0", share=5000),))
    head = a_head()
    if in_the_table:
        table = head.table.model_copy(update={"mirrors": (Mirror(version=V3, share=5000),)})
        head, mirrored = head.model_copy(update={"table": table}), route()
    assert counts(head, of_deployments(8), of=mirrored)["1.2.0"] == 4


def test_a_candidate_that_answers_mirrored_requests_gets_what_they_need() -> None:
    shadow = ShadowSpec(share=5000, min_duration=20.0, min_pairs=100)
    shadowed = a_route(strategy=a_strategy(steps=STEPS, shadow=shadow))
    assert counts(preparing(), of_deployments(8), of=shadowed)["1.1.0"] == 4
    head = preparing(phase=Phase.SHADOWING)
    head = head.model_copy(
        update={"table": head.table.model_copy(update={"mirrors": (Mirror(version=V2, share=5000),)})}
    )
    assert counts(head, of_deployments(8), of=shadowed)["1.1.0"] == 4


def may_all_be_cold() -> Route:
    several = with_instances(route(), v12=2)
    versions = {name: one.model_copy(update={"min_instances": 0}) for name, one in several.spec.versions.items()}
    return several.model_copy(update={"spec": several.spec.model_copy(update={"versions": versions})})


def test_a_version_that_may_be_cold_keeps_its_instances_until_it_is_cold_and_gets_them_back_when_it_is_asked() -> None:
    """Without `minInstances: 0` it has none as soon as no rollout needs it, and requests that name it fail."""
    of, warm, idle = may_all_be_cold(), a_head(), {ref: 1e6 for ref in ALL}
    observed = seen(wanted={V1: 1, V2: 1, V3: 1})
    assert counts(warm, observed, of=of) == {"1.0.0": 1, "1.1.0": 1, "1.2.0": 2}
    cold = warm.model_copy(update={"table": warm.table.model_copy(update={"cold": ALL})})
    observed = replace(observed, idle_s=idle)
    assert counts(cold, observed, of=of) == {"1.0.0": 0, "1.1.0": 0, "1.2.0": 0}
    stopped = replace(observed, wanted={V1: 0, V2: 0, V3: 0})
    assert counts(cold, stopped, of=of) == {"1.0.0": 0, "1.1.0": 0, "1.2.0": 0}
    asked = replace(stopped, asked=frozenset({V3}))
    assert counts(cold, asked, of=of) == {"1.0.0": 0, "1.1.0": 0, "1.2.0": 2}


def test_an_idle_version_says_why_it_needs_none() -> None:
    (idle,) = [one for one in wanted(route(), a_head(), of_deployments(2)) if one.ref == V3]
    assert (idle.instances, idle.present, idle.reason) == (0, 1, "it neither serves nor may be gone back to")


BEHIND = (GatewayState("edge", reachable=True, programmed={"iris": 6}),)
SILENT = (GatewayState("edge", reachable=False, programmed={"iris": 7}),)


@pytest.mark.parametrize(
    ("observed", "why"),
    [
        (seen(gateways=BEHIND), "a gateway that does not serve iris.7 yet may send it requests"),
        (seen(gateways=SILENT), "a gateway that does not serve iris.7 yet may send it requests"),
        (seen(gateways=()), "a gateway that does not serve iris.7 yet may send it requests"),
        (seen(unknown="`fairlead up` hangs"), "which instances are ready is not known"),
        (seen(ready={V2: 1}), "1.0.0 has no ready instance, and it might have to serve instead"),
    ],
)
def test_a_version_that_is_no_longer_needed_keeps_its_instances_while(observed: Observation, why: str) -> None:
    (idle,) = [one for one in wanted(route(), a_head(), replace(observed, wanted={V1: 2, V3: 3})) if one.ref == V3]
    assert (idle.instances, idle.reason) == (3, why)


def test_a_change_of_the_spec_that_nothing_was_decided_on_lets_no_version_go() -> None:
    changed = route(generation=3)
    assert counts(a_head(), of_deployments(2, 1, 3), of=changed)["1.2.0"] == 3


def test_where_nothing_else_scales_a_needed_version_runs_its_instances_and_another_one_none() -> None:
    several = with_instances(route(), v10=2, v11=3, v12=4)
    found = wanted(several, canary(5000), of_deployments(8))
    assert {one.ref: one.instances for one in managed(several, found)} == {V1: 2, V2: 3, V3: 0}


# Over all heads and observations


@st.composite
def heads(draw: st.DrawFn) -> Revision:
    stable, other = draw(st.permutations(ALL))[:2]
    phase = draw(st.sampled_from(list(Phase)))
    weight = draw(st.integers(1, TOTAL_WEIGHT)) if phase is Phase.CANARY else 0
    rolling = phase is not Phase.STABLE
    state: dict[str, Any] = {"phase": phase, "target": other if rolling else stable}
    if draw(st.booleans()):
        state |= {"previous": draw(st.sampled_from(ALL)), "promoted_at": seen(draw(st.integers(-7200, 0))).now}
    return a_head(stable=stable, candidate=other if weight else None, weight=weight, **state)


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    gateway = st.builds(GatewayState, st.just("e"), st.booleans(), st.sampled_from(({"iris": 6}, {"iris": 7})))
    return seen(
        draw(st.integers(0, 3600)),
        ready=draw(st.dictionaries(st.sampled_from(ALL), st.integers(0, 8))),
        wanted={ref: draw(st.integers(0, 8)) for ref in ALL},
        gateways=tuple(draw(st.lists(gateway, max_size=2))),
        unknown=draw(st.sampled_from(("", "it hangs"))),
    )


@given(head=heads(), observed=observations())
def test_no_version_gets_less_than_its_weight_and_the_next_one_need(head: Revision, observed: Observation) -> None:
    situation = Situation(route(), head, observed)
    found = {one.ref: one.instances for one in wanted(route(), head, observed)}
    whole = situation.stable_instances
    assert found[head.table.stable] >= (whole if head.state.phase is not Phase.STABLE else 1)
    if situation.candidate is not None:
        assert found[situation.candidate] * TOTAL_WEIGHT >= head.table.weight * whole
        assert found[situation.candidate] >= capacity(situation).numbers["need"], "the gate would wait for ever"


@given(head=heads(), observed=observations())
def test_an_instance_count_falls_only_when_every_gateway_has_acknowledged_and_stable_serves(
    head: Revision, observed: Observation
) -> None:
    found = {one.ref: one.instances for one in wanted(route(), head, observed)}
    assert all(found[ref] >= 1 for ref in (head.table.stable, head.state.target))
    is_served = all(one.reachable and one.programmed["iris"] == 7 for one in observed.gateways)
    if observed.gateways and is_served and observed.ready.get(head.table.stable) and not observed.unknown:
        return
    for ref in {*ALL} - {head.table.stable, head.state.target}:
        assert found[ref] >= observed.wanted[ref]


@given(
    head=heads(),
    observed=observations(),
    lost=st.sampled_from(("gateway", "acknowledgement", "instances", "knowledge")),
)
def test_no_fault_wants_less(head: Revision, observed: Observation, lost: str) -> None:
    less = {
        "gateway": replace(observed, gateways=tuple(replace(one, reachable=False) for one in observed.gateways)),
        "acknowledgement": replace(observed, gateways=tuple(replace(one, programmed={}) for one in observed.gateways)),
        "instances": replace(observed, ready={}),
        "knowledge": replace(observed, unknown="it hangs"),
    }[lost]
    before = {one.ref: one.instances for one in wanted(route(), head, observed)}
    assert all(one.instances >= before[one.ref] for one in wanted(route(), head, less))


@given(head=heads(), observed=observations(), instances=st.tuples(*(st.integers(1, 4) for _ in ALL)))
def test_where_nothing_else_scales_a_version_runs_its_instances_none_or_what_it_has(
    head: Revision, observed: Observation, instances: tuple[int, int, int]
) -> None:
    several = with_instances(route(), v10=instances[0], v11=instances[1], v12=instances[2])
    specified: dict[VersionRef, int] = dict(zip(ALL, instances, strict=True))
    for one in managed(several, wanted(several, head, observed)):
        assert one.instances in (0, specified[one.ref], observed.wanted[one.ref])
        assert one.instances or one.ref != head.table.stable


@given(
    head=heads(),
    observed=observations(),
    cold=st.sets(st.sampled_from(ALL)),
    idle_s=st.fixed_dictionaries({ref: st.floats(0, 2000) for ref in ALL}),
    asked=st.frozensets(st.sampled_from(ALL)),
    present=st.frozensets(st.sampled_from(ALL)),
)
def test_a_version_has_no_instance_only_while_its_requests_are_held_and_nobody_needs_it(
    head: Revision,
    observed: Observation,
    cold: set[VersionRef],
    idle_s: dict[VersionRef, float],
    asked: frozenset[VersionRef],
    present: frozenset[VersionRef],
) -> None:
    held = tuple(ref for ref in ALL if ref in cold and not (head.table.weight and ref in _serving(head)))
    head = head.model_copy(update={"table": head.table.model_copy(update={"cold": held})})
    observed = replace(observed, idle_s=idle_s, asked=asked, present=present)
    of = may_all_be_cold()
    needed = roles(head.state, head.table.stable, is_returnable=within_rollback_window(of, head.state, observed.now))
    for one in managed(of, wanted(of, head, observed)):
        if one.instances:
            continue
        assert one.ref in held, "a gateway sends its requests on"
        # Whoever needs a version gets one, once the instances that are about to end are known to end.
        assert one.ref not in needed | asked or (not observed.wanted[one.ref] and one.ref in present)
        if observed.wanted[one.ref]:
            assert observed.gateways, "no gateway says that it holds the requests"
            assert all(gateway.reachable and gateway.programmed["iris"] >= 7 for gateway in observed.gateways)
            assert idle_s[one.ref] >= of.spec.scale_to_zero.after


def _serving(head: Revision) -> set[VersionRef | None]:
    return {head.table.stable, head.table.candidate}
