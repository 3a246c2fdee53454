"""GPU pools on a real API server with the real scheduler: why pods wait, and whose place they take.

tests/benchmarks/gpu_pools.py shows where they land.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead import errors
from fairlead.cli.pool_check import RIGHTS, found_by
from fairlead.placement.explain import Cause
from fairlead.store.kubernetes import kubeconfig
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, NODES, PODS, Kind
from support.cluster.lifecycle import Cluster
from support.gpu_fleets import GPU, Machine, Product, Request, node
from support.gpu_placement import pods_of
from support.processes import wait_until

PAGE = Path(__file__).parents[3] / "docs/gpu-pools.md"
L4 = Product("l4", "nvidia-l4", 23034)
HERE = "test.fairlead.dev/here"
QUOTAS = Kind("/api/v1", "resourcequotas", "ResourceQuota")
CHART = Path(__file__).parents[3] / "charts/crds"


@pytest.fixture
def accounts(api: Api, namespace: str) -> str:
    """The namespace, with the ServiceAccount of the pods."""
    accounts = Kind("/api/v1", "serviceaccounts", "ServiceAccount")
    api.create(accounts, namespace, {"metadata": {"name": "iris"}})
    return namespace


@pytest.fixture
def l4_node(api: Api, namespace: str) -> Iterator[str]:
    """A GKE node with 2 L4, for this test only."""
    name = f"{namespace}-l4"
    api.create(NODES, "", node(Machine("gke", L4, 2), name, {HERE: namespace}))
    yield name
    api.delete(NODES, "", name)


def start(api: Api, namespace: str, name: str, request: Request, **more: Any) -> None:
    """Create a pod that the chart renders, on the nodes of this test only."""
    [spec] = pods_of([request], namespace)
    spec |= {"nodeSelector": {HERE: namespace}, **more}
    labels = {"fairlead.dev/model": "iris", "fairlead.dev/version": "1.0.0"}
    api.create(PODS, namespace, {"metadata": {"name": name, "labels": labels}, "spec": spec})


def node_of(api: Api, namespace: str, name: str) -> str:
    return str(api.get(PODS, namespace, name)["spec"].get("nodeName", ""))


def scheduler_says(api: Api, namespace: str, name: str) -> str:
    conditions = api.get(PODS, namespace, name).get("status", {}).get("conditions", [])
    return next((one.get("message", "") for one in conditions if one["type"] == "PodScheduled"), "")


def has_decided(api: Api, namespace: str, name: str) -> bool:
    return scheduler_says(api, namespace, name) != ""


def test_a_pod_with_a_wrong_name_waits_and_the_sentence_says_which_name_the_nodes_have(
    api: Api, accounts: str, l4_node: str
) -> None:
    start(api, accounts, "wrong", Request("gke", product="t4"))
    wait_until(lambda: scheduler_says(api, accounts, "wrong") != "", "the scheduler has decided")
    [place] = found_by(api, accounts, "iris").places
    assert (place.node, place.cause) == ("", Cause.LABELS)
    accelerator = "cloud.google.com/gke-accelerator"
    assert f"has {accelerator}=nvidia-tesla-t4; these nodes have" in place.why
    assert [one.devices for one in found_by(api, accounts, "iris").offers if l4_node in one.names] == [{GPU: 2}]


def test_a_pod_that_finds_no_free_gpu_waits_and_the_sentence_says_how_many_are_free(
    api: Api, accounts: str, l4_node: str
) -> None:
    start(api, accounts, "first", Request("gke", product="l4"))
    wait_until(lambda: node_of(api, accounts, "first") == l4_node, "the first pod has a node")
    start(api, accounts, "second", Request("gke", product="l4", count=2))
    wait_until(lambda: "Insufficient" in scheduler_says(api, accounts, "second"), "the scheduler has decided")
    found = found_by(api, accounts, "iris")
    assert {one.pod: one.node for one in found.places} == {"first": l4_node, "second": ""}
    [waiting] = found.waiting
    assert waiting.why.endswith(f"has so much free: the most is 1 {GPU}, on {l4_node}")


def test_pods_that_a_quota_forbids_are_told_although_there_is_no_pod(api: Api, accounts: str, l4_node: str) -> None:
    api.create(QUOTAS, accounts, {"metadata": {"name": "gpus"}, "spec": {"hard": {f"requests.{GPU}": "0"}}})
    wait_until(lambda: "hard" in api.get(QUOTAS, accounts, "gpus").get("status", {}), "the quota is counted")
    [spec] = pods_of([Request("gke", product="l4")], accounts)
    labels = {"fairlead.dev/model": "iris", "fairlead.dev/version": "1.0.0", "fairlead.dev/identity": "x"}
    template = {"metadata": {"labels": labels}, "spec": spec}
    body = {"metadata": {"name": "iris", "labels": labels}}
    api.create(DEPLOYMENTS, accounts, {**body, "spec": {"selector": {"matchLabels": labels}, "template": template}})
    wait_until(lambda: "ReplicaFailure" in json.dumps(api.list(DEPLOYMENTS, accounts)[0]), "the quota has refused")
    [place] = found_by(api, accounts, "iris").waiting
    assert place.pod == ""
    assert (
        "the ResourceQuota gpus is used up (requests.nvidia.com/gpu: 0 of 0 is used, and a pod asks for 1 more)"
        in place.why
    )


def test_a_model_without_pods_is_not_found(api: Api, namespace: str) -> None:
    with pytest.raises(errors.NotFound, match=f"iris has no pods in namespace {namespace}"):
        found_by(api, namespace, "iris")


def test_serving_takes_the_place_of_jobs_and_jobs_of_batch_and_batch_of_nobody(
    prepared: Cluster, api: Api, accounts: str, l4_node: str
) -> None:
    shown = ("--set", "priorityClasses=true", "--show-only", "templates/priority-classes.yaml")
    prepared.client()("apply", "-f", "-", stdin=prepared.client().helm("template", "crds", str(CHART), *shown))
    whole = Request("gke", product="l4", count=2)
    start(api, accounts, "batch", whole, priorityClassName="fairlead-batch")
    wait_until(lambda: node_of(api, accounts, "batch") == l4_node, "batch has the node")
    start(api, accounts, "jobs", whole, priorityClassName="fairlead-jobs")
    wait_until(lambda: node_of(api, accounts, "jobs") == l4_node, "jobs have its place")
    start(api, accounts, "serving", whole, priorityClassName="fairlead-serving")
    wait_until(lambda: node_of(api, accounts, "serving") == l4_node, "serving has its place")
    assert [one["metadata"]["name"] for one in api.list_whole(PODS, accounts)] == ["serving"]
    for lower in ("batch", "jobs"):
        start(api, accounts, lower, whole, priorityClassName=f"fairlead-{lower}")
        wait_until(partial(has_decided, api, accounts, lower), "the scheduler has decided")
        assert (node_of(api, accounts, "serving"), node_of(api, accounts, lower)) == (l4_node, "")


def test_the_role_of_the_page_is_enough_and_without_it_the_missing_right_is_named(
    prepared: Cluster, api: Api, accounts: str, l4_node: str
) -> None:
    [text] = [one for one in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL) if "ClusterRole" in one]
    client = prepared.client_of("pools-reader", namespace=accounts)
    theirs = Api(kubeconfig.load(environment={"KUBECONFIG": str(client.kubeconfig)}))
    start(api, accounts, "wrong", Request("gke", product="t4"))
    role, binding = yaml.safe_load_all(text)
    binding["subjects"] = [{"kind": "User", "name": "pools-reader", "apiGroup": "rbac.authorization.k8s.io"}]
    with pytest.raises(errors.Refused):
        found_by(theirs, accounts, "iris")
    prepared.client().apply(role, binding)
    wait_until(lambda: _may(theirs), "the role is in force")
    assert found_by(theirs, accounts, "iris").waiting[0].cause == Cause.LABELS
    prepared.client()("delete", "clusterrole", role["metadata"]["name"])
    nodes_only = {**role, "rules": [{**role["rules"][0], "resources": ["pods"]}]}
    prepared.client().apply(nodes_only)
    wait_until(lambda: not _may(theirs), "the right to nodes is gone")
    with pytest.raises(errors.Refused, match="you may not list the nodes of this cluster") as refused:
        found_by(theirs, accounts, "iris")
    assert refused.value.hint == RIGHTS
    theirs.close()


def _may(api: Api) -> bool:
    try:
        return bool(list(api.list_whole(NODES, "", page=500)))
    except errors.Refused:
        return False
