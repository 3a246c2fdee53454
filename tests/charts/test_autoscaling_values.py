"""charts/model: values of an autoscaler that are rejected, and what the notes say of those that nothing reads."""

from __future__ import annotations

from typing import Any

import pytest

from charts.autoscaled import EVERY_TARGET, PROMETHEUS, scaled
from fairlead.contracts.telemetry import SECONDS
from support.helm import HelmFailed, notes, render


@pytest.mark.parametrize(
    ("autoscaling", "complaint"),
    [
        (
            {"target": {"inFlight": "abc"}},
            r"at '/workload/autoscaling/target/inFlight': got string, want null or number",
        ),
        ({"target": {"inFlight": -1}}, r"at '/workload/autoscaling/target/inFlight': minimum: got -1, want 0"),
        ({"target": {"requestsPerSecond": "40"}}, r"target/requestsPerSecond': got string, want number"),
        (
            {"prometheus": {"authenticationRef": {"kind": "TriggerAuthentication"}}},
            r"'name' required, if 'kind' exists",
        ),
        ({"target": {"p95": "fast"}}, r'autoscaling\.target\.p95: "fast" is not a duration; write 500ms'),
        ({"target": {"p95": 0.5}}, r"autoscaling\.target\.p95: 0\.5 has no unit; write 0\.5s for seconds"),
        ({"target": {"p99": "1s"}}, r"additional properties 'p99' not allowed"),
        ({"prometheus": {"serverAddress": "prometheus:9090"}}, r"serverAddress: this is not a URL of a Prometheus"),
        ({"prometheus": {"window": 60}}, r"autoscaling\.prometheus\.window: 60 has no unit; write 60s"),
        ({"triggers": [{"type": "cron"}]}, r"triggers/0': missing property 'metadata'"),
        (
            {"triggers": [{"type": "cron", "metadata": {"desiredReplicas": 2}}]},
            r"desiredReplicas': got number, want string",
        ),
        (
            {"kind": "keda-http"},
            r"at '/workload/autoscaling/kind': value must be one of 'none', 'managed', 'hpa', 'keda', 'external'",
        ),
    ],
    ids=str,
)
def test_a_value_of_the_wrong_type_is_rejected_before_anything_is_rendered(
    autoscaling: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(HelmFailed, match=complaint):
        render("model", scaled(**autoscaling))


@pytest.mark.parametrize(
    ("autoscaling", "complaint"),
    [
        (
            {"maxInstances": 1},
            r"workload\.autoscaling\.maxInstances: 1 is less than the minimum of 2 pods; raise maxInstances or lower",
        ),
        (
            {"prometheus": {}},
            r"workload\.autoscaling\.prometheus\.serverAddress: is empty, but target\.inFlight is read from Prometheus",
        ),
        (
            {"prometheus": {}, "target": {"inFlight": 0, "p95": "1s"}},
            r"prometheus\.serverAddress: is empty, but target\.p95 is read from Prometheus; set the URL",
        ),
        ({"target": {"p95": "0s"}}, r"autoscaling\.target\.p95: is 0s, which no request can stay below"),
        (
            {"target": {"requestsPerSecond": 0.0005}},
            r"autoscaling\.target\.requestsPerSecond: is 0\.0005, and Kubernetes and KEDA count in thousandths; write",
        ),
        ({"target": {"inFlight": 0.0001}}, r"autoscaling\.target\.inFlight: is 0\.0001, and Kubernetes and KEDA count"),
        *(
            (
                {"prometheus": {**PROMETHEUS, "metadata": {key: "x"}}},
                rf"autoscaling\.prometheus\.metadata\.{key}: the chart itself writes this setting; remove it",
            )
            for key in ("query", "threshold", "serverAddress", "ignoreNullValues")
        ),
        ({"fallback": {"instances": 5}}, r"autoscaling\.fallback\.instances: 5 is more than maxInstances, 4; lower it"),
        (
            {"target": {"inFlight": 0}, "wanted": False},
            r"autoscaling\.kind: is keda, but there is nothing to scale by; set a target, wanted or triggers",
        ),
    ],
    ids=str,
)
def test_values_that_contradict_each_other_are_rejected_with_a_sentence(
    autoscaling: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(HelmFailed, match=complaint):
        render("model", scaled(**autoscaling))


@pytest.mark.parametrize("kind", ["keda", "hpa"])
@pytest.mark.parametrize("name", ["queue", "p95"])
def test_a_time_that_no_histogram_can_exceed_by_enough_is_no_target(kind: str, name: str) -> None:
    tolerance = 1.1  # up to 10 % above a target, an autoscaler does nothing
    assert 9.0 <= SECONDS[-1] / tolerance < 9.1
    render("model", scaled(kind=kind, target={name: "9s"}))
    for longer in ("9001ms", "10s", "1m"):
        with pytest.raises(
            HelmFailed, match=rf"autoscaling\.target\.{name}: is {longer}, and no time above 10s is mea"
        ):
            render("model", scaled(kind=kind, target={name: longer}))


def test_a_target_that_nothing_scales_by_need_not_be_one_that_a_histogram_can_exceed() -> None:
    render("model", scaled(kind="managed", target={"p95": "1m"}))


SLOW_DOWN = {"type": "Pods", "value": 1, "periodSeconds": 60}


@pytest.mark.parametrize("direction", ["scaleUp", "scaleDown"])
@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ({"stabilizationWindowSeconds": 3601}, "stabilizationWindowSeconds': maximum: got 3,?601, want 3,?600"),
        ({"stabilizationWindowSeconds": -1}, "stabilizationWindowSeconds': minimum: got -1, want 0"),
        ({"stabilizationWindowSeconds": "60"}, "stabilizationWindowSeconds': got string, want integer"),
        ({"policies": []}, "policies': minItems: got 0, want 1"),
        ({"policies": [{**SLOW_DOWN, "periodSeconds": 0}]}, "policies/0/periodSeconds': minimum: got 0, want 1"),
        ({"policies": [{**SLOW_DOWN, "periodSeconds": 1801}]}, "periodSeconds': maximum: got 1,?801, want 1,?800"),
        ({"policies": [{**SLOW_DOWN, "value": 0}]}, "policies/0/value': minimum: got 0, want 1"),
        ({"policies": [{**SLOW_DOWN, "type": "Pod"}]}, "policies/0/type': value must be one of 'Pods', 'Percent'"),
        ({"policies": [{"type": "Pods", "value": 1}]}, "policies/0': missing property 'periodSeconds'"),
        ({"selectPolicy": "Most"}, "selectPolicy': value must be one of 'Max', 'Min', 'Disabled'"),
        ({"stabilisationWindowSeconds": 60}, "additional properties 'stabilisationWindowSeconds' not allowed"),
    ],
    ids=str,
)
def test_how_fast_it_scales_must_be_what_the_api_server_takes(
    direction: str, rules: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(HelmFailed, match=complaint):
        render("model", scaled(behavior={direction: rules}))


def test_everything_that_the_api_server_takes_may_be_said_about_how_fast_it_scales() -> None:
    rules = {
        "stabilizationWindowSeconds": 3600,
        "selectPolicy": "Min",
        "policies": [SLOW_DOWN, {"type": "Percent", "value": 900, "periodSeconds": 1800}],
    }
    behavior = {"scaleUp": rules, "scaleDown": {**rules, "stabilizationWindowSeconds": 0}}
    [one, _] = render("model", scaled(behavior=behavior)).of("ScaledObject")
    assert {**one["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]} == behavior


@pytest.mark.parametrize("kind", ["none", "managed", "external"])
def test_notes_say_that_a_target_is_not_read(kind: str) -> None:
    target = {"inFlight": 8, "p95": "500ms"}
    said = " ".join(notes("model", scaled(kind=kind, target=target)).split())
    assert (
        f"WARNING: autoscaling.target of 1.0.0 has inFlight, p95, but autoscaling.kind is {kind}, which does not"
        in said
    )
    assert "autoscaling.target" not in notes("model", scaled(kind=kind))


@pytest.mark.parametrize("kind", ["keda", "hpa"])
def test_notes_say_nothing_about_targets_that_are_read(kind: str) -> None:
    assert "autoscaling.target" not in notes("model", scaled(kind=kind, target=EVERY_TARGET))


# a cluster without KEDA
