"""Quality as Prometheus records it from real services behind the gateway is that of numpy, with labels and without."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pytest

from fairlead.contracts import drift_telemetry, telemetry
from monitoring.recording import Records
from monitoring.rule_files import recording_rules
from monitoring.settings import DEFAULT, Quality
from support.drift.increase import increase
from support.drift.judges import CLASSES, MODEL, VERSION, drawn, judge
from support.platform import Platform, running_platform
from support.processes import wait_until
from support.prometheus import Prometheus, from_files, running_prometheus

WINDOW_S = 120
QUICK = replace(DEFAULT, window="8s", quality=Quality(window=f"{WINDOW_S}s", every="2s"))
QUALITY = Records(QUICK).quality
NAMES = (*CLASSES, "other")
NEAR, NEAR_ESTIMATE = 1e-6, 0.03
COUNT, IN_ONE = 6000, 1000
Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Judged:
    """A Prometheus that has scraped two instances, and what numpy makes of the same labels."""

    prometheus: Prometheus
    platform: Platform
    real: Matrix
    told: Counter[str]

    def value(self, record: str, at: float, **labels: str) -> float:
        matchers = ",".join(f'{label}="{value}"' for label, value in labels.items())
        (one,) = self.prometheus.query(f"{record}{{{matchers}}}", at=at)
        return float(one["value"][1])

    def evaluated(self) -> float:
        """When the rules were evaluated last."""
        (one,) = self.prometheus.query(f"{QUALITY.real.accuracy}[30s]")
        return float(one["values"][-1][0])

    def grown(self, metric: telemetry.Metric, at: float) -> Matrix:
        """The increase of the cells, extrapolated and added over all instances by us."""
        found = np.zeros((len(NAMES), len(NAMES)))
        for one in self.prometheus.query(f"{metric.name}[{WINDOW_S}s]", at=at):
            samples = [(float(when), float(value)) for when, value in one["values"]]
            places = NAMES.index(one["metric"]["predicted"]), NAMES.index(one["metric"]["truth"])
            found[places] += increase(samples, at - WINDOW_S, at) or 0
        return found

    def counters(self, metric: telemetry.Metric) -> Matrix:
        """The cells as the instances show them now."""
        found = np.zeros((len(NAMES), len(NAMES)))
        for one in self.prometheus.query(metric.name):
            places = NAMES.index(one["metric"]["predicted"]), NAMES.index(one["metric"]["truth"])
            found[places] += float(one["value"][1])
        return found

    def wait_for_estimate(self, rows: int) -> None:
        """Wait until so many rows are in the estimate."""

        def all_are_counted() -> bool:
            return bool(self.counters(drift_telemetry.MODEL_ESTIMATED_OUTCOMES).sum() > rows - 0.5)

        wait_until(all_are_counted, "all rows are in the estimate", every=0.2)


def send(client: httpx.Client, labels: Sequence[dict[str, Any]]) -> Counter[str]:
    told: Counter[str] = Counter()
    for start in range(0, len(labels), IN_ONE):
        body = {"feedback": labels[start : start + IN_ONE]}
        answer = client.post(f"/models/{MODEL}/feedback", json=body, headers={"x-model-version": VERSION})
        assert answer.status_code == 200, answer.text
        told.update(answer.json())
    return told


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    """Two instances answer rows that have moved, and get their labels in another order."""
    folder = tmp_path_factory.mktemp("quality")
    rows = drawn(COUNT, shift=0.8, seed=3)
    with ExitStack() as stack:
        stack.enter_context(pytest.MonkeyPatch.context()).setenv("FAIRLEAD_SERVING_FEEDBACK_BYTES", "1048576")
        platform = stack.enter_context(running_platform(folder, judge(folder / "models", instances=2)))
        targets = from_files(folder / ".fairlead" / "prometheus-targets.json")
        prometheus = stack.enter_context(
            running_prometheus(folder / "prometheus", [targets], interval="1s", rules=[recording_rules(QUICK)])
        )
        labels_metric = drift_telemetry.MODEL_FEEDBACK_LABELS.name
        prometheus.wait_for(f'count({labels_metric}{{outcome="counted"}}) == 2', "both instances are scraped")
        client = stack.enter_context(httpx.Client(base_url=platform.url, timeout=30))
        found = Judged(prometheus, platform, np.zeros((len(NAMES), len(NAMES))), Counter())
        labels: list[dict[str, Any]] = []
        for start in range(0, COUNT, IN_ONE):
            part = rows[start : start + IN_ONE]
            answer = client.post(f"/models/{MODEL}/predict", json=[{"value": value} for value, _ in part])
            assert answer.headers["x-model-version"] == VERSION
            labels += [
                {
                    "id": answer.headers["x-request-id"],
                    "row": row,
                    "version": VERSION,
                    "prediction": one,
                    "truth": truth,
                }
                for row, (one, (_, truth)) in enumerate(zip(answer.json(), part, strict=True))
            ]
            found.wait_for_estimate(len(labels))  # of more rows at once, a sample would be counted
        for one in labels:
            found.real[NAMES.index(one["prediction"]["label"]), NAMES.index(one["truth"])] += 1
        random.Random(0).shuffle(labels)
        found.told.update(send(client, labels))
        wait_until(
            lambda: found.counters(drift_telemetry.MODEL_FEEDBACK_OUTCOMES).sum() == COUNT,
            "all labels are scraped",
            every=0.5,
        )
        counted = f"sum({QUALITY.estimated.rows}) > 0 and sum({QUALITY.real.rows}) > 0"
        prometheus.wait_for(counted, "rules have been evaluated")
        yield found


def scores(matrix: Matrix) -> dict[str, Matrix]:
    """Accuracy, precision, recall and F1 by numpy."""
    right = np.diag(matrix)[: len(CLASSES)]
    said, true = matrix.sum(axis=1)[: len(CLASSES)], matrix.sum(axis=0)[: len(CLASSES)]
    return {
        "accuracy": right.sum() / matrix.sum(),
        "precision": right / said,
        "recall": right / true,
        "f1": 2 * right / (said + true),
    }


def test_labels_through_the_gateway_are_counted_as_numpy_counts_them(judged: Judged) -> None:
    assert judged.told == Counter(counted=COUNT)
    assert np.array_equal(judged.counters(drift_telemetry.MODEL_FEEDBACK_OUTCOMES), judged.real)


@pytest.mark.parametrize("kind", ["real", "estimated"])
def test_recorded_quality_is_that_of_numpy_on_the_same_counters(judged: Judged, kind: str) -> None:
    records = getattr(QUALITY, kind)
    metric = {"real": drift_telemetry.MODEL_FEEDBACK_OUTCOMES, "estimated": drift_telemetry.MODEL_ESTIMATED_OUTCOMES}[
        kind
    ]
    at = judged.evaluated()
    expected = scores(judged.grown(metric, at))
    assert judged.value(records.accuracy, at) == pytest.approx(expected["accuracy"], rel=NEAR)
    for name in ("precision", "recall", "f1"):
        for place, one in enumerate(CLASSES):
            found = judged.value(getattr(records, name), at, **{"class": one})
            assert found == pytest.approx(expected[name][place], rel=NEAR)


def test_the_quality_of_the_held_out_rows_is_that_of_the_profile(judged: Judged) -> None:
    found = judged.counters(drift_telemetry.MODEL_REFERENCE_OUTCOMES) / 2  # two instances show the same
    at = judged.evaluated()
    assert judged.value(QUALITY.reference.accuracy, at) == pytest.approx(scores(found)["accuracy"], rel=NEAR)


def test_estimated_f1_is_near_the_real_one_though_inputs_have_moved(judged: Judged) -> None:
    estimated, real = judged.counters(drift_telemetry.MODEL_ESTIMATED_OUTCOMES), judged.real
    assert estimated.sum() > 0
    assert scores(estimated)["f1"] == pytest.approx(scores(real)["f1"], abs=NEAR_ESTIMATE)


def test_a_label_of_a_version_that_is_not_served_is_404_and_one_sent_to_another_version_is_unknown(
    judged: Judged,
) -> None:
    label = {"id": "x", "version": "9.9.9", "prediction": "high", "truth": "low"}
    with httpx.Client(base_url=judged.platform.url, timeout=30) as client:
        gone = client.post(f"/models/{MODEL}/versions/9.9.9/feedback", json={"feedback": [label]})
        other = client.post(f"/models/{MODEL}/feedback", json={"feedback": [label]})
        bad = client.post(f"/models/{MODEL}/feedback", json={"feedback": [{**label, "version": VERSION, "truth": 1}]})
    assert (gone.status_code, other.status_code, bad.status_code) == (404, 200, 422)
    assert other.json()["unknown"] == 1
    assert bad.json()["errors"][0]["loc"] == ["body", "feedback", 0, "truth"]
