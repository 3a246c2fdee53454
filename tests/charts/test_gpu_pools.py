"""workload.gpu: what a pool gives the pods, which nodes they may run on, and what is refused with what to write."""

from __future__ import annotations

import random
import re
from typing import Any

import jsonschema
import pytest
import yaml

from charts.sample import DIGEST, IRIS, with_version, with_workload
from charts.schemas import VERSIONS, complaints
from fairlead.placement.explain import explain
from fairlead.placement.nodes import nodes_of
from fairlead.placement.wishes import wishes_of
from support.gpu_fleets import CLOUDS, GPU, Request, allowed, machines, node, requests
from support.helm import CHARTS, ROOT, HelmFailed, Object, container_of, notes, pod_of, render

POOLS = CHARTS / "model/pools"
REQUESTS = 48
MACHINES = 60


PAGE = (ROOT / "docs/gpu-pools.md").read_text()


@pytest.mark.parametrize("text", re.findall(r"```yaml\n# gpu-[\w-]+\.yaml\n(.*?)```", PAGE, re.DOTALL))
def test_the_files_of_the_page_render_to_objects_that_kubernetes_accepts(text: str) -> None:
    found = render("model", yaml.safe_load(text)).installed()
    assert [error for each in found for error in complaints(each, VERSIONS[-1])] == []


def test_the_page_says_of_every_pool_what_it_has() -> None:
    rows = {cells[0].strip("`"): cells[2:] for cells in table(PAGE, "| `pool` | selects by |")}
    assert rows.keys() == CLOUDS.keys()
    for name, (memory, _, capacity, pool) in rows.items():
        known = CLOUDS[name]
        expected = ["yes" if one else "no" for one in (known.has_memory, known.has_spot, known.has_pool)]
        assert [memory, capacity, pool] == expected, name


def table(page: str, head: str) -> list[list[str]]:
    """The cells of the table that begins with this line."""
    _, _, rest = page.partition(head)
    lines = rest.split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def with_gpu(**gpu: Any) -> dict[str, Any]:
    return with_workload(gpu=gpu)


def pods(wanted: list[Request]) -> list[Object]:
    """The pod of each request: one chart with a version for each."""
    versions = {
        f"1.{n}.0": {"image": {"digest": DIGEST}, "overrides": {"gpu": one.values()}} for n, one in enumerate(wanted)
    }
    found = render("model", {"model": "iris", "target": "1.0.0", "versions": versions}).of("Deployment")
    by_version = {one["metadata"]["labels"]["fairlead.dev/version"]: pod_of(one) for one in found}
    return [by_version[version] for version in versions]


@pytest.mark.parametrize("cloud", CLOUDS)
def test_a_pod_may_run_on_the_nodes_that_are_what_it_asks_for_and_on_no_others(cloud: str) -> None:
    draw = random.Random(f"pools of {cloud}")
    fleet = machines(draw, cloud, MACHINES)
    wanted = requests(draw, cloud, fleet, REQUESTS)
    names = [f"n{index}" for index in range(MACHINES)]
    nodes = nodes_of([node(one, name) for one, name in zip(fleet, names, strict=True)], [])
    placed = 0
    for one, pod in zip(wanted, pods(wanted), strict=True):
        found = explain(wishes_of(pod), nodes)
        expected = {name for machine, name in zip(fleet, names, strict=True) if allowed(one, machine)}
        assert set(found.fits) == expected, (one, found.why)
        placed += bool(expected)
    assert placed > REQUESTS / 3


def test_every_pool_is_tested_and_its_data_is_what_the_values_allow() -> None:
    files = {path.stem: yaml.safe_load(path.read_text()) for path in POOLS.glob("*.yaml")}
    assert files.keys() == CLOUDS.keys()
    whole = yaml.safe_load((CHARTS / "model/values.schema.json").read_text())
    schema = {"$ref": "#/$defs/gpuPool", "$defs": whole["$defs"]}
    for data in files.values():
        assert data.pop("extends", "gfd") in files
        jsonschema.validate(data, schema)


def test_a_pod_with_a_gpu_asks_for_it_once_and_runs_its_model_there() -> None:
    values = with_workload(gpu={"pool": "gke", "product": "l4"}, initContainers=[{"name": "first", "image": "a"}])
    for deployment in render("model", values).of("Deployment"):
        model = container_of(deployment)
        environment = {one["name"]: one.get("value") for one in model["env"]}
        assert model["resources"]["limits"] == {"cpu": "1", "memory": "512Mi", GPU: 1}
        assert environment["FAIRLEAD_SERVING_DEVICE"] == "cuda"
        assert environment["NVIDIA_DRIVER_CAPABILITIES"] == "compute,utility"
        assert all(GPU not in str(one) for one in pod_of(deployment)["initContainers"])


def test_on_demand_on_gke_is_neither_spot_nor_preemptible() -> None:
    values = with_workload(gpu={"pool": "gke", "product": "l4", "capacity": "on-demand"})
    asked = str(pod_of(render("model", values).of("Deployment")[0])["affinity"])
    for label in ("spot", "preemptible"):
        assert f"'key': 'cloud.google.com/gke-{label}', 'operator': 'DoesNotExist'" in asked


def test_the_device_and_the_shared_memory_of_the_user_win() -> None:
    gpu = {"pool": "gfd", "count": 4}
    chosen = render("model", with_workload(gpu=gpu, serving={"device": "auto"}, sharedMemory="8Gi")).of("Deployment")[0]
    usual = render("model", with_workload(gpu=gpu)).of("Deployment")[0]

    def sizes(deployment: Object) -> list[str]:
        return [one["emptyDir"]["sizeLimit"] for one in pod_of(deployment)["volumes"] if one["name"] == "shared-memory"]

    assert {"name": "FAIRLEAD_SERVING_DEVICE", "value": "auto"} in container_of(chosen)["env"]
    assert (sizes(chosen), sizes(usual)) == (["8Gi"], ["1Gi"])
    assert not sizes(render("model", with_gpu(pool="gfd")).of("Deployment")[0])


def test_the_security_of_a_pod_is_the_same_with_a_gpu() -> None:
    with_one, without = (render("model", values).of("Deployment")[0] for values in (with_gpu(pool="aks"), IRIS))
    assert pod_of(with_one)["securityContext"] == pod_of(without)["securityContext"]
    assert container_of(with_one)["securityContext"] == container_of(without)["securityContext"]


def test_the_affinity_of_the_user_keeps_its_alternatives_and_each_gets_the_requirements_of_the_pool() -> None:
    ours = {"key": "disk", "operator": "In", "values": ["ssd"]}
    name = "requiredDuringSchedulingIgnoredDuringExecution"
    affinity = {
        "nodeAffinity": {
            name: {"nodeSelectorTerms": [{"matchExpressions": [ours]}, {"matchFields": [{**ours, "key": "x"}]}]}
        },
        "podAntiAffinity": {name: []},
    }
    tolerations = [{"key": "team", "operator": "Exists"}]
    values = with_workload(gpu={"pool": "eks-managed", "nodePool": "gpu"}, affinity=affinity, tolerations=tolerations)
    found = pod_of(render("model", values).of("Deployment")[0])
    pool = {"key": "eks.amazonaws.com/nodegroup", "operator": "In", "values": ["gpu"]}
    first, second = found["affinity"]["nodeAffinity"][name]["nodeSelectorTerms"]
    whole, *rest = second["matchExpressions"]
    assert (whole["key"], rest) == ("node.kubernetes.io/instance-type", [pool])
    assert first == {"matchExpressions": [ours, whole, pool]}
    assert second["matchFields"] == [{**ours, "key": "x"}]
    assert found["affinity"]["podAntiAffinity"] == {name: []}
    assert tolerations[0] in found["tolerations"]


def test_one_version_may_have_another_gpu_than_the_others() -> None:
    version = {"image": {"digest": DIGEST}, "overrides": {"gpu": {"product": "h100", "count": 2}}}
    values = {**with_version("1.2.0", version), "workload": {"gpu": {"pool": "gke", "product": "l4"}}}
    counts = {
        one["metadata"]["labels"]["fairlead.dev/version"]: container_of(one)["resources"]["limits"][GPU]
        for one in render("model", values).of("Deployment")
    }
    assert counts == {"1.0.0": 1, "1.1.0": 1, "1.2.0": 2}


def test_custom_data_changes_a_pool_key_by_key() -> None:
    custom = {
        "runtimeClass": "nvidia",
        "product": {"values": {"rtx6000": ["NVIDIA-RTX-6000-Ada-Generation"]}},
        "slices": {"time-sliced": {"resource": "nvidia.com/gpu.shared"}},
    }
    found = render("model", with_gpu(pool="gfd", product="rtx6000", slice="time-sliced", custom=custom)).of(
        "Deployment"
    )[0]
    assert container_of(found)["resources"]["limits"]["nvidia.com/gpu.shared"] == 1
    assert pod_of(found)["runtimeClassName"] == "nvidia"
    assert "NVIDIA-RTX-6000-Ada-Generation-SHARED" in str(pod_of(found)["affinity"])
    assert "time-slicing" in str(pod_of(found)["affinity"])


def test_the_runtime_class_is_that_of_the_workload_before_that_of_the_gpu_before_that_of_the_pool() -> None:
    pool = {"pool": "gfd", "custom": {"runtimeClass": "of-the-pool"}}
    for wanted, gpu, workload in (
        ("of-the-pool", pool, {}),
        ("of-the-gpu", {**pool, "runtimeClass": "of-the-gpu"}, {}),
        ("of-the-pod", {**pool, "runtimeClass": "of-the-gpu"}, {"runtimeClassName": "of-the-pod"}),
    ):
        for one in render("model", with_workload(gpu=gpu, **workload)).of("Deployment"):
            assert pod_of(one)["runtimeClassName"] == wanted


def test_a_pool_of_another_vendor_is_all_custom() -> None:
    custom = {"resource": "amd.com/gpu", "tolerations": [{"key": "amd.com/gpu", "operator": "Exists"}]}
    found = render("model", with_gpu(pool="custom", custom=custom)).of("Deployment")[0]
    assert container_of(found)["resources"]["limits"]["amd.com/gpu"] == 1
    assert pod_of(found)["tolerations"] == custom["tolerations"]
    assert "NVIDIA" not in str(container_of(found)["env"])


def test_the_notes_name_the_command_that_says_why_a_pod_waits() -> None:
    command = "fairlead check-pool iris --namespace default"
    assert command in notes("model", with_gpu(pool="gke"))
    assert command not in notes("model", IRIS)


@pytest.mark.parametrize(
    ("gpu", "complaint"),
    [
        ({"pool": "gcp"}, r'workload\.gpu\.pool: "gcp" is not a pool; write one of aks, eks-auto, .*, custom'),
        (
            {"product": "l4"},
            r"workload\.gpu\.product: is set, but workload\.gpu\.pool is empty.*; set pool to one of aks",
        ),
        ({"count": 2}, r"workload\.gpu\.count: is 2, but workload\.gpu\.pool is empty"),
        (
            {"pool": "gke", "product": "l5"},
            r'product: "l5" is not known in the pool gke; write one of a100-40gb, .*, t4',
        ),
        (
            {"pool": "gke", "memory": "40Gi"},
            r"memory: nodes of the pool gke have no label with the memory.*gpu\.product",
        ),
        ({"pool": "gfd", "memory": 24}, r"memory: 24 is less than one GiB; write .* with its unit, such as 24Gi"),
        (
            {"pool": "eks-managed", "slice": "mps"},
            r"slice: the pool eks-managed has no slices of the kind mps \(it has: none",
        ),
        ({"pool": "aks", "slice": "time-sliced"}, r"no slices of the kind time-sliced \(it has: mig\)"),
        ({"pool": "gke", "slice": "1g.5gb", "count": 2}, r"count: is 2, but a pod gets one slice.*; set count to 1"),
        (
            {"pool": "gke", "product": "l4", "slice": "1g.10gb"},
            r"slice: no l4 can be divided by MIG .*; write slice: time-",
        ),
        (
            {"pool": "gke", "slice": "half"},
            r'slice: "half" is not a slice of a GPU; write time-sliced, mps, or a MIG profile',
        ),
        (
            {"pool": "gfd", "capacity": "spot"},
            r"capacity: the pool gfd does not tell spot nodes from others; remove it",
        ),
        ({"pool": "openshift", "nodePool": "a"}, r"nodePool: nodes of the pool openshift have no label.*nodeSelector"),
        ({"pool": "custom"}, r"custom: is empty, but the pool is custom; say how its nodes are labelled"),
        ({"pool": "gke", "capacity": "preemptible"}, r"at '/workload/gpu/capacity': value must be one of"),
        ({"pool": "gke", "count": 0}, r"at '/workload/gpu/count': minimum"),
        ({"pool": "gke", "custom": {"slice": {}}}, r"at '/workload/gpu/custom': additional properties 'slice'"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write(gpu: dict[str, Any], complaint: str) -> None:
    with pytest.raises(HelmFailed, match=complaint):
        render("model", with_gpu(**gpu))


def test_a_gpu_that_is_also_among_the_resources_is_refused() -> None:
    with pytest.raises(HelmFailed, match=r"asks for nvidia\.com/gpu, and so does resources\.limits; remove it there"):
        render("model", with_workload(gpu={"pool": "gke"}, resources={"limits": {GPU: 1}}))


def test_a_message_names_the_values_of_the_version_that_are_wrong() -> None:
    version = {"image": {"digest": DIGEST}, "overrides": {"gpu": {"pool": "gcp"}}}
    with pytest.raises(HelmFailed, match=r'versions\.1\.2\.0\.overrides\.gpu\.pool: "gcp" is not a pool'):
        render("model", with_version("1.2.0", version))


def claims(values: dict[str, Any]) -> dict[str, Object]:
    """What each ResourceClaimTemplate asks for, by its name."""
    found = render("model", values).of("ResourceClaimTemplate")
    assert [error for each in found for error in complaints(each, VERSIONS[-1])] == []
    return {one["metadata"]["name"]: one["spec"]["spec"]["devices"]["requests"][0]["exactly"] for one in found}


def test_with_mode_dra_a_pod_claims_its_gpu_and_asks_for_no_resource() -> None:
    values = with_gpu(pool="gfd", mode="dra", product="l4", memory="22Gi", count=2)
    [(name, asked)] = claims(values).items()
    assert (asked["deviceClassName"], asked["count"]) == ("gpu.nvidia.com", 2)
    assert [one["cel"]["expression"] for one in asked["selectors"]] == [
        "device.attributes['gpu.nvidia.com'].productName.replace(' ', '-') in [\"NVIDIA-L4\"]",
        "device.capacity['gpu.nvidia.com'].memory.compareTo(quantity('22Gi')) >= 0",
    ]
    for deployment in render("model", values).of("Deployment"):
        resources = container_of(deployment)["resources"]
        assert pod_of(deployment)["resourceClaims"] == [{"name": "gpu", "resourceClaimTemplateName": name}]
        assert (resources["claims"], GPU in resources["limits"]) == ([{"name": "gpu"}], False)
        assert "affinity" not in pod_of(deployment), "labels of the device plugin are not asked about"
        assert complaints(deployment, VERSIONS[-1]) == []


def test_a_mig_profile_is_claimed_of_its_own_class() -> None:
    [asked] = claims(with_gpu(pool="aks", mode="dra", slice="1g.10gb")).values()
    assert asked["deviceClassName"] == "mig.nvidia.com"
    assert asked["selectors"][0]["cel"]["expression"] == "device.attributes['gpu.nvidia.com'].profile == '1g.10gb'"


def test_labels_of_the_node_still_choose_its_pool_and_capacity_with_mode_dra() -> None:
    gpu = {"pool": "gke", "mode": "dra", "product": "l4", "capacity": "spot", "nodePool": "a"}
    pod = pod_of(render("model", with_gpu(**gpu)).of("Deployment")[0])
    keys = re.findall(r"cloud.google.com/[\w-]+", str(pod["affinity"]))
    assert set(keys) == {f"cloud.google.com/gke-{one}" for one in ("accelerator", "nodepool", "spot")}


def test_versions_with_the_same_wish_share_a_template_and_another_wish_is_another_name() -> None:
    gpu = {"pool": "gfd", "mode": "dra", "product": "l4"}
    other = {"image": {"digest": DIGEST}, "overrides": {"gpu": {"product": "h100"}}}
    one, both = claims(with_gpu(**gpu)), claims({**with_version("1.2.0", other), "workload": {"gpu": gpu}})
    assert (len(one), len(both)) == (1, 2)
    assert one.keys() < both.keys()


def test_the_notes_say_what_dra_cannot_do_yet() -> None:
    said = notes("model", with_gpu(pool="gfd", mode="dra"))
    assert all(one in said for one in ("does not preempt", "Karpenter ignores claims", "has no nvidia.com/gpu"))
    assert "dynamic resource allocation" not in notes("model", with_gpu(pool="gfd"))


@pytest.mark.parametrize(
    ("gpu", "complaint"),
    [
        ({"slice": "mps"}, r"gpu\.slice: is mps, which NVIDIA's DRA driver shares only by settings that may"),
        ({"product": "l5"}, r'gpu\.product: "l5" is not known with mode dra; write one of a10, '),
        ({"product": "l4", "slice": "1g.10gb"}, r"slice: no l4 can be divided by MIG"),
        ({"slice": "1g.10gb", "count": 2}, r"count: is 2, but a pod gets one slice"),
        ({"memory": 24}, r"memory: 24 is less than one GiB"),
        ({"mode": "cdi"}, r"at '/workload/gpu/mode': value must be one of"),
    ],
)
def test_what_cannot_be_claimed_is_refused_with_what_to_write(gpu: dict[str, Any], complaint: str) -> None:
    with pytest.raises(HelmFailed, match=complaint):
        render("model", with_gpu(**{"pool": "gfd", "mode": "dra", **gpu}))


def test_a_cluster_before_1_34_has_no_claims() -> None:
    with pytest.raises(HelmFailed, match=r"mode: is dra, which needs Kubernetes 1\.34, and the cluster has v1\.33"):
        render("model", with_gpu(pool="gfd", mode="dra"), more=("--kube-version", "1.33.0"))
