"""TLS in the charts: nothing by default; certificates, ports, files and settings that fit together when it is on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from charts.sample import FACTS, IRIS
from fairlead.contracts import labels
from fairlead.contracts.gateway import name_for_gateways
from fairlead.control.chart_settings import GATEWAY_SECRETS, ChartSettings
from fairlead.routing.envoy.bootstrap import rest_bootstrap
from fairlead.routing.envoy.tls import entry_files, secret_files
from fairlead.routing.snapshot import Endpoint, EntryTls
from fairlead.serving import settings
from support.helm import HelmFailed, Object, Rendered, pod_of, render

OWN: dict[str, Any] = {"tls": {"mode": "cert-manager"}}
YOURS: dict[str, Any] = {"tls": {"mode": "secrets", "secretNames": {"gateway": "g", "controlPlane": "c"}}}
SECURED: dict[str, Any] = {**IRIS, "tls": {"secretName": "fairlead-models-tls"}}


def container_of(deployment: Object) -> dict[str, Any]:
    """The only container of a pod."""
    [found] = pod_of(deployment)["containers"]
    return dict(found)


def environment(deployment: Object) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container_of(deployment)["env"] if "value" in one}


def secrets(deployment: Object) -> dict[str, str]:
    """The Secrets of a pod, by the folder where its container finds them."""
    at = {one["name"]: one["mountPath"] for one in container_of(deployment)["volumeMounts"]}
    volumes = [one for one in pod_of(deployment)["volumes"] if "secret" in one]
    return {at[one["name"]]: one["secret"]["secretName"] for one in volumes}


def ports(rendered: Rendered) -> list[Any]:
    """All ports in the policies."""
    specs = [one["spec"] for one in rendered.of("NetworkPolicy")]
    rules = [rule for spec in specs for side in ("ingress", "egress") for rule in spec.get(side) or ()]
    return [port["port"] for rule in rules for port in rule.get("ports", ())]


def test_by_default_nothing_knows_of_tls() -> None:
    for rendered in (render("platform"), render("model", IRIS)):
        text = json.dumps(rendered.objects)
        assert not [word for word in ("8443", "TLS", "cert-manager", "authorities", "https") if word in text]


@pytest.mark.parametrize("values", [OWN, YOURS], ids=["cert-manager", "secrets"])
def test_gateways_find_their_certificate_where_their_files_say(values: dict[str, Any]) -> None:
    rendered = render("platform", values)
    gateway = rendered.one("Deployment", "fairlead-gateway")
    [(folder, name)] = secrets(gateway).items()
    assert name == ("fairlead-gateway-tls" if values is OWN else "g")
    shipped = rendered.one("ConfigMap", "fairlead-gateway")["data"]
    assert {file: json.loads(shipped[file]) for file in secret_files(folder)} == secret_files(folder)
    [described] = [one["mountPath"] for one in container_of(gateway)["volumeMounts"] if one["name"] == "fairlead"]
    assert described == GATEWAY_SECRETS


@pytest.mark.parametrize("values", [OWN, YOURS], ids=["cert-manager", "secrets"])
def test_the_control_plane_speaks_tls_with_models_and_finds_its_files(values: dict[str, Any]) -> None:
    control = render("platform", values).one("Deployment", "fairlead-control-plane")
    chart = ChartSettings.from_environment({**FACTS, **environment(control)})
    assert secrets(control) == {chart.tls: "fairlead-control-plane-tls" if values is OWN else "c"}


@pytest.mark.parametrize("to_models", [True, False])
def test_gateways_that_still_ask_with_tls_are_answered_when_it_is_turned_off(to_models: bool) -> None:
    rendered = render("platform", {"tls": {"mode": "cert-manager", "controlPlane": "off", "toModels": to_models}})
    control = rendered.one("Deployment", "fairlead-control-plane")
    chart = ChartSettings.from_environment({**FACTS, **environment(control)})
    assert (secrets(control), chart.gateway_also_plain) == ({chart.gateway_tls: "fairlead-control-plane-tls"}, True)
    listening = {"http": 8081, "xds": 8082, "https": labels.TLS_PORT}
    service = rendered.one("Service", "fairlead-control-plane")
    assert {one["name"]: one["port"] for one in service["spec"]["ports"]} == listening
    assert {one["name"]: one["containerPort"] for one in container_of(control)["ports"]} == listening
    assert ports(rendered).count("https") == 2  # out of the gateway, into the control plane
    bootstrap = rendered.one("ConfigMap", "fairlead-gateway")["data"]["bootstrap.json"]
    assert "8443" not in bootstrap


def test_certificates_can_be_there_before_gateways_speak_tls() -> None:
    rendered = render("platform", {"tls": {"mode": "cert-manager", "toModels": False}})
    assert "FAIRLEAD_TLS" not in environment(rendered.one("Deployment", "fairlead-control-plane"))
    assert len(rendered.of("Certificate")) == 4


def test_each_certificate_is_for_its_side_only_and_has_the_names_that_are_verified() -> None:
    rendered = render("platform", {**OWN, "clusterDomain": "corp.example"})
    found = {one["spec"]["secretName"]: one["spec"] for one in rendered.of("Certificate")}
    usages = {name: spec["usages"][-1] for name, spec in found.items()}
    assert usages == {
        "fairlead-authority": "crl sign",
        "fairlead-models-tls": "server auth",
        "fairlead-gateway-tls": "client auth",
        "fairlead-control-plane-tls": "server auth",
    }
    assert found["fairlead-control-plane-tls"]["usages"] == ["digital signature", "client auth", "server auth"]
    namespace = rendered.one("Certificate", "fairlead-models")["metadata"]["namespace"]
    assert found["fairlead-models-tls"]["dnsNames"] == [f"*.{namespace}.svc.corp.example"]
    issuers = {one["metadata"]["name"]: one["spec"] for one in rendered.of("Issuer")}
    assert issuers["fairlead-authority"] == {"ca": {"secretName": "fairlead-authority"}}
    assert {spec["issuerRef"]["name"] for spec in found.values()} == set(issuers)


@pytest.mark.parametrize("to_models", [True, False])
@pytest.mark.parametrize("how", ["both", "only"])
def test_gateways_ask_the_control_plane_with_tls_where_it_answers(how: str, to_models: bool) -> None:
    values = {
        "tls": {"mode": "cert-manager", "controlPlane": how, "toModels": to_models},
        "clusterDomain": "corp.example",
    }
    rendered = render("platform", values, release="edge", namespace="serving")
    control = rendered.one("Deployment", "edge-control-plane")
    chart = ChartSettings.from_environment({**FACTS, "FAIRLEAD_NAMESPACE": "serving", **environment(control)})
    assert secrets(control) == {chart.gateway_tls: "edge-control-plane-tls"}
    assert (bool(chart.tls), chart.gateway_also_plain) == (to_models, how == "both")
    service = rendered.one("Service", "edge-control-plane")
    listening = {"http": 8081, **({"xds": 8082} if how == "both" else {}), "https": labels.TLS_PORT}
    assert {one["name"]: one["port"] for one in service["spec"]["ports"]} == listening
    assert {one["name"]: one["containerPort"] for one in container_of(control)["ports"]} == listening
    assert ports(rendered).count("https") == 2  # out of the gateway, into the control plane
    names = {one["metadata"]["name"]: one["spec"]["dnsNames"] for one in rendered.of("Certificate")[1:]}
    host = "edge-control-plane.serving.svc.corp.example"
    assert names["edge-control-plane"] == [host, name_for_gateways(host)]
    assert names["edge-gateway"] == [chart.gateway.host.removesuffix(".")]
    shipped = json.loads(rendered.one("ConfigMap", "edge-gateway")["data"]["bootstrap.json"])
    wanted = rest_bootstrap(
        Endpoint(f"{host}.", labels.TLS_PORT, GATEWAY_SECRETS, name=name_for_gateways(host)),
        admin=Endpoint("0.0.0.0", 9901),
        admin_path="/tmp/admin.sock",
        drain=Endpoint("127.0.0.1", 9902),
        cluster="edge",
        token="/etc/fairlead/gateway-token.json",
    )
    assert shipped == {key: value for key, value in wanted.items() if key != "node"}


def test_an_issuer_of_yours_signs_all_and_none_is_created() -> None:
    given = {"issuerName": "corporate", "issuerKind": "ClusterIssuer"}
    rendered = render("platform", {"tls": {"mode": "cert-manager", "certManager": given}})
    assert not rendered.of("Issuer")
    wanted = {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "corporate"}
    assert [one["spec"]["issuerRef"] for one in rendered.of("Certificate")] == [wanted] * 3


def test_a_model_reads_its_certificate_and_listens_where_gateways_ask() -> None:
    rendered = render("model", SECURED)
    for deployment in rendered.of("Deployment"):
        served = settings.read(environment(deployment))
        [(folder, name)] = secrets(deployment).items()
        assert name == "fairlead-models-tls"
        files = (served.tls_cert, served.tls_key, served.tls_client_ca)
        assert files == tuple(Path(folder) / file for file in ("tls.crt", "tls.key", "ca.crt"))
        assert (served.tls_port, served.tls_also_plain) == (labels.TLS_PORT, False)
    secured = {"name": "https", "port": labels.TLS_PORT, "targetPort": "https", "protocol": "TCP"}
    assert all(secured in service["spec"]["ports"] for service in rendered.of("Service"))
    assert "https" in ports(rendered)


def test_gateways_and_models_may_use_the_port_with_tls() -> None:
    assert ports(render("platform", OWN)).count(labels.TLS_PORT) == 2  # out of the gateway, into the models


def test_a_model_can_answer_everything_without_tls_for_a_while() -> None:
    rendered = render("model", {**IRIS, "tls": {"secretName": "own", "alsoPlain": True}})
    assert all(settings.read(environment(one)).tls_also_plain for one in rendered.of("Deployment"))


def entry(**tls: Any) -> dict[str, Any]:
    """Values of the platform with TLS at its entry."""
    return {"gateway": {"tls": tls}}


ISSUED: dict[str, Any] = {
    "certManager": {"issuerName": "public", "issuerKind": "ClusterIssuer", "dnsNames": ["a.example"]}
}


@pytest.mark.parametrize("tls", [{"secretName": "shop-tls"}, ISSUED], ids=["secret", "issuer"])
def test_the_entry_with_tls_has_its_certificate_where_its_files_say(tls: dict[str, Any]) -> None:
    rendered = render("platform", entry(**tls, clientCA="partners"))
    gateway = rendered.one("Deployment", "fairlead-gateway")
    found = {name: folder for folder, name in secrets(gateway).items()}
    certificate = tls.get("secretName", "fairlead-entry-tls")
    assert set(found) == {certificate, "partners"}
    described = entry_files(found[certificate], found["partners"])
    shipped = rendered.one("ConfigMap", "fairlead-gateway")["data"]
    assert {file: json.loads(shipped[file]) for file in described} == described
    assert {"name": "https", "containerPort": 8443, "protocol": "TCP"} in container_of(gateway)["ports"]


def test_the_service_has_a_port_with_tls_which_clients_may_reach_and_the_control_plane_knows() -> None:
    rendered = render("platform", entry(secretName="shop-tls", port=8443, plain="redirect"))
    service = rendered.one("Service", "fairlead-gateway")
    served = {one["name"]: (one["port"], one["targetPort"]) for one in service["spec"]["ports"]}
    assert served == {"http": (80, "http"), "https": (8443, "https")}
    assert "https" in ports(rendered)
    control = rendered.one("Deployment", "fairlead-control-plane")
    settings = ChartSettings.from_environment({**FACTS, **environment(control)}).settings()
    assert settings.entry == EntryTls(8443, GATEWAY_SECRETS, 8443, plain="redirect")


def test_the_certificate_of_an_issuer_has_the_names_of_clients_and_of_the_service() -> None:
    rendered = render("platform", entry(**ISSUED))
    [spec] = [one["spec"] for one in rendered.of("Certificate")]
    assert spec["secretName"] == "fairlead-entry-tls"
    assert spec["dnsNames"][0] == "a.example"
    assert "fairlead-gateway.default.svc.cluster.local" in spec["dnsNames"]
    assert spec["usages"] == ["digital signature", "server auth"]
    assert spec["issuerRef"] == {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "public"}


@pytest.mark.parametrize(("plain", "port"), [("open", ("http", 80)), ("closed", ("https", 443))])
def test_an_ingress_and_a_route_connect_to_the_port_that_answers(plain: str, port: tuple[str, int]) -> None:
    more = {"ingress": {"enabled": True}, "httpRoute": {"enabled": True, "parentRefs": [{"name": "public"}]}}
    rendered = render("platform", {"gateway": {**more, "tls": {"secretName": "shop-tls", "plain": plain}}})
    [rule] = rendered.one("Ingress", "fairlead-gateway")["spec"]["rules"]
    [route] = rendered.one("HTTPRoute", "fairlead-gateway")["spec"]["rules"]
    assert rule["http"]["paths"][0]["backend"]["service"]["port"] == {"name": port[0]}
    assert route["backendRefs"][0]["port"] == port[1]


def test_the_test_of_a_model_believes_and_shows_what_its_secret_has() -> None:
    rendered = render("model", {**IRIS, "test": {"tlsSecretName": "asking"}})
    [job] = [one for one in rendered.hooks() if one["kind"] == "Job"]
    assert environment(job)["FAIRLEAD_GATEWAY"] == "https://fairlead-gateway.default.svc.cluster.local"
    assert "asking" in secrets(job).values()
    named = render("model", {**IRIS, "test": {"gateway": "https://models.example.com"}})
    [job] = [one for one in named.hooks() if one["kind"] == "Job"]
    assert environment(job)["FAIRLEAD_GATEWAY"] == "https://models.example.com"


@pytest.mark.parametrize(
    ("chart", "values", "said"),
    [
        ("model", {**IRIS, "tls": {"alsoPlain": True}}, "tls.alsoPlain: is true, but tls.secretName is empty"),
        (
            "model",
            {**SECURED, "workload": {"serving": {"grpcPort": 9000}}},
            "tls.secretName: gRPC has no TLS; leave serving.grpcPort out",
        ),
        (
            "model",
            {**SECURED, "workload": {"extraPorts": [{"name": "admin", "port": 8443}]}},
            "TCP 8443 is taken",
        ),
        ("platform", entry(clientCA="ca"), "gateway.tls.clientCA: is set, but the entry has no TLS"),
        ("platform", entry(secretName="a", **ISSUED), "secretName: is set, and certManager.issuerName too"),
        ("platform", entry(secretName="a", clientCA="ca", plain="open"), "plain: open lets everybody in"),
        ("platform", entry(secretName="a", port=80), "gateway.tls.port: is 80, like service.port"),
        ("platform", {"tls": {"mode": "secrets"}}, "tls.secretNames.(gateway|controlPlane): is empty"),
        ("platform", {"tls": {"mode": "on"}}, "mode"),
        ("platform", {"tls": {"controlPlane": "only"}}, "tls.controlPlane: is only, but tls.mode is off"),
        ("platform", {"tls": {"mode": "cert-manager", "controlPlane": "on"}}, "controlPlane"),
    ],
)
def test_values_that_would_leave_a_gap_are_refused(chart: str, values: dict[str, Any], said: str) -> None:
    with pytest.raises(HelmFailed, match=said):
        render(chart, values)
