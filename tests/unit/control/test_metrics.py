from prometheus_client.parser import text_string_to_metric_families

from fairlead.contracts import telemetry
from fairlead.control.metrics import Metrics


def test_a_new_process_has_metrics_of_its_own_work() -> None:
    metrics = Metrics()
    metrics.ticked(0.002)
    metrics.answered("rds", "new")
    families = {family.name: family for family in text_string_to_metric_families(metrics.text().decode())}
    assert {
        sample.value
        for sample in families["fairlead_control_xds_answers"].samples
        if sample.labels == {"kind": "rds", "answer": "new"} and sample.name.endswith("_total")
    } == {1.0}
    assert telemetry.CONTROL_RECONCILE_SECONDS.name in families


def test_every_name_is_declared_once() -> None:
    names = [metric.name for metric in (*telemetry.CONTROL_PLANE, *telemetry.MODEL_SERVICE)]
    assert len(names) == len(set(names))
    assert all(metric.name.startswith("fairlead_control_") for metric in telemetry.CONTROL_PLANE)
