import pytest

from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.control.chart_settings import ChartSettings
from fairlead.errors import Invalid
from fairlead.routing.snapshot import Endpoint, EntryTls

REF = VersionRef(version="1.0.0", identity="0123456789")
ENVIRONMENT = {"FAIRLEAD_NAMESPACE": "ml", "FAIRLEAD_RELEASE": "shop", "POD_NAME": "shop-0", "POD_IP": "10.0.0.1"}


def test_environment_variables_become_settings() -> None:
    more = {
        "FAIRLEAD_CLUSTER_DOMAIN": "corp.example",
        "FAIRLEAD_GATEWAY_PORT": "8000",
        "FAIRLEAD_MAX_REQUEST_BYTES": "1048576",
        "FAIRLEAD_RECEIVE_SECONDS": "90",
        "FAIRLEAD_HOSTS": "models.example",
        "FAIRLEAD_CORS_ORIGINS": "https://a.example, https://b.example",
        "FAIRLEAD_CHECK_GATEWAY_TOKENS": "true",
        "FAIRLEAD_GRPC": "true",
    }
    chart = ChartSettings.from_environment(ENVIRONMENT | more)
    settings = chart.settings()
    assert settings.control == Endpoint("shop-control-plane.ml.svc.corp.example.", 8081)
    assert (settings.host, settings.port, settings.max_request_bytes) == ("0.0.0.0", 8080, 1 << 20)
    assert settings.receive_timeout_s == 90
    service = "shop-gateway.ml.svc.corp.example"
    assert settings.hosts == ("models.example", f"{service}.", service)
    assert chart.gateway == Endpoint("shop-gateway.ml.svc.corp.example.", 8000)
    assert settings.cors_origins == ("https://a.example", "https://b.example")
    assert chart.check_gateway_tokens
    assert settings.grpc
    assert chart.gateway_account == "system:serviceaccount:ml:shop-gateway"


def test_optional_variables_have_defaults() -> None:
    chart = ChartSettings.from_environment(ENVIRONMENT)
    assert chart.settings().cors_origins == ()
    assert chart.settings().hosts == ()
    assert not chart.settings().grpc
    assert chart.cluster_domain == "cluster.local"
    assert chart.gateway.port == 80


def test_an_entry_with_tls_has_a_port_of_its_own() -> None:
    more = {"FAIRLEAD_ENTRY_TLS_PORT": "443", "FAIRLEAD_ENTRY_PLAIN": "redirect", "FAIRLEAD_ENTRY_CLIENT_CA": "true"}
    entry = ChartSettings.from_environment(ENVIRONMENT | more).settings().entry
    assert entry == EntryTls(8443, "/etc/fairlead", 443, asks_for_certificates=True, plain="redirect")
    assert ChartSettings.from_environment(ENVIRONMENT).settings().entry is None


def test_missing_variables_are_named() -> None:
    with pytest.raises(Invalid, match="POD_NAME, POD_IP") as raised:
        ChartSettings.from_environment({"FAIRLEAD_NAMESPACE": "ml", "FAIRLEAD_RELEASE": "shop", "POD_IP": ""})
    assert raised.value.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FAIRLEAD_MAX_REQUEST_BYTES", "many"),
        ("FAIRLEAD_MAX_REQUEST_BYTES", "-1"),
        ("FAIRLEAD_MAX_REQUEST_BYTES", "12"),
        ("FAIRLEAD_ENTRY_TLS_PORT", "https"),
        ("FAIRLEAD_ENTRY_TLS_PORT", "65536"),
        ("FAIRLEAD_ENTRY_PLAIN", "off"),
        ("FAIRLEAD_ENTRY_CLIENT_CA", "ca.crt"),
        ("FAIRLEAD_RECEIVE_SECONDS", "0"),
        ("FAIRLEAD_RECEIVE_SECONDS", "1.5"),
        ("FAIRLEAD_GATEWAY_PORT", "http"),
        ("FAIRLEAD_GATEWAY_PORT", "0"),
        ("FAIRLEAD_GATEWAY_PORT", "65536"),
        ("FAIRLEAD_CHECK_GATEWAY_TOKENS", "yes"),
        ("FAIRLEAD_GRPC", "on"),
        ("FAIRLEAD_GATEWAY_ALSO_PLAIN", "both"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(name: str, value: str) -> None:
    with pytest.raises(Invalid, match=name):
        ChartSettings.from_environment(ENVIRONMENT | {name: value})


@pytest.mark.parametrize("host", ["https://models.example", "models.example:8080", "Models.example", "*.", "*a", "a b"])
def test_a_host_that_no_request_can_have_is_refused_at_start_with_its_form(host: str) -> None:
    """Before, the gateways started and answered 421 to all requests for it."""
    with pytest.raises(Invalid) as refused:
        ChartSettings.from_environment(ENVIRONMENT | {"FAIRLEAD_HOSTS": f"*.ok.example, {host}"})
    assert refused.value.message.startswith(f"FAIRLEAD_HOSTS: hosts.1: {host!r} is not a host; write its name")


@pytest.mark.parametrize("origin", ["app.example", "https://app.example/", "https://App.example", "https://*.example"])
def test_an_origin_that_no_browser_sends_is_refused_at_start_with_its_form(origin: str) -> None:
    with pytest.raises(Invalid) as refused:
        ChartSettings.from_environment(ENVIRONMENT | {"FAIRLEAD_CORS_ORIGINS": origin})
    assert refused.value.message.startswith(f"FAIRLEAD_CORS_ORIGINS: corsOrigins.0: {origin!r} is not an origin; write")


@pytest.mark.parametrize("origin", ["*", "http://localhost:3000", "https://[::1]:8443", "chrome-extension://abcdef"])
def test_an_origin_that_a_browser_sends_is_taken(origin: str) -> None:
    assert ChartSettings.from_environment(ENVIRONMENT | {"FAIRLEAD_CORS_ORIGINS": origin}).cors_origins == (origin,)


def test_with_its_certificates_the_models_are_reached_with_tls() -> None:
    table = Table(namespace="ml", model="iris", stable=REF, pins=(REF,))
    for more, port, secrets in (({}, 8080, ""), ({"FAIRLEAD_TLS": "/tls"}, 8443, "/etc/fairlead")):
        names = ChartSettings.from_environment(ENVIRONMENT | more).service_names()
        [[endpoint]] = names.endpoints([table]).values()
        assert (endpoint.port, endpoint.secrets) == (port, secrets)


def test_gateways_ask_with_tls_once_none_is_left_without_certificates() -> None:
    more = {"FAIRLEAD_GATEWAY_TLS": "/tls"}
    both = ChartSettings.from_environment(ENVIRONMENT | more | {"FAIRLEAD_GATEWAY_ALSO_PLAIN": "true"})
    only = ChartSettings.from_environment(ENVIRONMENT | more)
    host = "shop-control-plane.ml.svc.cluster.local."
    assert both.settings().control == Endpoint(host, 8081)
    assert only.settings().control == Endpoint(host, 8443, "/etc/fairlead", name=f"gateways.{host[:-1]}")


def test_further_namespaces_are_each_named_once_and_without_the_platforms_own() -> None:
    listed = ENVIRONMENT | {"FAIRLEAD_NAMESPACES": "team-a, ml,team-b,team-a"}
    assert ChartSettings.from_environment(listed).namespaces == ("team-a", "team-b")
    assert ChartSettings.from_environment(ENVIRONMENT).namespaces == ()
    with pytest.raises(Invalid, match="FAIRLEAD_NAMESPACES: 'Team_A' is not the name of a namespace"):
        ChartSettings.from_environment(ENVIRONMENT | {"FAIRLEAD_NAMESPACES": "Team_A"})
