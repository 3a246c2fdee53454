"""k8s/fleet and k8s/teams on a real API server: it takes every object, and pods land on the nodes of their pools.

The nodes are simulated. They are labelled as GKE, EKS, AKS, OpenShift and GPU Feature Discovery label them, and stand
beside nodes of the same clouds on which no pod of the fleet may run.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.contracts import labels
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import DEVICE_CLASSES, NODES, PODS, ROUTES, Kind
from support import teams as teams_files
from support.cluster.fake_nodes import fake_node
from support.cluster.kubectl import Client, CommandFailed
from support.cluster.lifecycle import Cluster
from support.fleet import ENVIRONMENTS, Place, places, rendered, values_of
from support.gpu_fleets import CLOUDS, Machine, Request, allowed, node
from support.helm import CHARTS, Object
from support.processes import ProcessFailed, wait_until

SLICES = Kind("/apis/resource.k8s.io/v1", "resourceslices", "ResourceSlice")
DRIVER, AMD = "gpu.nvidia.com", "amd.com/gpu"
NOT_HERE = ("HTTPRoute", "PodMonitor")
"""Kinds whose definitions this cluster does not have."""
KEDA = Path(__file__).parents[2] / "charts/keda_scaledobjects.yaml"
ROOM = {"cpu": "512", "memory": "4Ti"}


@dataclass
class Applied:
    """One environment, applied: its models, the namespace of each team, and the nodes with GPUs."""

    models: list[Place]
    namespaces: dict[str, str]
    machines: dict[str, Machine]

    def pods(self, api: Api) -> dict[Place, dict[str, list[Object]]]:
        """By model and version."""
        found: dict[Place, dict[str, list[Object]]] = {one: {} for one in self.models}
        for one in self.models:
            selector = f"{labels.MODEL}={one.name}"
            for pod in api.list_whole(PODS, self.namespaces[one.team], selector, page=500):
                found[one].setdefault(pod["metadata"]["labels"][labels.VERSION], []).append(pod)
        return found


@pytest.fixture(scope="module")
def equipped(prepared: Cluster, api: Api) -> Iterator[Cluster]:
    """The cluster with what a fleet needs of it: KEDA's kinds, classes of priority, of containers and of devices."""
    classes = ("--set", "priorityClasses=true", "--show-only", "templates/priority-classes.yaml")
    objects = [
        *yaml.safe_load_all(prepared.client().helm("template", "crds", str(CHARTS / "crds"), *classes)),
        yaml.safe_load(KEDA.read_text()),
        {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": "nvidia"}, "handler": "nvidia"},
        {
            "apiVersion": DEVICE_CLASSES.api_version,
            "kind": DEVICE_CLASSES.kind,
            "metadata": {"name": DRIVER},
            "spec": {"selectors": [{"cel": {"expression": f"device.driver == '{DRIVER}'"}}]},
        },
    ]
    prepared.client().apply(*[one for one in objects if one])
    prepared.client().wait("crd", "scaledobjects.keda.sh", lambda one: "Established" in json.dumps(one), "there")
    yield prepared
    for kind, name in (("runtimeclass", "nvidia"), ("deviceclass", DRIVER), ("crd", "scaledobjects.keda.sh")):
        prepared.client()("delete", kind, name)


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def applied(request: pytest.FixtureRequest, equipped: Cluster, api: Api) -> Iterator[Applied]:
    environment, run = str(request.param), uuid.uuid4().hex[:6]
    chosen = [one for one in places() if one.environment == environment]
    namespaces = {one.team: f"{one.team}-{environment}-{run}" for one in chosen}
    machines = {f"{run}-{number}": one for number, one in enumerate(_machines(chosen))}
    restricted = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    for name in namespaces.values():
        api.request("POST", "/api/v1/namespaces", body={"metadata": {"name": name, "labels": restricted}})
    for one in _nodes(run, machines):
        api.create(NODES, "", one)
    api.create(SLICES, "", _slice(f"{run}-dra"))
    equipped.client(namespaces["clinic"]).apply(*_atlas(namespaces["clinic"]))
    wait_until(lambda: all(_has_account(api, one) for one in namespaces.values()), "the namespaces have accounts")
    objects = {team: _objects(chosen, team, namespace) for team, namespace in namespaces.items()}
    for team, found in objects.items():
        client = equipped.client(namespaces[team])
        client("apply", "--server-side", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(found))
    yield Applied([one for one in chosen if not one.is_platform], namespaces, machines)
    # What belongs to no namespace, and the port of the nodes, which only one Service may have.
    for team, found in objects.items():
        left = [
            one for one in found if "namespace" not in one["metadata"] or one.get("spec", {}).get("type") == "NodePort"
        ]
        equipped.client(namespaces[team])("delete", "--wait=false", "-f", "-", stdin=yaml.safe_dump_all(left))
    equipped.client()("delete", "--wait=false", "pv", f"atlas-{namespaces['clinic']}")
    for name in namespaces.values():
        api.request("DELETE", f"/api/v1/namespaces/{name}")
    for name in (*machines, *(f"{run}-{kind}" for kind in ("cpu-a", "cpu-b", "cpu-c", "amd", "dra"))):
        api.delete(NODES, "", name)
    api.delete(SLICES, "", f"{run}-dra")


@pytest.fixture
def teams(equipped: Cluster, api: Api) -> Iterator[dict[str, Client]]:
    """k8s/teams, applied as its page says: a client for each namespace, with all rights."""
    names = [one["metadata"]["name"] for one in teams_files.namespaces()]
    clients = {name: equipped.client(name) for name in names}
    for one in teams_files.namespaces():
        api.request("POST", "/api/v1/namespaces", body=one)
    wait_until(lambda: all(_has_account(api, one) for one in names), "the namespaces have accounts")
    objects = [one for found in teams_files.rendered().values() for one in found.installed()]
    for name, client in clients.items():
        theirs = [one for one in objects if one["metadata"].get("namespace", teams_files.PLATFORM) == name]
        client("apply", "--server-side", "--validate=strict", "-f", "-", stdin=yaml.safe_dump_all(theirs))
    yield clients
    tokens = f"fairlead:{teams_files.PLATFORM}:fairlead:gateway-tokens"
    for kind in ("clusterrole", "clusterrolebinding"):
        equipped.client()("delete", kind, tokens)
    for name in names:
        api.request("DELETE", f"/api/v1/namespaces/{name}")


def test_one_platform_for_two_teams_gives_each_its_rights_and_its_quota_and_pods_of_both_are_created(
    teams: dict[str, Client], equipped: Cluster, api: Api
) -> None:
    account = f"--as=system:serviceaccount:{teams_files.PLATFORM}:fairlead-control-plane"

    def may(where: str, *words: str) -> bool:
        with suppress(CommandFailed):
            return teams[where]("auth", "can-i", *words).strip() == "yes"
        return False

    for team, model in (("pricing", "discounts"), ("support", "ticket-router")):
        assert api.get(ROUTES, team, model)["spec"]["target"]["version"]
        assert may(team, "create", "modelrouterevisions.fairlead.dev", account)
        assert not may(team, "get", "secrets", account)
        used = f"fairlead-quota.{teams_files.PLATFORM}"
        selector = f"{labels.MODEL}={model}"
        wait_until(lambda: any(api.list_whole(PODS, team, selector)), f"pods of {model}", within=60, every=0.5)  # noqa: B023
        quota = teams[team].get("resourcequota", used)
        assert int(quota["status"]["hard"]["pods"]) == {"pricing": 20, "support": 8}[team]
    person = equipped.client_of("a-person-of-pricing", ["pricing"])
    patch = json.dumps({"spec": {"idempotent": False}})

    def released(where: str, model: str) -> str:
        try:
            return replace(person, namespace=where)("patch", "modelroute", model, "--type=merge", "--patch", patch)
        except CommandFailed as refused:
            return str(refused)

    wait_until(lambda: "patched" in released("pricing", "discounts"), "the team may release its own model")
    assert "Forbidden" in released("support", "ticket-router")


def _objects(chosen: list[Place], team: str, namespace: str) -> list[Object]:
    """What the charts render for a team, in that namespace."""
    found = [one for place in chosen if place.team == team for one in rendered(place, namespace).installed()]
    return [one for one in found if one["kind"] not in NOT_HERE]


def test_every_route_is_stored_as_the_chart_renders_it(applied: Applied, api: Api) -> None:
    for one in applied.models:
        stored = api.get(ROUTES, applied.namespaces[one.team], one.name)["spec"]
        spec = rendered(one).one("ModelRoute")["spec"]
        assert (stored["target"], stored["versions"].keys()) == (spec["target"], spec["versions"].keys())


def test_every_pod_lands_on_a_node_of_its_pool_and_no_other(applied: Applied, api: Api) -> None:
    with suppress(ProcessFailed):  # the assertion says more
        wait_until(lambda: not _waiting(applied, api), "every pod has a node", within=100, every=0.5)
    assert _waiting(applied, api) == []
    for place, versions in applied.pods(api).items():
        for pod in (one for pods in versions.values() for one in pods):
            _check(place, str(pod["spec"]["nodeName"]), applied.machines)


def _waiting(applied: Applied, api: Api) -> list[str]:
    """The versions that have no pods yet, and the pods without a node, with what the scheduler says."""
    found = applied.pods(api)
    missing = [
        f"{one} {version} has no pod" for one in found for version in values_of(one)["versions"].keys() - found[one]
    ]
    pods = [(one, pod) for one, versions in found.items() for pods in versions.values() for pod in pods]
    return missing + [f"{one}: {_scheduler_says(pod)}" for one, pod in pods if not pod["spec"].get("nodeName")]


def _scheduler_says(pod: Object) -> str:
    conditions = pod.get("status", {}).get("conditions", [])
    return next((str(one.get("message")) for one in conditions if one["type"] == "PodScheduled"), "nothing yet")


def _check(place: Place, where: str, machines: dict[str, Machine]) -> None:
    gpu, workload = _gpu(place), values_of(place).get("workload", {})
    if gpu.get("mode") == "dra" or gpu.get("pool") == "custom":
        assert where.endswith("-dra" if gpu.get("mode") == "dra" else "-amd"), f"{place} is on {where}"
    elif gpu.get("pool"):
        assert where in machines, f"{place} is on {where}"
        assert allowed(_request(gpu), machines[where]), f"{place} is on {where}: {machines[where]}"
    else:
        assert where not in machines, f"{place} needs no GPU and is on {where}"
        if "karpenter.sh/nodepool" in workload.get("nodeSelector", {}):
            assert where.endswith("-cpu-a")


def _gpu(place: Place) -> dict[str, Any]:
    found: dict[str, Any] = values_of(place).get("workload", {}).get("gpu", {})
    return found


def _request(gpu: dict[str, Any]) -> Request:
    memory = str(gpu.get("memory", "")).removesuffix("Gi")
    return Request(
        cloud=gpu["pool"],
        count=gpu.get("count", 1),
        product=gpu.get("product", ""),
        memory_gib=int(memory or 0),
        slice=gpu.get("slice", ""),
        capacity=gpu.get("capacity", ""),
        pool=gpu.get("nodePool", ""),
        zones=tuple(gpu.get("zones", ())),
    )


def _machines(chosen: list[Place]) -> Iterator[Machine]:
    """For each request a machine that suits it, and three that differ in one thing each."""
    for place in chosen:
        gpu = {} if place.is_platform else _gpu(place)
        if gpu.get("pool", "") in ("", "custom") or gpu.get("mode") == "dra":
            continue
        wanted, cloud = _request(gpu), CLOUDS[gpu["pool"]]
        [product, *_] = [one for one in cloud.products if wanted.product in ("", one.name)]
        [other, *_] = [one for one in cloud.products if one.name != product.name]
        suits = Machine(
            wanted.cloud,
            product,
            devices=16,
            slice=wanted.slice,
            spot=wanted.capacity == "spot",
            pool=wanted.pool or "gpu",
            zone=(wanted.zones or ("a",))[0],
        )
        assert allowed(wanted, suits)
        differ = [
            replace(suits, product=other),
            replace(suits, reserved=True),
            replace(suits, slice="" if wanted.slice else next(iter(cloud.slices), ""), zone="elsewhere"),
        ]
        yield suits
        yield from (one for one in differ if not allowed(wanted, one))


def _nodes(run: str, machines: dict[str, Machine]) -> Iterator[Object]:
    for zone in "abc":
        where = {"topology.kubernetes.io/zone": zone}
        pool = {"karpenter.sh/nodepool": "general"} if zone == "a" else {}
        yield fake_node(f"{run}-cpu-{zone}", labels={**where, **pool}, capacity=ROOM, tainted=False)
    amd = fake_node(f"{run}-amd", labels={f"{AMD}.product-name": "x"}, capacity={**ROOM, AMD: "8"}, tainted=False)
    amd["spec"]["taints"] = [{"key": AMD, "effect": "NoSchedule"}]
    dra = fake_node(f"{run}-dra", capacity=ROOM, tainted=False)
    dra["spec"]["taints"] = [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]
    yield from (amd, dra)
    for name, machine in machines.items():
        found = node(machine, name)
        for part in ("allocatable", "capacity"):
            found["status"][part] |= ROOM
        yield found


def _slice(name: str) -> Object:
    """Eight devices of 80 GiB on that node, as NVIDIA's driver publishes them."""
    attributes = {"type": {"string": "gpu"}, "productName": {"string": "NVIDIA A100-SXM4-80GB"}}
    device = {"attributes": attributes, "capacity": {"memory": {"value": "80Gi"}}}
    devices = [{"name": f"gpu-{number}", **device} for number in range(8)]
    pool = {"name": name, "generation": 1, "resourceSliceCount": 1}
    return {"metadata": {"name": name}, "spec": {"driver": DRIVER, "nodeName": name, "pool": pool, "devices": devices}}


def _atlas(namespace: str) -> Iterator[Object]:
    """The volume that one model mounts, and its claim."""
    size = {"storage": "1Gi"}
    modes, name = ["ReadOnlyMany"], f"atlas-{namespace}"
    yield {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "accessModes": modes,
            "capacity": size,
            "nfs": {"server": "files.clinic.example.com", "path": "/atlas"},
            "claimRef": {"namespace": namespace, "name": "atlas"},
        },
    }
    yield {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "atlas", "namespace": namespace},
        "spec": {"accessModes": modes, "resources": {"requests": size}, "volumeName": name, "storageClassName": ""},
    }


def _has_account(api: Api, namespace: str) -> bool:
    return bool(api.request("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts").get("items"))
