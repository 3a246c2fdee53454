import pytest

from fairlead.contracts.tracing import TracingSettings
from fairlead.control.request_records import access_log, tracing
from fairlead.routing.snapshot import AccessLog, Endpoint, Tracing


def test_without_settings_there_are_no_spans() -> None:
    assert tracing(None) is None


def test_settings_become_the_gateways_own() -> None:
    given = TracingSettings(endpoint="grpc://otel.svc:4317", sample="0.5%", follow_callers=True)
    assert tracing(given) == Tracing(Endpoint("otel.svc.", 4317), is_grpc=True, per_million=5_000, follows_callers=True)


@pytest.mark.parametrize(
    ("host", "expected"), [("localhost", "127.0.0.1"), ("10.0.0.1", "10.0.0.1"), ("[::1]", "::1"), ("otel", "otel.")]
)
def test_a_host_is_an_address_or_a_whole_name(host: str, expected: str) -> None:
    found = tracing(TracingSettings(endpoint=f"http://{host}:4318"))
    assert found is not None
    assert found.collector.host == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("none", None),
        ("failures", AccessLog("/log", 0)),
        ("all", AccessLog("/log", 1_000_000)),
        ("2%", AccessLog("/log", 20_000)),
    ],
)
def test_the_word_or_the_share_sets_how_many_successes_are_logged(given: str, expected: AccessLog | None) -> None:
    assert access_log(given, "/log") == expected
