"""The number of a version's pods, where the chart leaves it to the control plane."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

import pytest

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.route import Route, RouteSpec, Target, VersionSpec
from fairlead.contracts.status import WantedInstances
from fairlead.store.kubernetes import KubernetesStore
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, EVENTS, ROUTES, Kind, Object
from unit.store.builders import NOW

VERSION = VersionSpec(image="iris:1")
REF = VERSION.ref("1.0.0")
NAME = labels.version_name("iris", REF)
ROUTE = Route(
    name="iris",
    generation=4,
    created_at=NOW,
    spec=RouteSpec(model="iris", versions={"1.0.0": VERSION}, target=Target(version="1.0.0")),
)


@dataclass
class Server(Api):
    """An API server with one Deployment and one route. A patch fails with `error`, if there is one."""

    replicas: int = 2
    generation: int = 4
    metadata: dict[str, Any] = field(default_factory=dict)
    scaled_by: str = labels.SCALED_BY_CONTROL_PLANE
    error: errors.FairleadError | None = None
    patches: list[Object] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        if kind is ROUTES:
            return {"metadata": {"name": "iris", "generation": self.generation, "resourceVersion": "3"}}
        names = {labels.MODEL: "iris", labels.ROUTE: "iris", labels.SCALED_BY: self.scaled_by}
        metadata = {"name": NAME, "labels": names, "resourceVersion": "7", **self.metadata}
        return {"metadata": metadata, "spec": {"replicas": self.replicas}}

    def patch(self, kind: Kind, namespace: str, name: str, body: Object, *, part: str = "") -> Object:
        assert (kind, name) == (DEPLOYMENTS, NAME)
        self.patches.append(body)
        if self.error is not None:
            raise self.error
        return self.get(kind, namespace, name)

    def create(self, kind: Kind, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        assert kind is EVENTS
        self.events.append(f"{body['reason']}: {body['message']}")
        return body


def scale(server: Server, count: int, reason: str = "it serves all requests", **store: Any) -> None:
    store_of(server, **store).scale(ROUTE, [WantedInstances(ref=REF, instances=count, reason=reason)])


def store_of(server: Server, **store: Any) -> KubernetesStore:
    return KubernetesStore(server, "prod", informed=False, **store)


def test_a_version_that_is_needed_no_longer_is_scaled_to_0_and_an_event_says_why() -> None:
    server = Server()
    scale(server, 0, "it neither serves nor may be gone back to")
    assert server.patches == [{"metadata": {"resourceVersion": "7"}, "spec": {"replicas": 0}}]
    assert server.events == ["ScaledDown: 1.0.0 scaled to 0: it neither serves nor may be gone back to"]


def test_a_version_that_is_needed_is_scaled_up() -> None:
    server = Server(replicas=0)
    scale(server, 3)
    assert [one["spec"] for one in server.patches] == [{"replicas": 3}]
    assert server.events == ["ScaledUp: 1.0.0 scaled to 3: it serves all requests"]


def test_a_number_that_is_right_is_not_written() -> None:
    server = Server(replicas=3)
    scale(server, 3)
    assert server.patches == []


@pytest.mark.parametrize(
    "server",
    [
        Server(scaled_by=""),
        Server(scaled_by="somebody"),
        Server(metadata={"labels": {labels.SCALED_BY: labels.SCALED_BY_CONTROL_PLANE, labels.ROUTE: "another"}}),
        Server(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}),
    ],
)
def test_only_a_deployment_that_the_chart_leaves_to_the_control_plane_is_scaled(server: Server) -> None:
    scale(server, 0)
    assert server.patches == []


def test_fewer_pods_are_written_only_for_the_spec_that_was_decided_on() -> None:
    server = Server(generation=5)
    scale(server, 0)
    assert server.patches == []
    scale(server, 3)
    assert [one["spec"] for one in server.patches] == [{"replicas": 3}]


def test_a_write_that_another_one_overtook_is_tried_again_at_the_next_tick() -> None:
    server = Server(error=errors.Conflict("the object has been modified"))
    scale(server, 0)
    server.error = None
    scale(server, 0)
    assert (len(server.patches), len(server.events)) == (2, 1)


def test_a_write_that_is_refused_stops_nothing_and_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """An older charts/crds has a policy that lets the control plane change owners only."""
    server = Server(error=errors.Refused("API server: the control plane may change nothing but the owners"))
    store, one = store_of(server), WantedInstances(ref=REF, instances=0, reason="idle")
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            store.scale(ROUTE, [one])
    assert [record.message for record in caplog.records] == [
        f"{NAME} could not be scaled to 0: API server: the control plane may change nothing but the owners"
    ]


class NotLeading:
    def token(self) -> int:
        raise errors.Conflict("this replica does not lead")


def test_a_replica_that_does_not_lead_scales_nothing() -> None:
    server = Server()
    with pytest.raises(errors.Conflict, match="does not lead"):
        scale(server, 0, fence=NotLeading())
    assert server.patches == []
