"""charts/platform: who may do what, which tokens pods have, and who may connect to whom."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from charts.sample import ARTIFACT, FACTS
from fairlead.contracts.action import ActionType
from fairlead.control.chart_settings import ChartSettings
from fairlead.control.gateway_tokens import AUDIENCE
from fairlead.routing.envoy.bootstrap import token_secret
from support.helm import ROOT, Object, pod_of, render

ADMIN_PORT = 9901


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
    assert touched == {"modelroutes", "modelrouteactions", "modelrouterevisions", "leases", "configmaps"}
    [quotas] = [rule for rule in found["rules"] if rule["resources"] == ["configmaps"]]
    assert (quotas["resourceNames"], quotas["verbs"]) == (["fairlead-quotas"], ["get"])
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


@pytest.mark.parametrize("granted", [True, False])
def test_rights_on_kinds_of_keda_can_be_left_out(granted: bool) -> None:
    role = render("platform", {"rbac": {"scaledObjects": granted}}).one("Role", "fairlead-control-plane")
    verbs = READ | {"patch", "delete"} if granted else set()
    assert allowed(role, "keda.sh", "scaledobjects") == verbs
    assert allowed(role, "autoscaling", "horizontalpodautoscalers") == READ | {"patch", "delete"}


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
    own = {"leases": ["fairlead-control-plane"], "configmaps": ["fairlead-publication", "fairlead-quotas"]}
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
        ("to control-plane", "http", "gateway"): "control plane, ports 8081 and 8082, and 8443 with TLS",
        ("to control-plane", "xds", "gateway"): "control plane, ports 8081 and 8082, and 8443 with TLS",
        ("to control-plane", "http", "test"): "control plane, ports 8081 and 8082, and 8443 with TLS",
        ("to model", "http", "gateway"): "a model, port 8080",
        ("to model", "http", "control-plane"): "a model, port 8080",
        ("to model", "8080", "gateway"): "a model, port 8080",
        ("to model", "8080", "control-plane"): "a model, port 8080",
        ("to model", "9000", "all"): "a model, its `extraPorts` and the port of [gRPC](grpc.md), if it is on",
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
