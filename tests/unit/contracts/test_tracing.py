import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fairlead.contracts.platform import GatewaySettings
from fairlead.contracts.tracing import MILLION, Collector, TracingSettings, collector, per_million


@given(st.integers(0, MILLION))
def test_a_share_with_four_decimals_is_exact(number: int) -> None:
    assert per_million(f"{number / 10_000:.4f}%") == number


@pytest.mark.parametrize("share", ["1", "101%", "-1%", "1e1%", "0.00001%", "% 1", "", "100.0001%"])
def test_what_is_no_share_is_refused(share: str) -> None:
    with pytest.raises(ValueError, match="write 1%"):
        per_million(share)


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("http://127.0.0.1:4318", Collector("http", "127.0.0.1", 4318)),
        ("grpc://otel.telemetry.svc.cluster.local:4317", Collector("grpc", "otel.telemetry.svc.cluster.local", 4317)),
        ("http://[::1]:4318", Collector("http", "::1", 4318)),
    ],
)
def test_an_endpoint_names_protocol_host_and_port(endpoint: str, expected: Collector) -> None:
    assert collector(endpoint) == expected


@pytest.mark.parametrize(
    "endpoint", ["http://a", "http://a:0", "http://a:65536", "http://a:1/v1", "a:4317", "ftp://a:1"]
)
def test_an_endpoint_without_a_port_or_with_a_path_is_refused(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="4318"):
        TracingSettings(endpoint=endpoint)


def test_an_endpoint_with_tls_is_refused_with_what_to_do() -> None:
    with pytest.raises(ValidationError, match="a collector near it"):
        TracingSettings(endpoint="https://a:4318")


@pytest.mark.parametrize("log", ["none", "failures", "all", "1%"])
def test_the_access_log_is_a_word_or_a_share(log: str) -> None:
    assert GatewaySettings(access_log=log).access_log == log


def test_another_word_for_the_access_log_is_refused() -> None:
    with pytest.raises(ValidationError, match="is not a share"):
        GatewaySettings(access_log="off")
