"""charts/model: the pods of a version, where they get their model from, and what may connect to them."""

from __future__ import annotations

from typing import Any

import pytest

from charts.sample import ARTIFACT, FETCHED, IRIS, with_version, with_workload
from fairlead.contracts.route import RouteSpec
from fairlead.serving.settings import CALL_TIMEOUT, FAILURE_FILE, SERVED_AS
from support.helm import CHARTS, HelmFailed, container_of, pod_of, render


def test_pods_are_locked_down() -> None:
    for deployment in render("model", with_version("1.2.0", FETCHED)).of("Deployment"):
        pod = pod_of(deployment)
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in (*pod["containers"], *pod.get("initContainers", [])):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }


@pytest.mark.parametrize(
    ("drain", "grace", "sleep"),
    [({}, 45, 5), ({"preStopSeconds": 0}, 40, None), ({"requestSeconds": 300, "marginSeconds": 30}, 350, 5)],
)
def test_the_grace_period_of_a_pod_is_the_sum_of_its_drain_times(
    drain: dict[str, int], grace: int, sleep: int | None
) -> None:
    for deployment in render("model", with_workload(drain=drain)).of("Deployment"):
        environment = {one["name"]: one.get("value") for one in container_of(deployment)["env"]}
        assert pod_of(deployment)["terminationGracePeriodSeconds"] == grace
        lifecycle = container_of(deployment).get("lifecycle")
        assert lifecycle == (None if sleep is None else {"preStop": {"sleep": {"seconds": sleep}}})
        served = int(environment["FAIRLEAD_SERVING_DRAIN_S"]) + int(environment["FAIRLEAD_SERVING_FINISH_S"])
        assert served + (sleep or 0) < grace


def test_a_pod_gets_the_name_and_namespace_of_its_service() -> None:
    rendered = render("model", IRIS)
    services = {one["metadata"]["name"]: one["metadata"]["namespace"] for one in rendered.of("Service")}
    named = set()
    for deployment in rendered.of("Deployment"):
        environment = {one["name"]: one.get("value") for one in container_of(deployment)["env"]}
        name, _, namespace = str(environment[SERVED_AS]).partition(".")
        assert services[name] == namespace
        named.add(name)
    assert named == services.keys()
    assert len(named) > 1


def test_a_service_writes_why_its_model_cannot_be_served_where_the_kubelet_reads_it() -> None:
    for deployment in render("model", IRIS).of("Deployment"):
        container = container_of(deployment)
        environment = {one["name"]: one.get("value") for one in container["env"]}
        by_default = "/dev/termination-log"
        assert environment[FAILURE_FILE] == container.get("terminationMessagePath", by_default)


def test_init_containers_leave_why_they_failed_with_the_pod() -> None:
    fetcher = {"image": "example/aws-cli:2", "command": ["aws"]}
    source = {**FETCHED, "source": {"kind": "init", "uri": "s3://models/iris", "fetcher": fetcher}}
    rendered = render("model", with_version("1.2.0", source))
    pods = [pod_of(one) for one in rendered.of("Deployment")]
    [(download, unpack)] = [pod["initContainers"] for pod in pods if "initContainers" in pod]
    assert download["terminationMessagePolicy"] == "FallbackToLogsOnError"
    assert {"name": FAILURE_FILE, "value": "/dev/termination-log"} in unpack["env"]


@pytest.mark.parametrize(
    ("request_limit", "serving", "told"),
    [("60s", {}, None), ("2m", {}, "120"), ("2m", {"callTimeoutS": 300}, None)],
)
def test_a_call_may_take_as_long_as_a_request_of_the_route(
    request_limit: str, serving: dict[str, Any], told: str | None
) -> None:
    values = with_workload(serving=serving, drain={"requestSeconds": 300}) | {"timeouts": {"request": request_limit}}
    for deployment in render("model", values).of("Deployment"):
        environment = {one["name"]: one.get("value") for one in container_of(deployment)["env"]}
        assert environment.get(CALL_TIMEOUT) == told
        assert environment.get("FAIRLEAD_SERVING_CALL_TIMEOUT_S") == ("300" if serving else None)


@pytest.mark.parametrize(("budget", "period", "failures"), [(600, 2, 300), (10, 3, 4), (1, 60, 1)])
def test_the_startup_probe_allows_the_whole_startup_budget(budget: int, period: int, failures: int) -> None:
    for deployment in render("model", with_workload(startup={"budgetSeconds": budget, "periodSeconds": period})).of(
        "Deployment"
    ):
        probe = container_of(deployment)["startupProbe"]
        assert (probe["failureThreshold"], probe["periodSeconds"]) == (failures, period)
        assert probe["failureThreshold"] * probe["periodSeconds"] >= budget
        assert deployment["spec"]["progressDeadlineSeconds"] > budget


def test_large_numbers_reach_the_service_unchanged() -> None:
    rendered = render("model", with_workload(serving={"queueBytes": 268435456, "logLevel": "debug"}))
    environment = {one["name"]: one.get("value") for one in container_of(rendered.of("Deployment")[0])["env"]}
    assert environment["FAIRLEAD_SERVING_QUEUE_BYTES"] == "268435456"
    assert environment["FAIRLEAD_SERVING_LOG_LEVEL"] == "debug"


@pytest.mark.parametrize("kind", ["hpa", "external"])
def test_replicas_are_not_rendered_with_an_autoscaler(kind: str) -> None:
    rendered = render("model", with_workload(autoscaling={"kind": kind}))
    assert all("replicas" not in one["spec"] for one in rendered.of("Deployment"))
    assert len(rendered.of("HorizontalPodAutoscaler")) == (2 if kind == "hpa" else 0)


def test_a_disruption_budget_exists_only_if_there_can_be_several_pods() -> None:
    assert len(render("model", IRIS).of("PodDisruptionBudget")) == 2
    assert not render("model", with_workload(instances=1)).of("PodDisruptionBudget")
    fewest = render("model", with_workload(podDisruptionBudget={"minAvailable": 0})).of("PodDisruptionBudget")
    assert all(one["spec"]["minAvailable"] == 0 and "maxUnavailable" not in one["spec"] for one in fewest)


def test_the_overrides_of_one_version_may_be_false_or_zero() -> None:
    override = {
        "instances": 5,
        "drain": {"preStopSeconds": 0},
        "podDisruptionBudget": {"enabled": False},
        "resources": {"limits": {"nvidia.com/gpu": 1}},
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
    }
    version = {"image": {"digest": "sha256:" + "1" * 64}, "overrides": override}
    rendered = render("model", with_version("1.2.0", version))
    by_version = {one["metadata"]["labels"]["fairlead.dev/version"]: one for one in rendered.of("Deployment")}
    odd, usual = by_version["1.2.0"], by_version["1.1.0"]
    assert (odd["spec"]["replicas"], usual["spec"]["replicas"]) == (5, 2)
    assert "lifecycle" not in container_of(odd)
    assert "lifecycle" in container_of(usual)
    assert container_of(odd)["resources"]["limits"] == {"cpu": "1", "memory": "512Mi", "nvidia.com/gpu": 1}
    assert pod_of(odd)["tolerations"] == override["tolerations"]
    budgets = {one["metadata"]["labels"]["fairlead.dev/version"] for one in rendered.of("PodDisruptionBudget")}
    assert budgets == {"1.0.0", "1.1.0"}
    assert rendered.one("ModelRoute")["spec"]["versions"]["1.2.0"]["instances"] == 5


def test_sticky_null_is_written_to_the_route() -> None:
    spec = render("model", {**IRIS, "sticky": None}).one("ModelRoute")["spec"]
    assert spec["sticky"] is None
    assert RouteSpec.model_validate(spec).sticky is None


def test_labels_of_users_never_replace_those_that_the_platform_reads() -> None:
    theirs = {"fairlead.dev/model": "other", "app.kubernetes.io/component": "gateway", "team": "flowers"}
    rendered = render("model", {**with_workload(podLabels=theirs), "commonLabels": theirs})
    plain = render("model", IRIS)
    for one, same in zip(rendered.of("Deployment"), plain.of("Deployment"), strict=True):
        pod, usual = one["spec"]["template"]["metadata"]["labels"], same["spec"]["template"]["metadata"]["labels"]
        assert pod == {**usual, "team": "flowers"}
        assert one["metadata"]["labels"] == {**same["metadata"]["labels"], "team": "flowers"}


# fetching and network policies


def test_a_fetched_archive_is_verified_before_it_is_served() -> None:
    rendered = render("model", with_version("1.2.0", FETCHED))
    [deployment] = [one for one in rendered.of("Deployment") if "initContainers" in pod_of(one)]
    [unpack] = pod_of(deployment)["initContainers"]
    environment = {one["name"]: one["value"] for one in unpack["env"]}
    assert environment["FAIRLEAD_SOURCE"] == FETCHED["source"]["uri"]
    assert environment["FAIRLEAD_SHA256"] == ARTIFACT
    assert unpack["args"] == [(CHARTS / "model/files/fetch.py").read_text()]
    assert container_of(deployment)["args"] == ["serve", environment["FAIRLEAD_FOLDER"]]
    assert {"name": "fetched", "mountPath": "/fetched", "readOnly": True} in container_of(deployment)["volumeMounts"]


def test_the_archive_of_a_fetcher_is_verified_too() -> None:
    fetcher = {"image": "amazon/aws-cli:2", "args": ["s3", "cp", "$(FAIRLEAD_SOURCE)", "$(FAIRLEAD_ARCHIVE)"]}
    version = {"artifact": ARTIFACT, "source": {"kind": "init", "uri": "s3://bucket/iris.tar.gz", "fetcher": fetcher}}
    rendered = render("model", with_version("1.2.0", version))
    [deployment] = [one for one in rendered.of("Deployment") if "initContainers" in pod_of(one)]
    download, unpack = pod_of(deployment)["initContainers"]
    assert (download["image"], download["args"]) == (fetcher["image"], fetcher["args"])
    assert {"name": "FAIRLEAD_SOURCE", "value": ""} in unpack["env"]
    assert {"name": "FAIRLEAD_SHA256", "value": ARTIFACT} in unpack["env"]


def test_a_fetcher_sees_the_additional_volumes_such_as_a_claim_with_models() -> None:
    claim = {"name": "models", "persistentVolumeClaim": {"claimName": "models", "readOnly": True}}
    mount = {"name": "models", "mountPath": "/models", "readOnly": True}
    fetcher = {"image": "example/shell:1", "command": ["sh", "-c", 'cp "$FAIRLEAD_SOURCE" "$FAIRLEAD_ARCHIVE"']}
    source = {"kind": "init", "uri": "/models/iris-1.2.0.tar.gz", "fetcher": fetcher}
    workload = {"extraVolumes": [claim], "extraVolumeMounts": [mount]}
    rendered = render("model", with_version("1.2.0", {"artifact": ARTIFACT, "source": source, "overrides": workload}))
    [deployment] = [one for one in rendered.of("Deployment") if "initContainers" in pod_of(one)]
    download, unpack = pod_of(deployment)["initContainers"]
    assert claim in pod_of(deployment)["volumes"]
    assert mount in download["volumeMounts"]
    assert mount not in unpack["volumeMounts"]


def test_only_the_platform_may_connect_to_a_model_and_a_model_may_not_connect_out() -> None:
    policy = render("model", IRIS).one("NetworkPolicy", "iris")
    [rule] = policy["spec"]["ingress"]
    components = [peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in rule["from"]]
    assert components == ["gateway", "control-plane"]
    assert rule["ports"] == [{"port": "http", "protocol": "TCP"}]
    assert policy["spec"]["egress"] == []
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


def test_only_pods_that_fetch_their_model_may_connect_out() -> None:
    rendered = render("model", with_version("1.2.0", FETCHED))
    selector = rendered.one("NetworkPolicy", "iris.fetch")["spec"]["podSelector"]["matchLabels"]
    chosen = {
        one["metadata"]["labels"]["fairlead.dev/version"]
        for one in rendered.of("Deployment")
        if selector.items() <= one["spec"]["template"]["metadata"]["labels"].items()
    }
    assert chosen == {"1.2.0"}


def selects(policy: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a policy is for pods with these labels."""
    chosen = policy["spec"]["podSelector"]
    excluded = [(one["key"], one["values"]) for one in chosen.get("matchExpressions", ())]  # all of ours are NotIn
    return chosen["matchLabels"].items() <= labels.items() and all(labels.get(key) not in no for key, no in excluded)


@pytest.mark.parametrize("is_open", [False, True], ids=["with its policy", "networkPolicy.enabled: false"])
def test_a_model_that_is_uninstalled_opens_no_connection_while_its_pods_drain(is_open: bool) -> None:
    """Before, Helm removed the model's policy first, and its code could connect anywhere for the grace period, 45 s."""
    model = render("model", {**IRIS, "networkPolicy": {"enabled": not is_open}})
    left = render("platform").of("NetworkPolicy")  # Helm keeps the Deployments, and no policy of the model
    kept = [
        one for one in model.of("Deployment") if one["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    ]
    assert len(kept) == 2
    for deployment in kept:
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        policies = [one["spec"] for one in left if selects(one, labels)]
        if is_open:
            assert policies == []
            continue
        [policy] = policies
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert "egress" not in policy
        [rule] = policy["ingress"]
        own = model.one("NetworkPolicy", "iris")["spec"]["ingress"][0]
        assert rule["from"] == own["from"]
        assert rule["ports"] == [{"port": 8080, "protocol": "TCP"}]


def test_a_new_chart_does_not_restart_models_for_the_platforms_policy() -> None:
    for deployment in render("model", IRIS).of("Deployment"):
        assert "fairlead.dev/network" not in deployment["spec"]["template"]["metadata"]["labels"]


# what users add to a pod


INIT: list[dict[str, Any]] = [
    {"name": "credentials", "image": "example/credentials:1", "command": ["fetch"]},
    {"name": "proxy", "image": "example/proxy:1", "restartPolicy": "Always", "securityContext": {"runAsUser": 1337}},
]


def test_init_containers_of_users_run_before_those_that_fetch_the_model() -> None:
    rendered = render("model", {**with_version("1.2.0", FETCHED), "workload": {"initContainers": INIT}})
    names = {
        one["metadata"]["labels"]["fairlead.dev/version"]: [each["name"] for each in pod_of(one)["initContainers"]]
        for one in rendered.of("Deployment")
    }
    own = ["credentials", "proxy"]
    assert names == {"1.0.0": own, "1.1.0": own, "1.2.0": [*own, "unpack"]}


@pytest.mark.parametrize("part", ["model", "controlPlane", "gateway"])
def test_an_init_container_without_a_security_context_gets_that_of_the_pod(part: str) -> None:
    if part == "model":
        [deployment, *_] = render("model", with_workload(initContainers=INIT)).of("Deployment")
    else:
        [deployment] = [
            one
            for one in render("platform", {part: {"initContainers": INIT}}).of("Deployment")
            if "initContainers" in pod_of(one)
        ]
    plain, own = pod_of(deployment)["initContainers"]
    assert plain == {**INIT[0], "securityContext": pod_of(deployment)["containers"][0]["securityContext"]}
    assert plain["securityContext"]["allowPrivilegeEscalation"] is False
    assert own == INIT[1]


@pytest.mark.parametrize("part", ["model", "controlPlane", "gateway"])
def test_name_resolution_of_a_pod_can_be_set(part: str) -> None:
    wanted = {
        "hostAliases": [{"ip": "10.0.0.5", "hostnames": ["features.internal"]}],
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["10.0.0.10"], "options": [{"name": "ndots", "value": "2"}]},
    }
    chart, values = ("model", with_workload(**wanted)) if part == "model" else ("platform", {part: wanted})
    pods = [pod_of(one) for one in render(chart, values).of("Deployment")]
    assert [pod for pod in pods if pod.items() >= wanted.items()]


@pytest.mark.parametrize("chart", ["model", "platform"])
def test_dns_policy_none_needs_a_resolver(chart: str) -> None:
    alone: dict[str, Any] = {"dnsPolicy": "None"}
    with pytest.raises(HelmFailed, match=r"dnsPolicy: is None, so the pods need a resolver; list one in dnsConfig"):
        render(chart, with_workload(**alone) if chart == "model" else {"gateway": alone})


def test_additional_ports_are_in_the_pod_the_service_and_the_policy() -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    ports = [
        {"name": "grpc", "port": 9000, "servicePort": 90, "appProtocol": "grpc"},
        {"name": "statsd", "port": 8125, "protocol": "UDP", "from": peers},
    ]
    rendered = render("model", with_workload(extraPorts=ports))
    for deployment in rendered.of("Deployment"):
        assert container_of(deployment)["ports"][1:] == [
            {"name": "grpc", "containerPort": 9000, "protocol": "TCP"},
            {"name": "statsd", "containerPort": 8125, "protocol": "UDP"},
        ]
    for service in rendered.of("Service"):
        assert service["spec"]["ports"][0]["name"] == "http"
        assert service["spec"]["ports"][1:] == [
            {"name": "grpc", "port": 90, "targetPort": 9000, "protocol": "TCP", "appProtocol": "grpc"},
            {"name": "statsd", "port": 8125, "targetPort": 8125, "protocol": "UDP"},
        ]
    platform, *own = rendered.one("NetworkPolicy", "iris")["spec"]["ingress"]
    assert platform["ports"] == [{"port": "http", "protocol": "TCP"}]
    assert own == [
        {"from": [{"podSelector": {}}], "ports": [{"port": 9000, "protocol": "TCP"}]},
        {"from": peers, "ports": [{"port": 8125, "protocol": "UDP"}]},
    ]


def test_the_port_of_grpc_is_in_the_pod_the_service_and_the_policy() -> None:
    rendered = render("model", with_workload(serving={"grpcPort": 9000}))
    for deployment in rendered.of("Deployment"):
        model = container_of(deployment)
        assert model["ports"][1:] == [{"name": "grpc", "containerPort": 9000, "protocol": "TCP"}]
        assert {"name": "FAIRLEAD_SERVING_GRPC_PORT", "value": "9000"} in model["env"]
    for service in rendered.of("Service"):
        assert service["spec"]["ports"][1:] == [{"name": "grpc", "port": 9000, "targetPort": 9000, "protocol": "TCP"}]
    _, own = rendered.one("NetworkPolicy", "iris")["spec"]["ingress"]
    assert own == {"from": [{"podSelector": {}}], "ports": [{"port": 9000, "protocol": "TCP"}]}


def test_the_port_of_grpc_may_be_listed_with_those_who_may_connect() -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"team": "vision"}}}]
    ports = [{"name": "grpc", "port": 9000, "from": peers}]
    rendered = render("model", with_workload(serving={"grpcPort": 9000}, extraPorts=ports))
    _, own = rendered.one("NetworkPolicy", "iris")["spec"]["ingress"]
    assert own == {"from": peers, "ports": [{"port": 9000, "protocol": "TCP"}]}


def test_grpc_and_several_workers_exclude_each_other() -> None:
    with pytest.raises(HelmFailed, match=r"workload\.serving\.grpcPort: gRPC needs one process in each pod"):
        render("model", with_workload(serving={"grpcPort": 9000, "workers": 2}))


@pytest.mark.parametrize(
    ("port", "complaint"),
    [
        ({"name": "http", "port": 9000}, r'extraPorts\[1\]\.name: "http" is taken'),
        ({"name": "grpc", "port": 9001}, r'extraPorts\[1\]\.name: "grpc" is taken'),
        ({"name": "8081", "port": 8081}, r'extraPorts\[1\]\.name: "8081" has no letter'),
        ({"name": "Admin_Port", "port": 8081}, r'extraPorts\[1\]\.name: "Admin_Port" is not a name of a port; write'),
        ({"name": "other", "port": 8080}, r"extraPorts\[1\]\.port: TCP 8080 is taken; the model service listens on"),
        ({"name": "other", "port": 9001, "servicePort": 8080}, r"extraPorts\[1\]\.servicePort: TCP 8080 is taken"),
        ({"name": "other", "port": 9000}, r"extraPorts\[1\]\.port: TCP 9000 is taken"),
    ],
)
def test_an_additional_port_that_the_pod_has_already_is_refused(port: dict[str, object], complaint: str) -> None:
    with pytest.raises(HelmFailed, match=rf"workload\.{complaint}"):
        render("model", with_workload(extraPorts=[{"name": "grpc", "port": 9000}, port]))


def test_one_number_may_be_a_tcp_and_a_udp_port() -> None:
    both = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53}]
    service = render("model", with_workload(extraPorts=both)).of("Service")[0]
    assert [(one["port"], one["protocol"]) for one in service["spec"]["ports"][1:]] == [(53, "UDP"), (53, "TCP")]


def test_an_autoscaler_of_nodes_may_move_a_pod_unless_the_values_say_otherwise() -> None:
    safe, keeps = "cluster-autoscaler.kubernetes.io/safe-to-evict", "karpenter.sh/do-not-disrupt"
    own = {"evictable": False, "podAnnotations": {safe: "true"}}
    for workload, expected in (
        ({}, ("true", None)),
        ({"evictable": False}, ("false", "true")),
        (own, ("true", "true")),
    ):
        for deployment in render("model", with_workload(**workload)).of("Deployment"):
            found = deployment["spec"]["template"]["metadata"]["annotations"]
            assert (found.get(safe), found.get(keeps)) == expected, workload
