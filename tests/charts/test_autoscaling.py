"""charts/model: what an autoscaler is told, from one set of values for KEDA and for a HorizontalPodAutoscaler."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from charts.autoscaled import EVERY_TARGET, KEDA, PROMETHEUS, scaled
from charts.sample import IRIS, replaced, with_workload
from charts.schemas import VERSIONS, complaints
from fairlead.contracts.route import RouteSpec
from fairlead.control.api import build_api
from fairlead.store.sqlite import SqliteStore
from monitoring.recording import Records
from monitoring.settings import DEFAULT, Settings
from support.helm import HelmFailed, Object, notes, render
from unit.control.test_api import NOW, Client, FakeLoop

RECORDS = Records(DEFAULT)


def triggers(one: Object) -> dict[str, dict[str, str]]:
    """The settings of each trigger, by name."""
    return {trigger["name"]: trigger["metadata"] for trigger in one["spec"]["triggers"]}


def external(one: Object) -> dict[str, dict[str, Any]]:
    """The target of each external metric, by the name of its series."""
    found = [metric["external"] for metric in one["spec"]["metrics"] if metric["type"] == "External"]
    return {metric["metric"]["name"]: metric["target"] for metric in found}


# what is compared with which target


def test_a_version_gets_its_triggers_in_a_fixed_order() -> None:
    for one in render("model", scaled(target=EVERY_TARGET)).of("ScaledObject"):
        assert list(triggers(one)) == ["inFlight", "requestsPerSecond", "queue", "p95", "wanted"]
        kinds = {trigger["name"]: (trigger["type"], trigger["metricType"]) for trigger in one["spec"]["triggers"]}
        assert kinds == {
            "inFlight": ("prometheus", "AverageValue"),
            "requestsPerSecond": ("prometheus", "AverageValue"),
            "queue": ("prometheus", "Value"),
            "p95": ("prometheus", "Value"),
            "wanted": ("metrics-api", "AverageValue"),
        }


def test_without_a_target_of_its_own_a_pod_has_two_requests_in_flight_for_each_thread() -> None:
    values = {**scaled(), "workload": {"autoscaling": KEDA, "serving": {"threads": 3}}}
    values = replaced(values, ("versions", "1.1.0", "overrides"), {"serving": {"threads": 1}})
    found = {
        one["metadata"]["labels"]["fairlead.dev/version"]: triggers(one)
        for one in render("model", values).of("ScaledObject")
    }
    assert {version: set(each) for version, each in found.items()} == dict.fromkeys(
        ("1.0.0", "1.1.0"), {"inFlight", "wanted"}
    )
    assert [found[version]["inFlight"]["threshold"] for version in ("1.0.0", "1.1.0")] == ["6", "2"]


def test_the_default_of_requests_in_flight_counts_the_workers_of_a_pod() -> None:
    several = with_workload(autoscaling=KEDA, serving={"threads": 3, "workers": 2})
    found = [triggers(one)["inFlight"]["threshold"] for one in render("model", several).of("ScaledObject")]
    assert set(found) == {"12"}


def test_with_as_many_workers_as_cores_the_requests_in_flight_must_be_said() -> None:
    with pytest.raises(HelmFailed, match=r"target\.inFlight: is null, and with serving\.workers: auto"):
        render("model", with_workload(autoscaling=KEDA, serving={"workers": "auto"}))


def test_a_query_reads_one_recorded_series_of_one_version() -> None:
    values = {**scaled(target=EVERY_TARGET), "target": "2", "versions": {"2": {}}}
    one = render("model", values, namespace="shop").one("ScaledObject")
    found = {name: each["query"] for name, each in triggers(one).items() if "query" in each}

    def of(name: str) -> str:
        return f'{name}{{namespace="shop",model="iris",version="2"}}'

    queue, latency = of(RECORDS.scaling_queue), of(RECORDS.scaling_latency)
    assert found == {
        "inFlight": of(RECORDS.scaling_in_flight),
        "requestsPerSecond": of(RECORDS.scaling_requests),
        "queue": f"clamp_max(({queue} > 0.1) / 0.1, 2) or 0 * {queue}",
        "p95": f"clamp_max(({latency} > 1.5) / 1.5, 2) or 0 * {latency}",
    }


def test_both_kinds_read_the_same_series_with_the_same_targets() -> None:
    hpa = render("model", scaled(kind="hpa", target=EVERY_TARGET)).of("HorizontalPodAutoscaler")[0]
    assert external(hpa) == {
        RECORDS.scaling_in_flight: {"type": "AverageValue", "averageValue": "8"},
        RECORDS.scaling_requests: {"type": "AverageValue", "averageValue": "40.5"},
        RECORDS.scaling_queue: {"type": "Value", "value": "0.1"},
        RECORDS.scaling_latency: {"type": "Value", "value": "1.5"},
        RECORDS.scaling_wanted: {"type": "AverageValue", "averageValue": "1"},
    }
    for metric in hpa["spec"]["metrics"]:
        if metric["type"] == "External":
            selector = metric["external"]["metric"]["selector"]["matchLabels"]
            assert selector == {"model": "iris", "version": hpa["metadata"]["labels"]["fairlead.dev/version"]}


def test_another_window_gives_the_names_that_the_rules_have_with_that_window() -> None:
    records = Records(Settings(scaling_window="30s"))
    values = scaled(kind="hpa", target=EVERY_TARGET, prometheus={"window": "30s"})
    assert set(external(render("model", values).of("HorizontalPodAutoscaler")[0])) == {
        records.scaling_in_flight,
        records.scaling_requests,
        records.scaling_queue,
        records.scaling_latency,
        records.scaling_wanted,
    }


def test_an_autoscaler_by_cpu_alone_needs_no_adapter_for_external_metrics() -> None:
    for one in render("model", with_workload(autoscaling={"kind": "hpa"})).of("HorizontalPodAutoscaler"):
        assert [metric["type"] for metric in one["spec"]["metrics"]] == ["Resource"]


def test_what_a_rollout_wants_is_asked_of_the_control_plane_itself() -> None:
    platform = {"release": "edge", "namespace": "serving"}
    control = render("platform", release="edge", namespace="serving").one("Service", "edge-control-plane")
    [port] = [one["port"] for one in control["spec"]["ports"] if one["name"] == "http"]
    for one in render("model", {**scaled(), "platform": platform}, namespace="serving").of("ScaledObject"):
        identity = one["metadata"]["labels"]["fairlead.dev/identity"]
        assert triggers(one)["wanted"] == {
            "url": f"http://edge-control-plane.serving.svc.cluster.local:{port}/models/iris/versions/{identity}/wanted",
            "valueLocation": "wanted",
            "targetValue": "1",
        }


def test_the_control_plane_answers_at_the_address_that_keda_is_given(tmp_path: Path) -> None:
    rendered = render("model", scaled())
    spec = RouteSpec.model_validate(rendered.one("ModelRoute")["spec"])
    store = SqliteStore(tmp_path / "ledger.db")
    store.put_route("iris", spec, now=NOW, actor="test")
    ref = spec.versions["1.1.0"].ref("1.1.0")
    entry = {"ref": ref.to_json(), "instances": 3, "reason": "its next share is 50 %"}
    store.set_status("iris", {"route": "iris", "observedGeneration": 1, "wanted": [entry]})

    trigger = triggers(rendered.one("ScaledObject", f"iris-{ref.identity}"))["wanted"]
    answer = Client(build_api(store, FakeLoop())).get(urlsplit(trigger["url"]).path)
    assert (answer.status_code, answer.json()[trigger["valueLocation"]]) == (200, 3)


def test_a_prometheus_with_a_password_gets_a_trigger_authentication() -> None:
    named = {"name": "prometheus", "kind": "ClusterTriggerAuthentication"}
    values = scaled(prometheus={**PROMETHEUS, "authenticationRef": named, "metadata": {"authModes": "bearer"}})
    for one in render("model", values).of("ScaledObject"):
        in_flight, wanted = one["spec"]["triggers"]
        assert in_flight["authenticationRef"] == named
        assert in_flight["metadata"]["authModes"] == "bearer"
        assert "authenticationRef" not in wanted


# what an autoscaler may do


def test_a_reading_that_fails_keeps_the_pods_that_run() -> None:
    for one in render("model", scaled(target=EVERY_TARGET)).of("ScaledObject"):
        assert one["spec"]["fallback"] == {"behavior": "currentReplicasIfHigher", "failureThreshold": 3, "replicas": 2}
        read = [each for each in triggers(one).values() if "query" in each]
        assert [each["ignoreNullValues"] for each in read] == ["false"] * 4


def test_keda_takes_over_the_autoscaler_of_the_same_name() -> None:
    hpa = render("model", with_workload(autoscaling={"kind": "hpa"})).of("HorizontalPodAutoscaler")
    keda = render("model", scaled()).of("ScaledObject")
    assert [one["metadata"]["name"] for one in hpa] == [
        one["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["name"] for one in keda
    ]
    for one in keda:
        assert one["metadata"]["annotations"]["scaledobject.keda.sh/transfer-hpa-ownership"] == "true"


KINDS = ("none", "managed", "hpa", "keda", "external")
numbers = st.integers(0, 1000) | st.floats(0.001, 1000)
times = st.sampled_from(["", "1ms", "250ms", "1s", "2.5s", "1s500ms", "9s"])
autoscalers = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(KINDS),
        "prometheus": st.fixed_dictionaries(
            {"serverAddress": st.just("https://prometheus.example/tenant")},
            optional={"window": st.sampled_from(["15s", "2m"]), "metadata": st.just({"authModes": "bearer"})},
        ),
        "maxInstances": st.integers(64, 1000),
    },
    optional={
        "target": st.fixed_dictionaries(
            {},
            optional={
                "inFlight": st.none() | numbers,
                "requestsPerSecond": numbers,
                "queue": times,
                "p95": times,
            },
        ),
        "wanted": st.just(True),
        "fallback": st.fixed_dictionaries(
            {}, optional={"instances": st.none() | st.integers(1, 64), "failureThreshold": st.integers(0, 9)}
        ),
        "cpuPercent": st.integers(1, 200),
        "behavior": st.just({}) | st.just({"scaleDown": {"selectPolicy": "Disabled"}}),
        "triggers": st.just([{"type": "cpu", "metricType": "Utilization", "metadata": {"value": "60"}}]),
    },
)
workloads = st.fixed_dictionaries(
    {"autoscaling": autoscalers},
    optional={
        "instances": st.integers(1, 64),
        "serving": st.fixed_dictionaries({"threads": st.integers(1, 64)}),
    },
)


@settings(max_examples=40, suppress_health_check=list(HealthCheck), phases=[Phase.explicit, Phase.generate])
@given(workloads, st.fixed_dictionaries({}, optional={"autoscaling": autoscalers}))
def test_random_values_give_valid_autoscalers_and_no_replicas_beside_them(
    workload: dict[str, Any], overrides: dict[str, Any]
) -> None:
    values = replaced({**IRIS, "workload": workload}, ("versions", "1.1.0", "overrides"), overrides)
    rendered = render("model", values)
    kinds = {"1.0.0": workload["autoscaling"]["kind"]}
    kinds["1.1.0"] = overrides.get("autoscaling", workload["autoscaling"])["kind"]
    scalers = {
        one["metadata"]["labels"]["fairlead.dev/version"]: one
        for kind in ("ScaledObject", "HorizontalPodAutoscaler")
        for one in rendered.of(kind)
    }
    for deployment in rendered.of("Deployment"):
        version = deployment["metadata"]["labels"]["fairlead.dev/version"]
        assert ("replicas" in deployment["spec"]) is (kinds[version] == "none")
        one = scalers.get(version)
        assert (one and one["kind"]) == {"hpa": "HorizontalPodAutoscaler", "keda": "ScaledObject"}.get(kinds[version])
        if one:
            assert one["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
            assert [
                complaint for release in (VERSIONS[0], VERSIONS[-1]) for complaint in complaints(one, release)
            ] == []
            if one["kind"] == "ScaledObject":
                check_scaled_object(one)


def check_scaled_object(one: Object) -> None:
    """What KEDA checks only when it reads a trigger."""
    spec = one["spec"]
    assert spec["minReplicaCount"] <= spec["maxReplicaCount"]
    assert 1 <= spec["fallback"]["replicas"] <= spec["maxReplicaCount"]
    names = [trigger.get("name") for trigger in spec["triggers"] if "name" in trigger]
    assert len(names) == len(set(names))
    assert {"metrics-api", "prometheus"} & {trigger["type"] for trigger in spec["triggers"]}, (
        "KEDA needs one for fallback"
    )
    for metadata in triggers_of(spec, "prometheus"):
        assert float(metadata["threshold"]) > 0
        assert metadata.keys() <= {"serverAddress", "query", "threshold", "ignoreNullValues", "authModes"}


def triggers_of(spec: dict[str, Any], kind: str) -> list[dict[str, str]]:
    return [trigger["metadata"] for trigger in spec["triggers"] if trigger["type"] == kind]


@pytest.mark.parametrize("mode", ["never", "skipIfMissing", "failIfMissing", "always"])
def test_the_render_mode_decides_whether_a_scaled_object_is_rendered(mode: str) -> None:
    values = scaled(renderMode=mode)
    there = render("model", values, apis=["keda.sh/v1alpha1/ScaledObject"])
    assert len(there.of("ScaledObject")) == (0 if mode == "never" else 2)
    if mode == "failIfMissing":
        with pytest.raises(HelmFailed, match=r"autoscaling\.renderMode: is failIfMissing, but the cluster has no keda"):
            render("model", values)
    else:
        assert len(render("model", values).of("ScaledObject")) == (2 if mode == "always" else 0)


def test_notes_say_whom_keda_asks_and_warn_if_nothing_scales() -> None:
    said = notes("model", scaled())
    assert "kubectl -n default get scaledobjects,hpa --selector fairlead.dev/model=iris" in said
    assert "http://prometheus.monitoring:9090" in said
    assert "WARNING" not in said
    skipped = notes("model", scaled(renderMode="skipIfMissing"))
    assert "WARNING: nothing scales 1.0.0: autoscaling.kind is keda, but the cluster has no ScaledObject" in skipped
