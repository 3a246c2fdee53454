from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Cause, Phase, Revision, State
from fairlead.contracts.route import Route, RouteSpec, Step, Strategy, Target, VersionRef, VersionSpec
from fairlead.contracts.table import Table
from fairlead.rollout.policy.replicas import replicas

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VERSIONS = {name: VersionSpec(image=name) for name in ("1.0.0", "1.1.0", "1.2.0")}
V1, V2, V3 = (spec.ref(version) for version, spec in VERSIONS.items())
STRATEGY = Strategy(steps=(Step(weight=1000), Step(weight=5000)), rollback_window=3600.0)


def route(target: str = "1.1.0") -> Route:
    spec = RouteSpec(model="iris", versions=VERSIONS, target=Target(version=target), strategy=STRATEGY)
    return Route(name="iris", created_at=NOW, spec=spec)


def head(weight: int = 0, *, phase: Phase = Phase.CANARY, stable: VersionRef = V1, **state: object) -> Revision:
    candidate = V2 if phase is not Phase.STABLE else None
    table = Table(model="iris", stable=stable, candidate=candidate, weight=weight, pins=(V1, V2, V3))
    known = {"phase": phase, "target": V2, "entered_at": NOW, **state}
    return Revision(
        route="iris",
        seq=3,
        cause=Cause.STEP,
        generation=1,
        table=table,
        state=State.model_validate(known),
        created_at=NOW,
    )


def instances(ref: VersionRef, count: int, *, ready: bool = True) -> list[Instance]:
    return [
        Instance(id=f"{ref}-{n}", model="iris", ref=ref, host="10.0.0.1", port=8080, ready=ready, observed_at=NOW)
        for n in range(count)
    ]


def wanted(head: Revision | None, running: list[Instance], now: datetime = NOW) -> dict[str, int]:
    return {one.ref.version: one.count for one in replicas(route(), head, running, now)}


def test_a_candidate_gets_what_its_next_share_needs_and_stable_keeps_all() -> None:
    assert wanted(head(0), instances(V1, 8)) == {"1.0.0": 8, "1.1.0": 1, "1.2.0": 0}
    assert wanted(head(1000), instances(V1, 8)) == {"1.0.0": 8, "1.1.0": 4, "1.2.0": 0}


def test_before_its_promotion_a_candidate_gets_as_much_as_stable() -> None:
    assert wanted(head(5000), instances(V1, 8))["1.1.0"] == 8


def test_an_instance_that_is_not_ready_counts_as_load() -> None:
    running = [*instances(V1, 3), *instances(VersionRef(version="1.0.0", identity=V1.identity), 1, ready=False)]
    assert wanted(head(1000), running)["1.0.0"] == 4


def test_the_version_before_stays_whole_through_the_rollback_window() -> None:
    promoted = head(phase=Phase.STABLE, stable=V2, previous=V1, promoted_at=NOW)
    assert wanted(promoted, instances(V2, 6)) == {"1.0.0": 6, "1.1.0": 1, "1.2.0": 0}
    assert wanted(promoted, instances(V2, 6), NOW + timedelta(hours=2))["1.0.0"] == 0


def test_before_the_first_revision_the_target_gets_its_first_instances() -> None:
    assert wanted(None, []) == {"1.0.0": 0, "1.1.0": 1, "1.2.0": 0}


@given(weight=st.integers(0, 10_000), running=st.integers(0, 40))
def test_no_version_may_shrink_below_what_the_next_step_needs(weight: int, running: int) -> None:
    found = wanted(head(weight), instances(V1, running))
    assert found["1.0.0"] == max(1, running)
    assert 1 <= found["1.1.0"] <= max(1, running)
    assert found["1.1.0"] * 10_000 >= weight * running
