"""Instances of a model of the same name in another namespace are another route's, and each route reads its own only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from fairlead.contracts.instance import Wanted
from fairlead.contracts.route import Route, RouteSpec, Target, VersionSpec
from fairlead.rollout.policy.desired_instances import wanted_instances

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = VersionSpec(image="registry/iris@sha256:1")
GONE = VersionSpec(image="registry/iris@sha256:0").ref("0.9.0")


def test_a_route_keeps_no_instances_of_another_namespace() -> None:
    spec = RouteSpec(model="iris", versions={"1.0.0": SPEC}, target=Target(version="1.0.0"))
    route = Route(namespace="team-a", name="iris", generation=1, created_at=NOW, spec=spec)
    rows = [Wanted(namespace=name, model="iris", ref=GONE, index=0, source="d") for name in ("team-a", "team-b")]
    kept = wanted_instances([route], {}, NOW, existing=rows)  # not settled: nothing of the route is stopped
    assert [row.namespace for row in kept] == ["team-a"]


class Counted(list[Wanted]):
    """Counts how often all rows are read."""

    reads = 0

    def __iter__(self) -> Iterator[Wanted]:
        self.reads += 1
        return super().__iter__()


def test_the_rows_are_read_as_often_for_many_routes_as_for_one() -> None:
    def reads(count: int) -> int:
        names = [f"model-{number}" for number in range(count)]
        specs = [RouteSpec(model=name, versions={"1.0.0": SPEC}, target=Target(version="1.0.0")) for name in names]
        routes = [Route(name=one.model, generation=1, created_at=NOW, spec=one) for one in specs]
        rows = Counted(Wanted(model=name, ref=SPEC.ref("1.0.0"), index=0, source="d") for name in names)
        wanted_instances(routes, {}, NOW, existing=rows)
        return rows.reads

    assert reads(1) == reads(30)
