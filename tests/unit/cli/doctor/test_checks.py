"""Single checks with made-up clusters. tests/integration/kubernetes/test_doctor.py has a real one."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.cli.doctor import installation, network, platform, pods, quotas, references, rights, scaling
from fairlead.cli.doctor.cluster import CHECKS
from fairlead.cli.doctor.finding import Level
from fairlead.contracts import labels
from fairlead.store.kubernetes.kinds import Object
from fairlead.store.kubernetes.schema.definitions import definitions
from unit.cli.doctor.fake_cluster import NOW, FakeCluster, a_version, found_by, said_by

ROLES = yaml.safe_load((Path(__file__).parents[4] / "charts/platform/files/roles.yaml").read_text())
PAGE = Path(__file__).parents[4] / "docs/doctor.md"
VERSION, KINDS, POLICIES = installation.CHECKS
ONE_PLATFORM, LEADER, OUR_CLOCK, *_ = platform.CHECKS
ENOUGH, *_ = pods.CHECKS
QUOTAS, LIMITS = quotas.CHECKS
KEDA, HPA = scaling.CHECKS
[ENFORCED] = network.CHECKS
SECRETS, *_ = references.CHECKS


def test_the_page_lists_every_check_in_their_order() -> None:
    _, _, table = PAGE.read_text().partition("| check | also finds |")
    rows = table.split("\n\n")[0].splitlines()[2:]
    assert [row.split("|")[1].strip() for row in rows] == [one.title for one in CHECKS]


def test_what_may_not_be_read_is_never_ok_and_the_right_is_named() -> None:
    [found] = found_by(FakeCluster("resourcequotas"), QUOTAS)
    assert found.level is Level.NOT_CHECKED
    assert found.what.endswith(": needs the right to list resourcequotas in namespace prod")


def test_a_check_keeps_what_it_found_before_it_was_refused() -> None:
    cluster = FakeCluster("scaledobjects", answers={"/apis": {"groups": [{"name": "keda.sh"}]}}, deployments=[])
    assert [one.level for one in found_by(cluster, KEDA)] == [Level.NOT_CHECKED]


@pytest.mark.parametrize(("version", "level"), [("v1.30.3", "problem"), ("v1.31.0", "ok"), ("v1.37.1-gke.1", "ok")])
def test_an_old_kubernetes_is_a_problem(version: str, level: str) -> None:
    [found] = found_by(FakeCluster(answers={"/version": {"gitVersion": version}}), VERSION)
    assert found.level == level


def published(*without: str) -> Object:
    kinds = {one["spec"]["names"]["kind"]: one["spec"]["versions"][0]["schema"] for one in definitions()}
    schemas = {
        kind: {**schema["openAPIV3Schema"], "x-kubernetes-group-version-kind": [{"kind": kind}]}
        for kind, schema in kinds.items()
        if kind not in without
    }
    return {"/openapi/v3/apis/fairlead.dev/v1alpha1": {"components": {"schemas": schemas}}}


def test_kinds_that_are_missing_are_named_and_those_of_this_release_are_ok() -> None:
    assert [one.level for one in found_by(FakeCluster(answers=published()), KINDS)] == [Level.OK]
    said = said_by(FakeCluster(answers=published("ModelRouteAction")), KINDS)
    assert said == ["problem: the cluster has no kind ModelRouteAction"]
    [found] = found_by(FakeCluster(), KINDS)
    assert found.what.startswith("the cluster has no kind ModelRoute and no ")


def test_a_policy_that_was_left_out_is_a_warning() -> None:
    names = ["fairlead-people", "fairlead-fencing", "fairlead-lease"]
    there = [{"metadata": {"name": one}} for one in names]
    bound = [{"metadata": {"name": one}, "spec": {"policyName": one, "validationActions": ["Deny"]}} for one in names]
    cluster = FakeCluster(validatingadmissionpolicies=there, validatingadmissionpolicybindings=bound)
    assert said_by(cluster, POLICIES) == ["warning: the admission policy fairlead-control-plane is missing"]


def test_a_namespace_without_a_platform_says_so_once() -> None:
    cluster = FakeCluster(deployments=[], leases=[], services=[])
    said = [line for one in platform.CHECKS for line in said_by(cluster, one)]
    assert [one for one in said if not one.startswith("ok")] == [
        "problem: no control plane is installed in namespace prod, and none of another namespace serves it"
    ]


def test_the_clock_of_this_machine_is_compared_with_the_api_servers() -> None:
    cluster = FakeCluster()
    assert [one.level for one in found_by(cluster, OUR_CLOCK)] == [Level.OK]
    cluster.server_time = NOW - timedelta(minutes=2)
    [found] = found_by(cluster, OUR_CLOCK)
    assert found.what == "the clock of this machine is 120 s ahead of the API server's"


def test_the_rights_that_are_asked_for_are_those_of_the_charts_role() -> None:
    def pairs(rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
        return {
            (group, resource, verb)
            for rule in rules
            for group in rule["apiGroups"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    def asked(*those: rights.Right) -> set[tuple[str, str, str]]:
        return {(one.group, resource, verb) for one in those for resource in one.resources for verb in one.verbs}

    assert asked(*rights.RIGHTS) == pairs(ROLES["controlPlane"])
    assert asked(*rights.OWN_NAMESPACE) == pairs(ROLES["ownNamespace"])
    assert asked(*rights.FURTHER_NAMESPACE) == pairs(ROLES["furtherNamespace"])
    assert asked(rights.OF_SCALED_OBJECTS) == pairs(ROLES["scaledObjects"])


def waiting_pod() -> Object:
    conditions = [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]
    return {
        "metadata": {"name": "iris-1", "labels": {labels.MODEL: "iris"}},
        "spec": {"containers": [{}], "nodeSelector": {"pool": "gpu"}},
        "status": {"phase": "Pending", "conditions": conditions},
    }


def test_a_pod_that_waits_is_told_by_the_nodes_or_in_the_schedulers_words() -> None:
    node = {"metadata": {"name": "n"}, "spec": {}, "status": {"allocatable": {"pods": "9"}}}
    both = FakeCluster(nodes=[node], deployments=[a_version(ready=0)], pods=[waiting_pod()])
    start = "problem: iris 1.0.0: 0 of 1 pods are ready: no node "
    [line] = said_by(both, ENOUGH)
    assert line == start + "has pool=gpu; none of these nodes has that label"
    both.refuses = ("nodes",)
    [line] = said_by(both, ENOUGH)
    assert line == start + "runs it: 0/1 nodes are available"


def test_a_pod_that_cannot_be_created_is_told_in_the_words_of_the_api_server() -> None:
    refused = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: gpus"}
    one = {**a_version(), "status": {"conditions": [refused]}}
    said = said_by(FakeCluster(deployments=[one], pods=[]), ENOUGH)
    assert said == ["problem: iris 1.0.0: its pods cannot be created: exceeded quota: gpus"]


def a_quota(hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any) -> Object:
    return {
        "metadata": {"name": "q"},
        "spec": {"hard": hard, **spec},
        "status": {"hard": hard, "used": used or dict.fromkeys(hard, "0")},
    }


ONLY_BATCH = [{"scopeName": "PriorityClass", "operator": "In", "values": ["batch"]}]
NOT_BATCH = [{**ONLY_BATCH[0], "operator": "NotIn"}]


@pytest.mark.parametrize(
    ("quota", "said"),
    [
        (a_quota({"requests.cpu": "4"}, {"requests.cpu": "3"}), None),
        (
            a_quota({"requests.cpu": "4"}, {"requests.cpu": "3500m"}),
            "requests.cpu: it needs 1 cpu, and 500m cpu is left",
        ),
        (
            a_quota({"memory": "2Gi"}, {"memory": "3Gi"}),
            "memory: it needs 1Gi of memory, and 0 bytes of memory is left",
        ),
        (a_quota({"limits.cpu": "4"}), "the quota is on limits.cpu, and the pod says none"),
        (a_quota({"count/secrets": "1"}, {"count/secrets": "1"}), None),
        (a_quota({"requests.nvidia.com/gpu": "0"}), None),
        (a_quota({"pods": "0"}, scopeSelector={"matchExpressions": ONLY_BATCH}), None),
        (
            a_quota({"pods": "0"}, scopeSelector={"matchExpressions": NOT_BATCH}),
            "pods: it needs 1 pods, and 0 pods is left",
        ),
        (a_quota({"pods": "0"}, scopes=["Terminating"]), None),
        (
            a_quota({"pods": "0"}, scopes=["NotTerminating", "NotBestEffort"]),
            "pods: it needs 1 pods, and 0 pods is left",
        ),
        (a_quota({"pods": "0"}, scopes=["BestEffort"]), None),
    ],
)
def test_a_quota_is_reported_if_the_next_pod_does_not_fit(quota: Object, said: str | None) -> None:
    cluster = FakeCluster(deployments=[a_version()], resourcequotas=[quota], limitranges=[])
    expected = (
        f"warning: the ResourceQuota q refuses the next pod of iris 1.0.0: {said}" if said else f"ok: {QUOTAS.title}"
    )
    assert said_by(cluster, QUOTAS) == [expected]


def test_what_a_limit_range_fills_in_need_not_be_said_by_the_pod() -> None:
    fills = {"metadata": {"name": "l"}, "spec": {"limits": [{"type": "Container", "default": {"cpu": "2"}}]}}
    quota = a_quota({"limits.cpu": "4"})
    cluster = FakeCluster(deployments=[a_version()], resourcequotas=[quota], limitranges=[fills])
    assert said_by(cluster, QUOTAS) == [f"ok: {QUOTAS.title}"]


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ({"type": "Container", "min": {"cpu": "2"}}, "its container model must ask for 2 cpu, and asks for 1 cpu"),
        ({"type": "Pod", "min": {"cpu": "2"}}, "a pod must ask for 2 cpu, and asks for 1 cpu"),
        ({"type": "Container", "min": {"cpu": "1"}}, None),
        ({"type": "PersistentVolumeClaim", "min": {"cpu": "2"}}, None),
    ],
)
def test_a_limit_range_is_reported_if_it_refuses_the_pod(limit: Object, said: str | None) -> None:
    found = {"metadata": {"name": "l"}, "spec": {"limits": [limit]}}
    cluster = FakeCluster(deployments=[a_version()], limitranges=[found])
    expected = (
        f"problem: the LimitRange l refuses the next pod of iris 1.0.0: {said}" if said else f"ok: {LIMITS.title}"
    )
    assert said_by(cluster, LIMITS) == [expected]


def test_optional_references_may_be_missing_and_secrets_are_not_read_if_nothing_names_one() -> None:
    container = {"name": "model", "envFrom": [{"secretRef": {"name": "a", "optional": True}}]}
    cluster = FakeCluster("secrets", deployments=[a_version(containers=[container])])
    assert said_by(cluster, SECRETS) == [f"ok: {SECRETS.title}"]


@pytest.mark.parametrize(
    "spec",
    [
        {"volumes": [{"name": "v", "secret": {"secretName": "a"}}]},
        {"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "a"}}]}}]},
        {"imagePullSecrets": [{"name": "a"}]},
        {"initContainers": [{"name": "i", "env": [{"name": "E", "valueFrom": {"secretKeyRef": {"name": "a"}}}]}]},
    ],
)
def test_every_way_to_name_a_secret_is_known(spec: dict[str, Any]) -> None:
    [line] = said_by(FakeCluster(deployments=[a_version(**spec)], secrets=[]), SECRETS)
    assert "name the Secret a, which does not exist" in line


def test_without_keda_one_line_names_every_version_that_it_should_scale() -> None:
    asked = [a_version(scaled_by="keda"), a_version(scaled_by="keda")]
    said = said_by(FakeCluster(deployments=asked), KEDA)
    assert said == ["problem: KEDA is not installed, and it should scale iris 1.0.0, iris 1.0.0"]


@pytest.mark.parametrize(("age", "told"), [(10, False), (120, True)])
def test_a_scaled_object_that_no_operator_looks_at_is_a_problem_after_a_minute(age: int, told: bool) -> None:
    one = {
        "metadata": {
            "name": "iris-0123456789",
            "labels": a_version()["metadata"]["labels"],
            "creationTimestamp": (NOW - timedelta(seconds=age)).isoformat(),
        },
        "spec": {"scaleTargetRef": {"name": "iris-0123456789"}},
    }
    groups = {"/apis": {"groups": [{"name": "keda.sh"}]}}
    cluster = FakeCluster(answers=groups, deployments=[a_version(scaled_by="keda")], scaledobjects=[one])
    line = "problem: no KEDA operator has looked at the ScaledObject of iris 1.0.0" if told else f"ok: {KEDA.title}"
    assert said_by(cluster, KEDA) == [line]


def test_a_version_that_an_autoscaler_should_scale_needs_one() -> None:
    cluster = FakeCluster(deployments=[a_version(scaled_by="hpa")], horizontalpodautoscalers=[])
    assert said_by(cluster, HPA) == ["problem: iris 1.0.0 has no HorizontalPodAutoscaler, and one should scale it"]


def test_an_autoscaler_of_no_pods_is_meant_to_be_off() -> None:
    off = {"type": "ScalingActive", "status": "False", "reason": "ScalingDisabled", "message": "0 replicas"}
    one = {"metadata": {"name": "iris"}, "spec": {}, "status": {"conditions": [off]}}
    assert said_by(FakeCluster(deployments=[], horizontalpodautoscalers=[one]), HPA) == [f"ok: {HPA.title}"]


POLICY = {"metadata": {"name": "p"}}


def test_a_plugin_is_known_by_its_api_group_or_by_its_daemon_set() -> None:
    by_group = FakeCluster(
        "daemonsets", answers={"/apis": {"groups": [{"name": "cilium.io"}]}}, networkpolicies=[POLICY]
    )
    assert said_by(by_group, ENFORCED) == [f"ok: {ENFORCED.title}"]
    by_agent = FakeCluster(networkpolicies=[POLICY], daemonsets=[{"metadata": {"name": "kube-router"}}])
    assert said_by(by_agent, ENFORCED) == [f"ok: {ENFORCED.title}"]
    neither = FakeCluster("daemonsets", networkpolicies=[POLICY])
    [line] = said_by(neither, ENFORCED)
    assert line.endswith("and it needs the right to list daemonsets in the whole cluster")


@pytest.mark.parametrize(
    ("name", "value", "is_paused"), [("", "true", True), ("-replicas", "2", True), ("", "false", False)]
)
def test_both_annotations_that_pause_are_known(name: str, value: str, is_paused: bool) -> None:
    names = a_version()["metadata"]["labels"]
    annotations = {f"autoscaling.keda.sh/paused{name}": value}
    metadata = {"name": "iris", "labels": names, "annotations": annotations, "creationTimestamp": NOW.isoformat()}
    one = {"metadata": metadata, "spec": {"scaleTargetRef": {"name": "iris-0123456789"}}}
    groups = {"/apis": {"groups": [{"name": "keda.sh"}]}}
    cluster = FakeCluster(answers=groups, deployments=[a_version(scaled_by="keda")], scaledobjects=[one])
    line = "warning: the ScaledObject of iris 1.0.0 is paused" if is_paused else f"ok: {KEDA.title}"
    assert said_by(cluster, KEDA) == [line]


FURTHER = rights.CHECKS[1]


def a_control_plane(namespaces: str) -> Object:
    """The Deployment of a control plane that serves these namespaces too."""
    env = [{"name": "FAIRLEAD_NAMESPACES", "value": namespaces}]
    ours = {labels.COMPONENT: labels.COMPONENT_CONTROL_PLANE, labels.INSTANCE: "fairlead"}
    pod = {"serviceAccountName": "fairlead-control-plane", "containers": [{"name": "c", "env": env}]}
    return {"metadata": {"name": "fairlead-control-plane", "labels": ours}, "spec": {"template": {"spec": pod}}}


def reviews(namespace: str, *, allowed: bool) -> dict[str, Object]:
    path = f"/apis/authorization.k8s.io/v1/namespaces/{namespace}/localsubjectaccessreviews"
    return {path: {"status": {"allowed": allowed}}}


def test_a_further_namespace_that_the_control_plane_may_not_read_is_one_line() -> None:
    answers = reviews("team-a", allowed=True) | reviews("team-b", allowed=False)
    cluster = FakeCluster(answers=answers, deployments=[a_control_plane("team-a,team-b,absent")])
    said = "problem: the control plane fairlead-control-plane may not read the namespace {}, which it is to serve"
    assert said_by(cluster, FURTHER) == [said.format("team-b"), said.format("absent")]


def a_lease(platform: str = "", release: str = "fairlead") -> Object:
    metadata: Object = {"name": "l", "creationTimestamp": NOW.isoformat(), "labels": {labels.INSTANCE: release}}
    metadata["labels"] |= {labels.PLATFORM: platform} if platform else {}
    return {"metadata": metadata, "spec": {"holderIdentity": "pod-0", "renewTime": NOW.isoformat()}}


def test_a_namespace_that_another_ones_platform_serves_is_in_order() -> None:
    cluster = FakeCluster(deployments=[], leases=[a_lease("serving")], services=[])
    said = [line for one in platform.CHECKS for line in said_by(cluster, one)]
    assert [one for one in said if not one.startswith("ok")] == []


def test_a_platform_of_another_namespace_that_does_not_lead_is_told_with_its_namespace() -> None:
    cluster = FakeCluster(deployments=[], leases=[a_lease("serving")])
    cluster.server_time = NOW + timedelta(minutes=2)
    [found] = found_by(cluster, LEADER)
    assert found.do == "read why: kubectl logs deployment/fairlead-control-plane --namespace serving"


def test_a_namespace_with_a_platform_of_its_own_and_another_ones_is_a_problem() -> None:
    cluster = FakeCluster(deployments=[a_control_plane("")], leases=[a_lease("serving")])
    assert said_by(cluster, ONE_PLATFORM) == [
        "problem: namespace prod has a platform, and that of namespace serving serves it too"
    ]


def an_account(platform: str) -> Object:
    names = {labels.INSTANCE: "fairlead", labels.PLATFORM: platform}
    return {"metadata": {"name": "a", "labels": {**names, labels.COMPONENT: labels.COMPONENT_CONTROL_PLANE}}}


def test_two_platforms_that_list_a_namespace_are_a_problem_also_before_one_has_a_lease() -> None:
    accounts = [an_account("serving"), an_account("other")]
    cluster = FakeCluster(deployments=[], leases=[a_lease("serving")], serviceaccounts=accounts)
    assert said_by(cluster, ONE_PLATFORM) == [
        "problem: 2 platforms serve namespace prod: fairlead of namespace other, fairlead of namespace serving"
    ]


def test_who_may_not_list_accounts_is_told_what_the_leases_say() -> None:
    leases = [a_lease("serving"), a_lease("serving", "second")]
    said = "problem: 2 platforms serve namespace prod: fairlead of namespace serving, second of namespace serving"
    assert said_by(FakeCluster("serviceaccounts", deployments=[], leases=leases), ONE_PLATFORM) == [said]


def test_the_lease_of_another_ones_platform_is_told_with_that_ones_pod_also_beside_a_platform_here() -> None:
    here = {**a_control_plane(""), "status": {"readyReplicas": 1}}
    here["metadata"]["name"] = "mine-control-plane"
    cluster = FakeCluster(deployments=[here], leases=[a_lease("serving", "theirs")])
    cluster.server_time = NOW + timedelta(minutes=2)
    assert [one.do for one in found_by(cluster, LEADER)] == [
        "read why: kubectl logs deployment/theirs-control-plane --namespace serving",
        "read why: kubectl logs deployment/mine-control-plane --namespace prod",
    ]
