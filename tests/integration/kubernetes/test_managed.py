"""Versions whose pods the control plane scales (`autoscaling.kind: managed`), on a real API server with real Helm."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.contracts import labels
from fairlead.contracts.revision import Phase
from fairlead.contracts.route import RouteSpec, Step, Strategy, Target, VersionRef, VersionSpec
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, EVENTS
from integration.kubernetes.engine_harness import EngineHarness
from integration.kubernetes.versions import make_slice, make_version
from support.cluster.kubectl import Client, CommandFailed
from support.cluster.lifecycle import Cluster
from support.processes import wait_until

VERSIONS = {name: VersionSpec(image=f"registry/iris@sha256:{name}", instances=2) for name in ("1.0.0", "1.1.0")}
OLD, NEW = (spec.ref(name) for name, spec in VERSIONS.items())
WINDOW_S = 60


def a_spec(target: str) -> RouteSpec:
    strategy = Strategy(steps=(Step(weight=5000, min_duration=20),), rollback_window=WINDOW_S, min_requests=0)
    return RouteSpec(model="iris", versions=VERSIONS, target=Target(version=target), strategy=strategy)


class Managed:
    """An engine over two managed versions. Their pods are EndpointSlices, ready or not as the test says."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._api, self._namespace = api, namespace
        self.harness = EngineHarness(api, namespace)
        self.put("1.0.0")
        for ref in (OLD, NEW):
            make_version(api, namespace, ref, managed=True)
        wait_until(lambda: len(self.harness.store.wanted()) == 2, "the Deployments are known")
        make_slice(api, namespace, OLD, {"10.0.0.1": {"ready": True}, "10.0.0.2": {"ready": True}})
        wait_until(lambda: len(self.harness.store.instances()) == 2, "1.0.0 is ready")

    def put(self, target: str) -> None:
        self.harness.store.put_route("iris", a_spec(target), now=self.harness.now, actor="ada", reason="a test")

    def replicas(self, ref: VersionRef) -> int:
        found = self._api.get(DEPLOYMENTS, self._namespace, labels.version_name("iris", ref))
        return int(found["spec"]["replicas"])

    def go_on_until(self, holds: Callable[[], bool], what: str) -> None:
        for _ in range(60):
            if holds():
                return
            self.harness.go_on(5)
        raise AssertionError(f"never: {what}; {self.harness.object()['status']}")

    def told(self) -> list[str]:
        return [one["message"] for one in self._api.list(EVENTS, self._namespace)[0] if "scaled to" in one["message"]]


@pytest.fixture
def managed(api: Api, namespace: str) -> Iterator[Managed]:
    found = Managed(api, namespace)
    yield found
    found.harness.store.close()


def test_from_idle_to_serving_and_back(api: Api, namespace: str, managed: Managed) -> None:
    """One history: what is idle has no pods; a release starts them and waits; after the window the old ones end."""
    harness = managed.harness
    assert [managed.replicas(ref) for ref in (OLD, NEW)] == [1, 1], "the API server's default"
    managed.go_on_until(lambda: managed.replicas(NEW) == 0, "1.1.0 is idle")
    assert managed.replicas(OLD) == 2

    managed.put("1.1.0")
    harness.restart()
    managed.go_on_until(lambda: managed.replicas(NEW) == 2, "1.1.0 gets its pods")
    harness.go_on(30)
    head = harness.store.head("iris")
    assert head is not None
    assert (head.state.phase, head.table.weight) == (Phase.PREPARING, 0), "no weight before a pod is ready"
    make_slice(api, namespace, NEW, {"10.0.0.3": {"ready": True}, "10.0.0.4": {"ready": True}})
    wait_until(lambda: len(harness.store.instances()) == 4, "1.1.0 is ready")
    managed.go_on_until(lambda: stable(harness) == NEW, "1.1.0 is promoted")
    harness.go_on(WINDOW_S - 20)
    assert managed.replicas(OLD) == 2, "a rollback is possible"
    harness.restart()
    managed.go_on_until(lambda: managed.replicas(OLD) == 0, "the window is over")
    entry = next(one for one in harness.object()["status"]["wanted"] if one["ref"]["version"] == "1.0.0")
    assert entry["reason"] == "it neither serves nor may be gone back to"

    managed.put("1.0.0")
    managed.go_on_until(lambda: managed.replicas(OLD) == 2, "a release of 1.0.0 starts its pods again")
    managed.go_on_until(lambda: stable(harness) == OLD, "1.0.0 is promoted")
    assert managed.replicas(NEW) == 2
    assert "1.0.0 scaled to 0: it neither serves nor may be gone back to" in managed.told()
    assert harness.store.verify("iris") is None


def stable(harness: EngineHarness) -> VersionRef | None:
    head = harness.store.head("iris")
    return head.table.stable if head is not None else None


# Helm and the control plane: who owns `replicas`

CHART = Path(__file__).parents[3] / "charts" / "model"


class Release:
    """The chart's release of one model, and its one Deployment."""

    def __init__(self, cluster: Cluster, api: Api, namespace: str) -> None:
        self._helm: Client = cluster.client(namespace)
        self._api, self._namespace = api, namespace

    def upgrade(self, kind: str, *options: str, **workload: Any) -> None:
        version = {"image": {"digest": "sha256:" + "1" * 64}}
        values = {
            "versions": {"1.0.0": version},
            "target": "1.0.0",
            "workload": {"instances": 3, "autoscaling": {"kind": kind}, **workload},
        }
        self._helm.helm("upgrade", "--install", "iris", str(CHART), *self._set(values), *options)

    @staticmethod
    def _set(values: dict[str, Any]) -> list[str]:
        return [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]

    @property
    def deployment(self) -> dict[str, Any]:
        (found,) = self._api.list_whole(DEPLOYMENTS, self._namespace, labels.IDENTITY)
        return found

    @property
    def replicas(self) -> int:
        return int(self.deployment["spec"]["replicas"])

    def scale(self, count: int) -> None:
        """As the control plane does."""
        body = {"spec": {"replicas": count}}
        self._api.patch(DEPLOYMENTS, self._namespace, self.deployment["metadata"]["name"], body)


@pytest.fixture
def release(prepared: Cluster, api: Api, namespace: str) -> Release:
    return Release(prepared, api, namespace)


def test_an_upgrade_keeps_what_the_control_plane_has_scaled(release: Release) -> None:
    release.upgrade("managed")
    assert release.deployment["metadata"]["labels"][labels.SCALED_BY] == labels.SCALED_BY_CONTROL_PLANE
    release.scale(3)
    release.upgrade("managed", podAnnotations={"a": "b"})
    assert release.replicas == 3
    release.scale(0)
    release.upgrade("managed", podAnnotations={"a": "c"})
    assert release.replicas == 0


def test_a_version_that_the_chart_scaled_falls_to_one_pod_unless_somebody_else_scaled_it_before(
    release: Release,
) -> None:
    """So `managed` is not the default: an upgrade of the chart would take pods away from versions that serve."""
    release.upgrade("none")
    release.upgrade("managed")
    assert release.replicas == 1, "the chart owned the field, and the API server's default is 1"
    release.upgrade("none", "--force-conflicts")
    assert release.replicas == 3
    release.scale(4)
    release.upgrade("managed")
    assert release.replicas == 4


def test_the_chart_takes_a_managed_version_back_only_by_force(release: Release) -> None:
    release.upgrade("managed")
    release.scale(0)
    with pytest.raises(CommandFailed, match="conflict"):
        release.upgrade("none")
    release.upgrade("none", "--force-conflicts")
    assert release.replicas == 3
