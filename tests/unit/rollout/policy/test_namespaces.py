"""Instances of a model of the same name in another namespace are another route's."""

from __future__ import annotations

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
