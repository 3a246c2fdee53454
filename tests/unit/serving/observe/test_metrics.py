import prometheus_client
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from fairlead.contracts import drift_telemetry, telemetry
from fairlead.serving.observe.board import PHASES, Board
from fairlead.serving.observe.metrics import FLUSH_AT, Metrics


def used() -> Metrics:
    board = Board()
    meter = Metrics("m", "1", board)
    meter.serving(artifact="ab", folder="cd", format="python", fairlead="0")
    meter.request_answered("predict", 200, 0.01)
    meter.request_dropped("deadline", 2)
    meter.request_failed(1)
    meter.rows_answered(3)
    meter.waited([0.001])
    meter.batch_computed(3, 0.002)
    board.enter("ready", "ready")
    meter.loaded(1.5)
    meter.batching_decided(True, "invariant")
    return meter


def test_exactly_the_declared_families_are_exposed_with_their_labels() -> None:
    exposed = {
        family.name: family
        for family in text_string_to_metric_families(used().text().decode())
        if family.name.startswith("fairlead_") and not family.name.endswith("_created")
    }
    declared = {metric.name.removesuffix("_total"): metric for metric in telemetry.MODEL_SERVICE}
    assert set(exposed) == set(declared)
    for name, metric in declared.items():
        assert exposed[name].type == metric.kind
        for sample in exposed[name].samples:
            if not sample.name.endswith("_created"):
                assert set(sample.labels) - {"le"} == set(metric.labels)


def test_every_family_of_the_declaration_is_in_its_list() -> None:
    values = [*vars(telemetry).values(), *vars(drift_telemetry).values()]
    declared = {value.name for value in values if isinstance(value, telemetry.Metric)}
    ours = (
        *telemetry.MODEL_SERVICE,
        *drift_telemetry.MODEL_DRIFT,
        *drift_telemetry.MODEL_VECTORS,
        *drift_telemetry.MODEL_QUALITY,
        *drift_telemetry.MODEL_FEEDBACK,
    )
    assert {metric.name for metric in ours} == {name for name in declared if name.startswith("fairlead_model_")}
    assert all(metric.labels[:2] == telemetry.MODEL_IDENTITY for metric in ours)
    assert all(metric.name.endswith("_total") == (metric.kind == "counter") for metric in ours)


def test_the_current_phase_is_1_and_the_others_are_0() -> None:
    text = used().text().decode()
    values = {phase: f'phase="{phase}",version="1"}} {float(phase == "ready")}' for phase in PHASES}
    assert all(line in text for line in values.values())


def test_two_services_in_one_process_have_separate_metrics() -> None:
    first, second = used(), Metrics("other", "2")
    assert b'model="m"' not in second.text()
    assert b'model="other"' not in first.text()


@given(st.lists(st.floats(0, 20) | st.sampled_from(telemetry.SECONDS), max_size=50))
def test_the_buckets_are_those_that_prometheus_client_counts(values: list[float]) -> None:
    reference = prometheus_client.Histogram("a", "", registry=None, buckets=telemetry.SECONDS)
    meter = Metrics("m", "1")
    meter.waited(values)
    for value in values:
        reference.observe(value)
    expected = {
        (one.name.removeprefix("a"), one.labels.get("le")): one.value
        for one in next(iter(reference.collect())).samples
        if one.name != "a_created"
    }
    name = telemetry.MODEL_QUEUE_SECONDS.name
    found = {
        (one.name.removeprefix(name), one.labels.get("le")): one.value
        for family in text_string_to_metric_families(meter.text().decode())
        if family.name == name
        for one in family.samples
    }
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("answers", [1, FLUSH_AT - 1, FLUSH_AT, FLUSH_AT + 1])
def test_every_answer_is_counted_whenever_the_metrics_are_read(answers: int) -> None:
    meter = Metrics("m", "1")
    for _ in range(answers):
        meter.request_answered("predict", 200, 0.01)
    labels = 'code="200",model="m",protocol="predict",version="1"'
    for _ in range(2):  # reading counts nothing twice
        text = meter.text().decode()
        assert f"fairlead_model_requests_total{{{labels}}} {float(answers)}" in text
        assert f'request_seconds_count{{model="m",protocol="predict",version="1"}} {float(answers)}' in text
