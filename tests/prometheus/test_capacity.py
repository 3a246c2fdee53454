"""Capacity and cost, with the real promtool: what belongs to which version, and what it costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fairlead.contracts import outside_telemetry as outside
from fairlead.contracts import telemetry
from monitoring.capacity_recording import of_owner, of_pods
from monitoring.promql import series
from monitoring.recording import Records
from monitoring.settings import DEFAULT, Prices
from prometheus.capacity_cases import VERSION, WANTED, autoscaler
from prometheus.cases import Inputs, gauge, rising
from prometheus.promtool import passes, queried

RECORDS = Records(DEFAULT).capacity
PODS = {"iris-a": "10.0.0.1:8080", "iris-b": "10.0.0.2:8080"}


def pods(cores: float = 0.5, rows_a_second: float = 10) -> Inputs:
    """Two pods of iris, as Prometheus finds them."""
    found: dict[str, str] = {}
    for pod, instance in PODS.items():
        where = {"namespace": "shop", "instance": instance, "pod": pod}
        found |= gauge(telemetry.MODEL_INFO, 1, **where, model="iris", version="1.0.0")
        found[series(telemetry.PROCESS_CPU, fairlead_process="model", **where)] = rising(60 * cores)
        found |= gauge(telemetry.PROCESS_MEMORY, 1e8, fairlead_process="model", **where)
        rows = series(telemetry.MODEL_ROWS, outcome="answered", **VERSION, instance=instance, pod=pod)
        found[rows] = rising(60 * rows_a_second)
    return found


def reserves(resource: str, amount: float, node: str = "cpu-1", pod: str = "iris-a") -> Inputs:
    where = {"namespace": "shop", "pod": pod, "container": "model", "node": node}
    return gauge(outside.POD_REQUESTS, amount, resource=resource, **where)


def found(record: str, value: float, labels: str = "") -> dict[str, object]:
    name = f'{record}{{namespace="shop",model="iris",version="1.0.0"{labels}}}'
    return {"expr": record, "eval_time": "20m", "exp_samples": [{"labels": name, "value": value}]}


def nothing(record: str) -> dict[str, object]:
    return {"expr": record, "eval_time": "20m", "exp_samples": []}


def test_processors_and_memory_of_all_pods_belong_to_the_version_that_they_report(tmp_path: Path) -> None:
    passes(tmp_path, queried(pods(), [found(RECORDS.cpu, 1), found(RECORDS.memory, 2e8), found(RECORDS.rows, 20)]))


def test_an_hour_costs_the_cores_that_are_used_where_nothing_is_reserved(tmp_path: Path) -> None:
    passes(tmp_path, queried(pods(), [found(RECORDS.cost, 0.04)]))


def test_an_hour_costs_the_cores_that_are_reserved_if_they_are_more(tmp_path: Path) -> None:
    passes(tmp_path, queried({**pods(), **reserves("cpu", 4)}, [found(RECORDS.cost, 0.16)]))


def test_a_pod_that_uses_more_than_it_has_reserved_costs_what_it_uses(tmp_path: Path) -> None:
    passes(tmp_path, queried({**pods(), **reserves("cpu", 0.1)}, [found(RECORDS.cost, 0.04)]))


@pytest.mark.parametrize("resource", ["nvidia_com_gpu", "nvidia_com_mig_1g_10gb"])
def test_gpus_and_their_slices_are_in_the_cost(resource: str, tmp_path: Path) -> None:
    inputs = {**pods(), **reserves(resource, 1), **reserves(resource, 1, pod="iris-b")}
    hour = 0.04 + 2 * 0.8
    wanted = [found(RECORDS.gpus, 2), found(RECORDS.cost, hour), found(RECORDS.cost_per_1000, 1000 * hour / 3600 / 20)]
    passes(tmp_path, queried(inputs, wanted))


def test_gpus_of_other_pods_are_nobodys_cost_here(tmp_path: Path) -> None:
    inputs = {**pods(), **reserves("nvidia_com_gpu", 8, pod="notebook")}
    passes(tmp_path, queried(inputs, [found(RECORDS.cost, 0.04), nothing(RECORDS.gpus)]))


def test_a_version_without_answers_has_a_cost_by_the_hour_and_none_by_prediction(tmp_path: Path) -> None:
    passes(tmp_path, queried(pods(rows_a_second=0), [found(RECORDS.cost, 0.04), nothing(RECORDS.cost_per_1000)]))


def test_a_pool_can_have_a_price_of_its_own(tmp_path: Path) -> None:
    priced = Records(replace(DEFAULT, prices=Prices(cpu=0, gpu=1, pools=(("h100-.*", 4), ("spot-.*", 0.5)))))
    (rule,) = [one for one in priced.every if one.name == RECORDS.cost]
    inputs = {
        **pods(),
        **reserves("nvidia_com_gpu", 2, "h100-7"),
        **reserves("nvidia_com_gpu", 1, "other-1", pod="iris-b"),
    }
    sample = {"labels": '{namespace="shop",model="iris",version="1.0.0"}', "value": 9}
    passes(tmp_path, queried(inputs, [{"expr": rule.expression, "eval_time": "20m", "exp_samples": [sample]}]))


def test_an_autoscaler_belongs_to_the_version_whose_name_it_has(tmp_path: Path) -> None:
    target = {"namespace": "shop", "horizontalpodautoscaler": "iris-82dbe2be8b", "metric_name": "s0-prometheus"}
    inputs = {
        **autoscaler(3),
        **gauge(outside.AUTOSCALER_READ, 3, metric_target_type="average", **target),
        **gauge(outside.AUTOSCALER_TARGET, 2, metric_target_type="average", **target),
        **gauge(outside.DEPLOYMENT_READY, 2, namespace="shop", deployment="iris-82dbe2be8b"),
        **gauge(outside.DEPLOYMENT_READY, 9, namespace="shop", deployment="another"),
    }
    wanted = [found(RECORDS.desired, 3), found(RECORDS.most, 4), found(RECORDS.ready, 2)]
    passes(tmp_path, queried(inputs, [*wanted, found(RECORDS.of_target, 1.5, ',metric_name="s0-prometheus"')]))


@pytest.mark.parametrize("place", ["pod", "exported_pod"])
def test_a_gpu_belongs_to_the_pod_that_the_exporter_names_however_it_is_scraped(place: str, tmp_path: Path) -> None:
    space = place.replace("pod", "namespace")
    others = "" if place == "pod" else 'pod="dcgm-exporter-x",namespace="gpu-operator",'
    busy = f'{outside.GPU_BUSY.name}{{{others}gpu="0",{place}="iris-a",{space}="shop"}}'
    expression = of_pods(of_owner(outside.GPU_BUSY.name), "pod")
    sample = {"labels": '{namespace="shop",model="iris",version="1.0.0"}', "value": 70}
    inputs = {**pods(), **WANTED, busy: "70+0x60"}
    passes(tmp_path, queried(inputs, [{"expr": expression, "eval_time": "20m", "exp_samples": [sample]}]))
