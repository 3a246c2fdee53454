"""Where the pods of a model are, with an API server that may refuse some lists."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fairlead import errors
from fairlead.cli.pool_check import RIGHTS, found_by, told
from fairlead.store.kubernetes.kinds import Kind, Object

LABELS = {"fairlead.dev/model": "iris", "fairlead.dev/version": "1.0.0"}
GPU = "nvidia.com/gpu"


class Cluster:
    """An API server with objects by plural, and the lists that it refuses: a plural, or a plural of all namespaces."""

    def __init__(self, *refuses: str, **objects: list[Object]) -> None:
        self.objects, self.refuses = objects, refuses

    def list_whole(
        self, kind: Kind, namespace: str, selector: str = "", *, fields: str = "", page: int = 50
    ) -> Iterator[Object]:
        if kind.plural in self.refuses or (not namespace and f"all {kind.plural}" in self.refuses):
            raise errors.Refused(f"API server: {kind.plural} is forbidden")
        only_placed = "spec.nodeName!=" in fields
        yield from (one for one in self.objects.get(kind.plural, ()) if not only_placed or one["spec"].get("nodeName"))


def pod(name: str, node: str = "", gpus: int = 1, **metadata: Any) -> Object:
    spec: Object = {"containers": [{"resources": {"requests": {GPU: str(gpus)}}}]}
    message = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
    return {
        "metadata": {"name": name, "labels": LABELS, **metadata},
        "spec": {**spec, **({"nodeName": node} if node else {})},
        "status": {"conditions": [message]},
    }


NODE: Object = {"metadata": {"name": "n"}, "spec": {}, "status": {"allocatable": {GPU: "2", "pods": "9"}}}


def test_nothing_is_asked_of_the_cluster_while_every_pod_has_a_node() -> None:
    found = found_by(Cluster("nodes", "all pods", pods=[pod("a", "n")]), "prod", "iris")
    assert ([one.node for one in found.places], found.waiting, found.offers) == (["n"], [], ())


def test_a_waiting_pod_gets_the_sentence_and_the_table() -> None:
    found = found_by(Cluster(pods=[pod("a", "n", 2), pod("b")], nodes=[NODE]), "prod", "iris")
    assert [(one.pod, one.cause) for one in found.waiting] == [("b", "notFree")]
    assert [one.to_json()["free"] for one in found.offers] == [{GPU: 0}]


def test_the_status_of_a_model_has_one_sentence_for_pods_that_wait_for_the_same_reason() -> None:
    found = told(Cluster(pods=[pod("a", "n", 2), pod("b"), pod("c")], nodes=[NODE]), "prod", "iris")
    assert found == [
        f"iris 1.0.0 waits for a node: it asks for 1 {GPU}, and no node with the right labels and taints has so much "
        f"free: the most is 0 {GPU}, on n; wait for an autoscaler, add nodes, or stop something else; a higher "
        "PriorityClass takes its place"
    ]


@pytest.mark.parametrize("cluster", [Cluster("nodes", pods=[pod("b")]), Cluster(), Cluster(pods=[pod("a", "n")])])
def test_the_status_says_nothing_of_nodes_where_nothing_waits_or_nobody_may_know(cluster: Cluster) -> None:
    assert told(cluster, "prod", "iris") == []


def test_what_the_scheduler_says_is_repeated_where_the_three_rules_allow_a_node() -> None:
    [waiting] = found_by(Cluster(pods=[pod("b")], nodes=[NODE]), "prod", "iris").waiting
    assert waiting.why == "labels, taints and resources allow n; the scheduler says: 0/1 nodes are available"


def test_without_the_right_to_all_pods_it_says_that_it_does_not_know_what_is_free() -> None:
    [waiting] = found_by(Cluster("all pods", pods=[pod("b")], nodes=[NODE]), "prod", "iris").waiting
    assert "what is free on them is not known" in waiting.why


def test_without_the_right_to_nodes_the_role_is_named() -> None:
    with pytest.raises(errors.Refused, match="you may not list the nodes of this cluster") as refused:
        found_by(Cluster("nodes", pods=[pod("b")]), "prod", "iris")
    assert refused.value.hint == RIGHTS


def test_without_the_right_to_deployments_the_pods_are_shown_all_the_same() -> None:
    assert found_by(Cluster("deployments", pods=[pod("a", "n")]), "prod", "iris").places


def test_pods_that_cannot_be_created_are_a_line_of_their_own() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: gpus"}
    deployment = {"metadata": {"name": "iris-x", "labels": LABELS}, "status": {"conditions": [failure]}}
    [waiting] = found_by(Cluster(deployments=[deployment]), "prod", "iris").waiting
    assert (waiting.pod, waiting.why) == ("", "its pods cannot be created: exceeded quota: gpus")


def test_pods_that_are_being_deleted_wait_for_nothing() -> None:
    cluster = Cluster(pods=[pod("a", "n"), pod("b", deletionTimestamp="2026-01-01T00:00:00Z")])
    assert found_by(cluster, "prod", "iris").waiting == []
