"""charts/platform: metric settings, gateway, entry, notes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from charts.sample import FACTS
from fairlead.contracts.prometheus import MetricSettings, PrometheusSettings
from fairlead.control.chart_settings import ChartSettings
from fairlead.local.envoy import LOG_OPTIONS
from fairlead.routing.envoy.bootstrap import rest_bootstrap
from fairlead.routing.envoy.overload import overload_manager
from fairlead.routing.snapshot import AccessLog, Endpoint, Settings, Tracing
from support.helm import HelmFailed, notes, pod_of, render

ADMIN_PORT = 9901


# metrics


def metric_settings_of(values: dict[str, Any]) -> MetricSettings | None:
    rendered = render("platform", values, release="edge", namespace="serving")
    [container] = pod_of(rendered.one("Deployment", "edge-control-plane"))["containers"]
    found = [one["value"] for one in container["env"] if one["name"] == "FAIRLEAD_METRICS"]
    return ChartSettings.from_environment({**FACTS, "FAIRLEAD_METRICS": found[0]}).metrics if found else None


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


def records_of(gateway: dict[str, Any]) -> Settings:
    """The settings of the gateways under a control plane of this release."""
    rendered = render("platform", {"gateway": gateway}, release="edge", namespace="serving")
    [container] = pod_of(rendered.one("Deployment", "edge-control-plane"))["containers"]
    found = {one["name"]: one["value"] for one in container["env"] if one["name"] == "FAIRLEAD_REQUEST_RECORDS"}
    return ChartSettings.from_environment({**FACTS, **found}).settings()


def test_gateways_record_nothing_of_requests_unless_they_are_told() -> None:
    settings = records_of({})
    assert (settings.access_log, settings.tracing) == (None, None)


def test_tracing_and_the_access_log_reach_the_gateways() -> None:
    endpoint = "grpc://otel.telemetry.svc.cluster.local:4317"
    settings = records_of(
        {"accessLog": "0.5%", "tracing": {"endpoint": endpoint, "sample": "10%", "followCallers": True}}
    )
    assert settings.access_log == AccessLog("/dev/stdout", 5_000)
    collector = Endpoint("otel.telemetry.svc.cluster.local.", 4317)
    assert settings.tracing == Tracing(collector, is_grpc=True, per_million=100_000, follows_callers=True)


def test_gateways_may_reach_the_collector_and_nothing_else_is_opened() -> None:
    def rules(gateway: dict[str, Any]) -> list[Any]:
        values = {"gateway": gateway, "networkPolicy": {"enabled": True}}
        rendered = render("platform", values, release="edge", namespace="serving")
        return list(rendered.one("NetworkPolicy", "edge-gateway")["spec"]["egress"])

    closed, opened = rules({}), rules({"tracing": {"endpoint": "http://otel.telemetry.svc.cluster.local:4318"}})
    assert [one for one in opened if one not in closed] == [{"ports": [{"port": 4318, "protocol": "TCP"}]}]


@pytest.mark.parametrize(
    "gateway",
    [
        {"accessLog": "some"},
        {"accessLog": "101%"},
        {"tracing": {"endpoint": "https://otel:4318"}},
        {"tracing": {"endpoint": "otel:4318"}},
        {"tracing": {"endpoint": "http://otel:4318", "sample": "1"}},
    ],
)
def test_records_that_the_control_plane_would_refuse_are_refused(gateway: dict[str, Any]) -> None:
    with pytest.raises(HelmFailed, match=r"gateway\.(accessLog|tracing)"):
        render("platform", {"gateway": gateway})


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
    assert arguments[arguments.index("--component-log-level") + 1] == LOG_OPTIONS[-1]


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


@pytest.mark.parametrize(("grpc", "protocol"), [(False, "http"), (True, "kubernetes.io/h2c")])
def test_gateways_that_answer_grpc_say_so_to_entries_and_the_control_plane_knows(grpc: bool, protocol: str) -> None:
    rendered = render("platform", {"gateway": {"grpc": grpc}}, release="edge")
    (port,) = rendered.one("Service", "edge-gateway")["spec"]["ports"]
    assert port["appProtocol"] == protocol
    (container,) = pod_of(rendered.one("Deployment", "edge-control-plane"))["containers"]
    (given,) = [one["value"] for one in container["env"] if one["name"] == "FAIRLEAD_GRPC"]
    assert ChartSettings.from_environment({**FACTS, "FAIRLEAD_GRPC": given}).settings().grpc is grpc


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


# who may call


def control_plane_of(values: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    pod = pod_of(render("platform", values, release="edge").one("Deployment", "edge-control-plane"))
    [container] = pod["containers"]
    return pod, container


def test_without_a_secret_of_clients_the_control_plane_mounts_none_and_everybody_may_call() -> None:
    pod, container = control_plane_of({})
    assert [volume["name"] for volume in pod["volumes"]] == ["scratch"]
    facts = {one["name"]: one.get("value", "x") for one in container["env"]}
    assert ChartSettings.from_environment({**facts, **FACTS}).access_file == ""


def test_the_control_plane_reads_clients_from_the_folder_of_their_secret() -> None:
    """A Secret that is mounted with `subPath` would stay as it was when the pod started."""
    auth = {"secretName": "clients", "secretKey": "who.yaml"}
    pod, container = control_plane_of({"gateway": {"auth": auth}})
    [mount] = [one for one in container["volumeMounts"] if one["name"] == "access"]
    [volume] = [one for one in pod["volumes"] if one["name"] == "access"]
    assert mount == {"name": "access", "mountPath": "/etc/fairlead/access", "readOnly": True}
    assert volume["secret"] == {"secretName": "clients", "items": [{"key": "who.yaml", "path": "who.yaml"}]}
    facts = {one["name"]: one.get("value", "x") for one in container["env"]}
    assert ChartSettings.from_environment({**facts, **FACTS}).access_file == "/etc/fairlead/access/who.yaml"


def test_no_other_pod_of_the_platform_mounts_the_secret_of_clients() -> None:
    rendered = render("platform", {"gateway": {"auth": {"secretName": "clients"}}}, release="edge")
    gateway = pod_of(rendered.one("Deployment", "edge-gateway"))
    assert not [one for one in gateway["volumes"] if "secret" in one]
