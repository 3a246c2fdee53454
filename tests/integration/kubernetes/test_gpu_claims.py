"""GPUs by dynamic resource allocation on a real API server, with its real scheduler and claim controller.

Class and devices are objects as NVIDIA's driver publishes them; the driver itself is not here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.cli.pool_check import Found, found_by
from fairlead.placement.explain import Cause
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import CLAIMS, DEVICE_CLASSES, NODES, PODS, Kind
from support.cluster.fake_nodes import fake_node
from support.cluster.lifecycle import Cluster
from support.processes import wait_until

CHART = Path(__file__).parents[3] / "charts/model"
SLICES = Kind("/apis/resource.k8s.io/v1", "resourceslices", "ResourceSlice")
DRIVER = "gpu.nvidia.com"
GPU = {"pool": "gfd", "mode": "dra", "product": "a100-80gb"}
WISHES: dict[str, dict[str, Any]] = {
    "1.0.0": {"memory": "70Gi"},
    "1.1.0": {"product": "h100"},
    "1.2.0": {"slice": "1g.10gb"},
}


def device(name: str, kind: str, memory: str, **attributes: str) -> dict[str, Any]:
    strings = {"type": kind, "productName": "NVIDIA A100-SXM4-80GB", **attributes}
    written = {key: {"string": value} for key, value in strings.items()}
    return {"name": name, "attributes": written, "capacity": {"memory": {"value": memory}}}


@pytest.fixture
def devices(api: Api, namespace: str) -> Iterator[str]:
    """A node with an A100, and another one that is divided. Its classes are those of the driver."""
    node = f"{namespace}-a100"
    for name, kind in (("gpu.nvidia.com", "gpu"), ("mig.nvidia.com", "mig")):
        expression = f"device.driver == '{DRIVER}' && device.attributes['{DRIVER}'].type == '{kind}'"
        api.create(
            DEVICE_CLASSES,
            "",
            {"metadata": {"name": name}, "spec": {"selectors": [{"cel": {"expression": expression}}]}},
        )
    api.create(NODES, "", fake_node(node, tainted=False))
    mig = [device(f"mig-{number}", "mig", "9728Mi", profile="1g.10gb") for number in range(2)]
    spec = {
        "driver": DRIVER,
        "nodeName": node,
        "pool": {"name": node, "generation": 1, "resourceSliceCount": 1},
        "devices": [device("gpu-0", "gpu", "80Gi"), *mig],
    }
    api.create(SLICES, "", {"metadata": {"name": node}, "spec": spec})
    yield node
    api.delete(SLICES, "", node)
    api.delete(NODES, "", node)
    for name in ("gpu.nvidia.com", "mig.nvidia.com"):
        if any(one["metadata"]["name"] == name for one in api.list_whole(DEVICE_CLASSES, "")):
            api.delete(DEVICE_CLASSES, "", name)


def test_each_version_gets_a_device_that_is_what_it_asks_for_and_who_waits_is_told_why(
    prepared: Cluster, api: Api, namespace: str, devices: str, tmp_path: Path
) -> None:
    versions = {
        name: {"image": {"tag": name}, "overrides": {"gpu": wish}, "artifact": ""} for name, wish in WISHES.items()
    }
    values = {"model": "iris", "target": "1.0.0", "versions": versions, "workload": {"instances": 1, "gpu": GPU}}
    file = tmp_path / "values.json"
    file.write_text(json.dumps(values))
    prepared.client(namespace).helm("install", "iris", str(CHART), "--values", str(file))

    wait_until(lambda: len(api.list(PODS, namespace)[0]) == len(WISHES), "the pods are created")

    def settled() -> Found | None:
        found = found_by(api, namespace, "iris")
        places = {one.version: one for one in found.places}
        is_so = places.keys() == WISHES.keys() and all(places[name].node for name in ("1.0.0", "1.2.0"))
        return found if is_so and places["1.1.0"].cause == Cause.CLAIM else None

    wait_until(lambda: settled() is not None, "two versions have a node")
    found = settled()
    assert found is not None
    assert {one.version: one.node for one in found.places} == {"1.0.0": devices, "1.1.0": "", "1.2.0": devices}
    [waiting] = found.waiting
    assert "no free device of the class gpu.nvidia.com is what it asks for" in waiting.why
    allocated = [
        result["device"]
        for claim in api.list_whole(CLAIMS, namespace)
        for result in (claim.get("status", {}).get("allocation") or {}).get("devices", {}).get("results", ())
    ]
    assert sorted(one.partition("-")[0] for one in allocated) == ["gpu", "mig"]

    api.delete(DEVICE_CLASSES, "", "gpu.nvidia.com")
    [waiting] = found_by(api, namespace, "iris").waiting
    assert waiting.why == "its claim gpu asks for the DeviceClass gpu.nvidia.com, which does not exist"
    prepared.client(namespace).helm("uninstall", "iris")
