from prometheus_client.parser import text_string_to_metric_families

from fairlead.contracts import telemetry
from fairlead.serving.observe.metrics import PHASES, Metrics


def used() -> Metrics:
    meter = Metrics("m", "1")
    meter.serving(artifact="ab", format="python", fairlead="0")
    meter.request_answered("predict", 200, 0.01)
    meter.request_dropped("deadline", 2)
    meter.request_failed(1)
    meter.rows_answered(3)
    meter.waited(0.001)
    meter.batch_computed(3, 0.002)
    meter.phase_entered("ready")
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
    declared = {value.name for value in vars(telemetry).values() if isinstance(value, telemetry.Metric)}
    assert {metric.name for metric in telemetry.MODEL_SERVICE} <= declared
    assert all(metric.labels[:2] == telemetry.MODEL_IDENTITY for metric in telemetry.MODEL_SERVICE)
    assert all(metric.name.endswith("_total") == (metric.kind == "counter") for metric in telemetry.MODEL_SERVICE)


def test_one_phase_is_one_and_the_others_are_zero() -> None:
    text = used().text().decode()
    values = {phase: f'phase="{phase}",version="1"}} {float(phase == "ready")}' for phase in PHASES}
    assert all(line in text for line in values.values())


def test_two_services_of_one_process_share_nothing() -> None:
    first, second = used(), Metrics("other", "2")
    assert b'model="m"' not in second.text()
    assert b'model="other"' not in first.text()
