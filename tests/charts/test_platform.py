"""charts/platform: metric settings, gateway, entry, rights, notes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from charts.sample import ARTIFACT
from fairlead.contracts.action import ActionType
from fairlead.contracts.prometheus import MetricSettings, PrometheusSettings
from fairlead.control.cluster import ChartSettings
from fairlead.control.gateway_tokens import AUDIENCE
from fairlead.routing.envoy.bootstrap import rest_bootstrap, token_secret
from fairlead.routing.envoy.overload import overload_manager
from fairlead.routing.snapshot import Endpoint
from support.helm import ROOT, HelmFailed, Object, notes, pod_of, render

ADMIN_PORT = 9901


# metrics


def metric_settings_of(values: dict[str, Any]) -> MetricSettings | None:
    rendered = render("platform", values, release="edge", namespace="serving")
    [container] = pod_of(rendered.one("Deployment", "edge-control-plane"))["containers"]
    found = [one["value"] for one in container["env"] if one["name"] == "FAIRLEAD_METRICS"]
    return ChartSettings.from_environment({**FACTS, "FAIRLEAD_METRICS": found[0]}).metrics if found else None


FACTS = {"FAIRLEAD_NAMESPACE": "serving", "FAIRLEAD_RELEASE": "edge", "POD_NAME": "p", "POD_IP": "10.0.0.1"}


def test_without_a_prometheus_the_control_plane_gets_no_metric_settings() -> None:
    assert metric_settings_of({}) is None


def test_the_default_selector_matches_the_scrapes_of_the_pod_monitor() -> None:
    url = "http://prometheus.monitoring:9090"
    received = metric_settings_of({"prometheus": {"url": url}, "podMonitor": {"interval": "5s"}})
    assert received is not None
    assert received.source == "gateways"
    assert received.prometheus == PrometheusSettings(
        url=url, selector='job="serving/edge-gateway"', gateway_label="pod", scrape_interval=5.0
    )


def test_every_setting_of_prometheus_reaches_the_control_plane() -> None:
    settings = {"url": "https://thanos:10902/x", "selector": 'cluster="a"', "gatewayLabel": "instance"}
    settings |= {"scrapeInterval": "1m", "timeout": "500ms", "bearerTokenFile": "/t/token", "caFile": "/t/ca"}
    received = metric_settings_of({"metricSource": "prometheus", "prometheus": settings})
    assert received == MetricSettings.model_validate({"source": "prometheus", "prometheus": settings})


def test_prometheus_as_the_source_needs_a_url() -> None:
    with pytest.raises(HelmFailed, match=r"prometheus\.url: is empty, but metricSource is prometheus"):
        render("platform", {"metricSource": "prometheus"})


# the gateway


def test_the_gateways_bootstrap_is_what_the_code_generates() -> None:
    rendered = render("platform", {"clusterDomain": "corp.example"}, release="edge", namespace="serving")
    shipped = json.loads(rendered.one("ConfigMap")["data"]["bootstrap.json"])
    control_plane = Endpoint("edge-control-plane.serving.svc.corp.example.", 8082)
    secret = "/etc/fairlead/gateway-token.json"
    wanted = rest_bootstrap(
        control_plane,
        admin=Endpoint("0.0.0.0", ADMIN_PORT),
        admin_path="/tmp/admin.sock",
        drain=Endpoint("127.0.0.1", 9902),
        cluster="edge",
        token=secret,
    )
    assert shipped == {key: value for key, value in wanted.items() if key != "node"}
    [envoy] = pod_of(rendered.one("Deployment", "edge-gateway"))["containers"]
    arguments = envoy["args"]
    assert arguments[arguments.index("--service-cluster") + 1] == "edge"
    assert arguments[arguments.index("--service-node") + 1] == "$(POD_NAME)"


@pytest.mark.parametrize(
    ("limits", "memory"),
    [
        ({"memory": "1.5Gi"}, 3 << 29),
        ({"memory": "2G"}, 2_000_000_000),
        ({"memory": 300_000_000}, 300_000_000),
        (None, 1 << 30),
        ({"memory": None, "cpu": 2}, 1 << 30),
    ],
    ids=str,
)
def test_the_gateways_heap_and_connections_follow_from_its_memory_limit(limits: Any, memory: int) -> None:
    rendered = render("platform", {"gateway": {"resources": {"limits": limits}}})
    shipped = json.loads(rendered.one("ConfigMap")["data"]["bootstrap.json"])
    assert shipped["overload_manager"] == overload_manager(memory)


def test_a_body_that_is_large_for_the_gateways_memory_is_refused() -> None:
    with pytest.raises(HelmFailed, match=r"gateway\.maxRequestBytes: 67108865 .*limits\.memory to 513Mi at least"):
        render("platform", {"gateway": {"maxRequestBytes": (64 << 20) + 1}})
    render("platform", {"gateway": {"maxRequestBytes": 64 << 20}})


def test_a_changed_bootstrap_restarts_gateways() -> None:
    def checksum(values: dict[str, Any]) -> str:
        deployment = render("platform", values).one("Deployment", "fairlead-gateway")
        return str(deployment["spec"]["template"]["metadata"]["annotations"]["checksum/bootstrap"])

    assert checksum({}) == checksum({"gateway": {"replicas": 5}})
    assert checksum({}) != checksum({"clusterDomain": "corp.example"})


def test_a_gateway_is_alive_without_a_configuration_and_ready_only_with_one() -> None:
    [envoy] = pod_of(render("platform").one("Deployment", "fairlead-gateway"))["containers"]
    assert envoy["readinessProbe"]["httpGet"] == {"path": "/ready", "port": "admin"}
    assert envoy["livenessProbe"]["httpGet"]["path"] == "/server_info"


def test_the_grace_period_of_a_gateway_is_the_sum_of_its_drain_times() -> None:
    drain = {"propagationSeconds": 7, "requestSeconds": 60, "marginSeconds": 3}
    pod = pod_of(render("platform", {"gateway": {"drain": drain}}).one("Deployment", "fairlead-gateway"))
    [envoy] = pod["containers"]
    assert envoy["lifecycle"]["preStop"]["exec"]["command"] == ["bash", "/etc/fairlead/drain.sh", "7", "60"]
    assert pod["terminationGracePeriodSeconds"] == 70


@pytest.mark.parametrize("kind", ["hpa", "external"])
def test_replicas_are_not_rendered_with_an_autoscaler(kind: str) -> None:
    rendered = render("platform", {"gateway": {"autoscaling": {"kind": kind}}})
    assert "replicas" not in rendered.one("Deployment", "fairlead-gateway")["spec"]
    assert len(rendered.of("HorizontalPodAutoscaler")) == (1 if kind == "hpa" else 0)


# the entry


def test_the_entry_is_a_service_an_ingress_or_an_http_route() -> None:
    rendered = render(
        "platform",
        {
            "gateway": {
                "service": {"type": "LoadBalancer", "loadBalancerSourceRanges": ["10.0.0.0/8"], "nodePort": 30080},
                "ingress": {"enabled": True, "hosts": ["a.example", "b.example"], "tlsSecretName": "certificate"},
                "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": ["c.example"]},
            }
        },
    )
    service = rendered.one("Service", "fairlead-gateway")["spec"]
    assert (service["type"], service["loadBalancerSourceRanges"]) == ("LoadBalancer", ["10.0.0.0/8"])
    assert service["ports"][0]["nodePort"] == 30080
    ingress = rendered.one("Ingress")["spec"]
    assert ingress["tls"] == [{"secretName": "certificate", "hosts": ["a.example", "b.example"]}]
    assert [rule["host"] for rule in ingress["rules"]] == ["a.example", "b.example"]
    route = rendered.one("HTTPRoute")["spec"]
    assert route["rules"][0]["backendRefs"] == [{"name": "fairlead-gateway", "port": 80}]


def test_an_ingress_without_hosts_accepts_every_host() -> None:
    [rule] = render("platform", {"gateway": {"ingress": {"enabled": True}}}).one("Ingress")["spec"]["rules"]
    assert "host" not in rule


@pytest.mark.parametrize(
    ("gateway", "complaint"),
    [
        ({"ingress": {"enabled": True, "tlsSecretName": "a"}}, r"gateway\.ingress\.hosts: is empty"),
        ({"httpRoute": {"enabled": True}}, r"gateway\.httpRoute\.parentRefs: is empty"),
        ({"autoscaling": {"kind": "hpa", "maxInstances": 1}}, r"gateway\.autoscaling\.maxInstances: 1 is less"),
    ],
)
def test_incomplete_values_of_the_gateway_are_rejected(gateway: dict[str, Any], complaint: str) -> None:
    with pytest.raises(HelmFailed, match=complaint):
        render("platform", {"gateway": gateway})


def test_a_release_name_that_is_too_long_is_rejected() -> None:
    assert len(render("platform", release="a" * 49).one("Deployment", "a" * 49 + "-gateway")["metadata"]["name"]) < 63
    with pytest.raises(HelmFailed, match="longer than 49"):
        render("platform", release="a" * 50)


# who may do what


def allowed(role: Object, group: str, resource: str) -> set[str]:
    """The verbs that a Role grants on all objects of a resource."""
    return {
        verb
        for rule in role["rules"]
        if group in rule["apiGroups"] and resource in rule["resources"] and "resourceNames" not in rule
        for verb in rule["verbs"]
    }


READ = {"get", "list", "watch"}
ACTIONS = {one.value for one in ActionType}


@pytest.mark.parametrize(
    ("role", "routes", "actions"),
    [
        ("viewer", READ, READ),
        (
            "releaser",
            READ | {"create", "update", "patch"} | (ACTIONS - {"approve", "promote"}),
            READ | {"create"},
        ),
        ("on-call", READ | ACTIONS, READ | {"create"}),
    ],
)
def test_roles_of_people_have_exactly_the_expected_rights(role: str, routes: set[str], actions: set[str]) -> None:
    found = render("platform").one("Role", f"fairlead-{role}")
    assert allowed(found, "fairlead.dev", "modelroutes") == routes
    assert allowed(found, "fairlead.dev", "modelrouteactions") == actions
    assert allowed(found, "fairlead.dev", "modelrouterevisions") == READ
    touched = {resource for rule in found["rules"] for resource in rule["resources"]}
    assert touched == {"modelroutes", "modelrouteactions", "modelrouterevisions", "leases"}
    assert allowed(found, "coordination.k8s.io", "leases") == {"get", "list"}


def test_roles_are_given_to_the_subjects_of_the_values() -> None:
    subjects = [
        {"kind": "Group", "name": "oncall"},
        {"kind": "ServiceAccount", "name": "ci"},
        {"kind": "User", "name": "alice@example.com"},
    ]
    rendered = render("platform", {"roles": {"onCall": subjects}}, namespace="serving")
    binding = rendered.one("RoleBinding", "fairlead-on-call")
    assert binding["subjects"] == [
        {"kind": "Group", "name": "oncall", "apiGroup": "rbac.authorization.k8s.io"},
        {"kind": "ServiceAccount", "name": "ci", "namespace": "serving"},
        {"kind": "User", "name": "alice@example.com", "apiGroup": "rbac.authorization.k8s.io"},
    ]
    assert not [one for one in rendered.of("RoleBinding") if one["metadata"]["name"] == "fairlead-viewer"]


def test_outside_its_namespace_the_platform_asks_only_to_have_tokens_reviewed() -> None:
    values = {"gateway": {"ingress": {"enabled": True}}, "roles": {"viewers": [{"kind": "Group", "name": "a"}]}}
    rendered = render("platform", values, release="edge", namespace="serving")
    outside = [one for one in rendered.objects if one["metadata"].get("namespace") != "serving"]
    assert [one["kind"] for one in outside] == ["ClusterRole", "ClusterRoleBinding"]
    role, binding = outside
    assert role["metadata"]["name"] == binding["roleRef"]["name"] == "fairlead:serving:edge:gateway-tokens"
    assert role["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    ]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "edge-control-plane", "namespace": "serving"}]


@pytest.mark.parametrize(
    "values", [{"controlPlane": {"checkGatewayTokens": False}}, {"rbac": {"create": False}}], ids=str
)
def test_the_platform_can_do_without_anything_outside_its_namespace(values: dict[str, Any]) -> None:
    for one in render("platform", values, namespace="serving").objects:
        assert not one["kind"].startswith("Cluster")
        assert one["metadata"]["namespace"] == "serving"


@pytest.mark.parametrize("check", [True, False])
def test_the_control_plane_is_told_whether_to_check_tokens(check: bool) -> None:
    rendered = render("platform", {"controlPlane": {"checkGatewayTokens": check}}, release="edge", namespace="serving")
    [container] = pod_of(rendered.one("Deployment", "edge-control-plane"))["containers"]
    told = {one["name"]: one["value"] for one in container["env"] if one["name"].startswith("FAIRLEAD_CHECK")}
    chart = ChartSettings.from_environment(FACTS | told)
    assert chart.check_gateway_tokens is check
    gateway = pod_of(rendered.one("Deployment", "edge-gateway"))
    assert chart.gateway_account == f"system:serviceaccount:serving:{gateway['serviceAccountName']}"


def test_the_control_plane_cannot_write_specs_or_read_secrets() -> None:
    role = render("platform").one("Role", "fairlead-control-plane")
    assert allowed(role, "fairlead.dev", "modelroutes") == READ
    assert "update" not in allowed(role, "fairlead.dev", "modelrouterevisions")
    assert allowed(role, "apps", "deployments") == READ | {"patch", "delete"}
    own = {"leases": ["fairlead-control-plane"], "configmaps": ["fairlead-publication"]}
    named = [rule for rule in role["rules"] if set(rule["resources"]) & own.keys()]
    assert all(rule["verbs"] == ["create"] or rule["resourceNames"] == own[rule["resources"][0]] for rule in named)
    assert not any("secrets" in rule["resources"] or "*" in rule["verbs"] for rule in role["rules"])


def test_a_gateway_has_only_a_token_for_the_control_plane() -> None:
    rendered = render("platform")
    pod = pod_of(rendered.one("Deployment", "fairlead-gateway"))
    [token] = [source for volume in pod["volumes"] for source in volume.get("projected", {}).get("sources", [])]
    assert token == {"serviceAccountToken": {"path": "token", "audience": AUDIENCE, "expirationSeconds": 3600}}
    [envoy] = pod["containers"]
    [at] = [one["mountPath"] for one in envoy["volumeMounts"] if one["name"] == "token"]
    shipped = json.loads(rendered.one("ConfigMap")["data"]["gateway-token.json"])
    assert shipped == token_secret(f"{at}/token")


def test_only_the_control_plane_has_a_token_for_the_api_server() -> None:
    rendered = render("platform")
    tokens = {one["metadata"]["name"]: pod_of(one)["automountServiceAccountToken"] for one in rendered.of("Deployment")}
    assert tokens == {"fairlead-control-plane": True, "fairlead-gateway": False}


@pytest.mark.parametrize(
    ("gateway", "complaint"),
    [
        (
            {"hosts": ["models.example", "models.example:80"]},
            'hosts[1]: "models.example:80" is not a host; write its name',
        ),
        ({"hosts": ["https://models.example"]}, 'hosts[0]: "https://models.example" is not a host; write its name'),
        ({"corsOrigins": ["https://app.example/"]}, 'corsOrigins[0]: "https://app.example/" is not an origin; write'),
    ],
)
def test_a_host_or_an_origin_in_another_form_is_refused_in_words(gateway: dict[str, Any], complaint: str) -> None:
    with pytest.raises(HelmFailed) as refused:
        render("platform", {"gateway": gateway})
    assert f"): gateway.{complaint}" in str(refused.value)


def test_the_hosts_of_an_entry_must_be_answered_by_the_gateways() -> None:
    """Before, the chart installed an Ingress whose every request got 421."""
    entry = {"enabled": True, "hosts": ["a.models.example", "b.example"]}
    route = {"enabled": True, "parentRefs": [{"name": "public"}], "hostnames": entry["hosts"]}
    for fine in ([], ["*"], ["b.example", "*.models.example"], entry["hosts"]):
        render("platform", {"gateway": {"hosts": fine, "ingress": entry, "httpRoute": route}})
    wanted = r'\[1\]: "b.example" is not in gateway.hosts, so its requests would get 421'
    with pytest.raises(HelmFailed, match=rf"gateway.ingress.hosts{wanted}"):
        render("platform", {"gateway": {"hosts": ["*.models.example"], "ingress": entry}})
    with pytest.raises(HelmFailed, match=rf"gateway.httpRoute.hostnames{wanted}"):
        render("platform", {"gateway": {"hosts": ["*.models.example"], "httpRoute": route}})


def test_envoys_admin_page_is_a_socket_in_the_containers_own_volume() -> None:
    """Before, it was a port of the pod: who reached it could take the gateway out of service."""
    rendered = render("platform")
    shipped = json.loads(rendered.one("ConfigMap")["data"]["bootstrap.json"])
    page = shipped["admin"]["address"]["pipe"]
    assert page["mode"] == 0o600
    pod = pod_of(rendered.one("Deployment", "fairlead-gateway"))
    [envoy] = pod["containers"]
    [volume] = [one["name"] for one in envoy["volumeMounts"] if one["mountPath"] == page["path"].rpartition("/")[0]]
    assert "emptyDir" in next(one for one in pod["volumes"] if one["name"] == volume)
    at = {one["name"]: one["address"]["socket_address"] for one in shipped["static_resources"]["listeners"]}
    assert at["drain"]["address"] == "127.0.0.1", "only the containers of this pod reach it"
    assert at["admin_page"]["port_value"] == ADMIN_PORT
    assert {one["containerPort"] for one in envoy["ports"]} == {8080, ADMIN_PORT}
    drain = rendered.one("ConfigMap")["data"]["drain.sh"]
    assert f"DRAIN_PORT:-{at['drain']['port_value']}" in drain
    assert f"ADMIN_PORT:-{ADMIN_PORT}" in drain


def test_only_the_control_plane_reads_envoys_admin_page() -> None:
    rendered = render("platform")
    policy = rendered.one("NetworkPolicy", "fairlead-gateway")["spec"]
    [rule] = [one for one in policy["ingress"] if one["ports"][0]["port"] == "admin"]
    [peer] = rule["from"]
    labels = rendered.one("Deployment", "fairlead-control-plane")["spec"]["template"]["metadata"]["labels"]
    assert peer["podSelector"]["matchLabels"].items() <= labels.items()
    ports = {port["port"] for one in rendered.of("Service") for port in one["spec"]["ports"]}
    assert ADMIN_PORT not in ports


def test_the_page_on_security_has_every_connection_that_the_policies_allow() -> None:
    """Before, it had neither the tests, nor what a fetched model and the control plane may connect to."""
    fetched = {"artifact": ARTIFACT, "source": {"kind": "init", "uri": "https://models.example.com/iris.tar.gz"}}
    ports = {"extraPorts": [{"name": "grpc", "port": 9000}]}
    values = {"target": "1.0.0", "versions": {"1.0.0": fetched}, "workload": ports}
    policies = [*render("platform").of("NetworkPolicy"), *render("model", values, release="iris").of("NetworkPolicy")]
    allowed = {connection for policy in policies for connection in connections(policy)}
    page = (ROOT / "docs/security.md").read_text()
    rows = {line.strip("| ").partition(" | ")[0]: line for line in page.splitlines() if line.startswith("|")}
    of_page = {
        ("to gateway", "http", "all"): "gateway, port 8080",
        ("to gateway", "admin", "control-plane"): "gateway, port 9901 (five pages of Envoy, to read)",
        ("to control-plane", "http", "gateway"): "control plane, ports 8081 and 8082",
        ("to control-plane", "xds", "gateway"): "control plane, ports 8081 and 8082",
        ("to control-plane", "http", "test"): "control plane, ports 8081 and 8082",
        ("to model", "http", "gateway"): "a model, port 8080",
        ("to model", "http", "control-plane"): "a model, port 8080",
        ("to model", "8080", "gateway"): "a model, port 8080",
        ("to model", "8080", "control-plane"): "a model, port 8080",
        ("to model", "9000", "all"): "a model, its `extraPorts`",
        ("from model", "53", "all"): "DNS and port 443 of any address, from a model with `source.kind: init`",
        ("from model", "443", "all"): "DNS and port 443 of any address, from a model with `source.kind: init`",
        ("from gateway", "53", "all"): "models, control plane and DNS",
        ("from gateway", "8080", "model"): "models, control plane and DNS",
        ("from gateway", "http", "control-plane"): "models, control plane and DNS",
        ("from gateway", "xds", "control-plane"): "models, control plane and DNS",
    }
    assert allowed == of_page.keys()
    assert set(of_page.values()) <= rows.keys()
    for (way, _, other), row in of_page.items():
        if way.startswith("to ") and other not in ("all", "test"):
            assert other.replace("-", " ") in rows[row]
    # Whose connections no policy restricts.
    restricted = {one["spec"]["podSelector"]["matchLabels"][COMPONENT] for one in policies if "Egress" in types_of(one)}
    assert restricted == {"gateway", "model"}
    assert "any destination, from the control plane" in rows


COMPONENT = "app.kubernetes.io/component"


def types_of(policy: dict[str, Any]) -> list[str]:
    types: list[str] = policy["spec"]["policyTypes"]
    return types


def connections(policy: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What a policy allows: to or from which component, the port, the component at the other end."""
    own = policy["spec"]["podSelector"]["matchLabels"][COMPONENT]
    for way, rules, peers in (("to", "ingress", "from"), ("from", "egress", "to")):
        for rule in policy["spec"].get(rules) or ():
            others = [
                one.get("podSelector", {}).get("matchLabels", {}).get(COMPONENT, "all") for one in rule.get(peers, ())
            ]
            for port in rule["ports"]:
                yield from ((f"{way} {own}", str(port["port"]), other) for other in others or ["all"])


def test_pods_are_locked_down() -> None:
    for deployment in render("platform").of("Deployment"):
        pod = pod_of(deployment)
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


# notes


def test_notes_show_the_address_of_the_models_and_what_is_missing() -> None:
    assert "port-forward service/fairlead-gateway 8080:80" in notes("platform", {})
    assert "the cluster has no kind ModelRoute" in notes("platform", {})
    tls = {"gateway": {"ingress": {"enabled": True, "hosts": ["models.example.com"], "tlsSecretName": "certificate"}}}
    assert "https://models.example.com/models" in notes("platform", tls)
    assert "without TLS and by all clients" in notes("platform", {"gateway": {"service": {"type": "LoadBalancer"}}})


def test_the_same_values_render_the_same_bytes() -> None:
    assert render("platform").text == render("platform").text
    assert render("platform", more=("--is-upgrade",)).text == render("platform").text
