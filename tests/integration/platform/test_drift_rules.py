"""PSI and its critical value as Prometheus records them from four real services are those of numpy, also in a slice."""

from __future__ import annotations

import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from fairlead.contracts import drift_telemetry, telemetry
from fairlead.profile.statistics import psi, psi_critical
from fairlead.profile.vectors import mmd
from monitoring.recording import Records
from monitoring.rule_files import recording_rules
from monitoring.settings import DEFAULT, Drift
from support.drift import doublers as measured
from support.drift.increase import increase
from support.drift.requests import Drawn
from support.load.open_loop import OpenLoop
from support.platform import doublers, running_platform
from support.processes import wait_until
from support.prometheus import Prometheus, from_files, running_prometheus

WINDOW_S = 24
COMPARED_S = WINDOW_S // 2
QUICK = replace(DEFAULT, window="8s", drift=Drift(windows=((f"{WINDOW_S}s", "2s"),), shown_rows=20))
DRIFT = Records(QUICK).drift[0]
VERSIONS = ("1.0.0", "1.1.0")
FEATURES = ("value", "kind", "prediction")
PARTS = ("", measured.PART.name)
"""All rows, and the slice."""
NEAR = 1e-6
Counts = dict[str, float]


@dataclass(frozen=True)
class Live:
    """What numpy makes of the raw counters of one version at one time."""

    values: Mapping[str, Counts]
    requests: float

    def counts(self, feature: str) -> list[float]:
        return [self.values[feature][name] for name in sorted(self.values[feature])]

    def independent(self, feature: str) -> float:
        return min(sum(self.counts(feature)), self.requests)


class Recorded:
    """A Prometheus that has scraped four services, one of which was killed and restarted."""

    def __init__(self, prometheus: Prometheus) -> None:
        self.prometheus = prometheus

    def times(self) -> list[float]:
        """When the rules were evaluated, within the last seconds."""
        (one,) = self.prometheus.query(
            f'{DRIFT.psi}{{version="{VERSIONS[0]}",feature="value",slice=""}}[{COMPARED_S}s]'
        )
        return [at for at, _ in one["values"]]

    def value(self, record: str, at: float, **labels: str) -> float:
        """What was recorded at a time."""
        matchers = ",".join(f'{label}="{value}"' for label, value in ({"slice": ""} | labels).items())
        (one,) = self.prometheus.query(f"{record}{{{matchers}}}", at=at)
        return float(one["value"][1])

    def live(self, version: str, at: float, part: str = "") -> Live:
        """The raw counters, extrapolated and added over all instances by us."""
        values: dict[str, Counts] = defaultdict(lambda: defaultdict(float))
        for labels, grown in self._grown(drift_telemetry.MODEL_DRIFT_VALUES.name, version, part, at):
            values[labels["feature"]][labels["bin"]] += grown
        requests = sum(grown for _, grown in self._grown(drift_telemetry.MODEL_DRIFT_REQUESTS.name, version, part, at))
        return Live(values, requests)

    def reference(self, version: str, part: str) -> dict[str, Counts]:
        """The counts of the reference, as one instance shows them."""
        values: dict[str, Counts] = defaultdict(dict)
        name = drift_telemetry.MODEL_DRIFT_REFERENCE_VALUES.name
        for one in self.prometheus.query(f'{name}{{version="{version}",slice="{part}"}}'):
            values[one["metric"]["feature"]][one["metric"]["bin"]] = float(one["value"][1])
        return values

    def turned(self, version: str, at: float) -> tuple[npt.NDArray[np.float64], float]:
        """The sums of the waves in each direction, and the vectors, extrapolated and added by us."""
        sums: dict[str, float] = defaultdict(float)
        for labels, grown in self._grown(drift_telemetry.MODEL_DRIFT_DIRECTIONS.name, version, "", at):
            sums[labels["direction"]] += grown
        vectors = sum(grown for _, grown in self._grown(drift_telemetry.MODEL_DRIFT_VECTORS.name, version, "", at))
        return np.array([sums[name] for name in sorted(sums)]), vectors

    def vectors(self, version: str) -> tuple[npt.NDArray[np.float64], float, float]:
        """The mean waves of the reference, its vectors, and the critical value of one of each sample."""
        means = self._shown(drift_telemetry.MODEL_DRIFT_REFERENCE_DIRECTIONS, version)
        (rows,) = self._shown(drift_telemetry.MODEL_DRIFT_REFERENCE_VECTORS, version).values()
        (critical,) = self._shown(drift_telemetry.MODEL_DRIFT_VECTOR_CRITICAL, version).values()
        return np.array([means[name] for name in sorted(means)]), rows, critical

    def _shown(self, metric: telemetry.Metric, version: str) -> Counts:
        found = self.prometheus.query(f'{metric.name}{{version="{version}"}}')
        return {one["metric"].get("direction", ""): float(one["value"][1]) for one in found}

    def _grown(self, name: str, version: str, part: str, at: float) -> Iterator[tuple[dict[str, Any], float]]:
        for one in self.prometheus.query(f'{name}{{version="{version}",slice="{part}"}}[{WINDOW_S}s]', at=at):
            samples = [(float(when), float(value)) for when, value in one["values"]]
            grown = increase(samples, at - WINDOW_S, at)
            if grown is not None:
                yield one["metric"], grown


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorded]:
    """A rollout at 50 % with two instances of each version. One instance is killed while it gets requests."""
    folder = tmp_path_factory.mktemp("drift")
    strategy = {"steps": [{"weight": 5000, "minDuration": "10m"}], "minRequests": 0}
    models = doublers(folder, *VERSIONS, instances=2, strategy=strategy)
    for version in VERSIONS:
        measured.measure(folder / "models" / "doubler" / version)
    with ExitStack() as stack:
        platform = stack.enter_context(running_platform(folder, models))
        file = folder / ".fairlead" / "prometheus-targets.json"
        prometheus = stack.enter_context(
            running_prometheus(
                folder / "prometheus",
                [from_files(file)],
                interval="2s",
                rules=[recording_rules(QUICK)],
            )
        )
        stack.enter_context(OpenLoop(platform.url, rate=40, seconds=100, request=Drawn()))
        platform.command("release", "doubler", "1.1.0")
        platform.wait_for("doubler", "the candidate has its share", weight=5000)
        rows = drift_telemetry.MODEL_DRIFT_ROWS.name
        prometheus.wait_for(f"count({rows} > 50) == 4", "each of four instances has counted rows")
        pid = next(pid for name, pid in platform.children().items() if "1.0.0" in name)
        os.kill(pid, signal.SIGKILL)
        prometheus.wait_for(f"resets({rows}[{WINDOW_S}s]) > 0", "a restarted instance counts from 0")
        since = time.monotonic()
        wait_until(lambda: time.monotonic() > since + WINDOW_S / 3, "some rows more are counted")
        # `Recorded.times` are those of stable: on a quick machine the candidate may be younger than the oldest of them.
        series = len(VERSIONS) * len(FEATURES) * len(PARTS)
        for record in (DRIFT.psi, DRIFT.critical):
            prometheus.wait_for(
                f"count({record} offset {COMPARED_S + 2}s) == {series}",
                f"{record} was recorded at all times that are compared",
            )
        yield Recorded(prometheus)


def test_psi_and_critical_value_are_those_of_numpy_while_an_instance_restarts(recorded: Recorded) -> None:
    compared = [
        (version, feature, part, at, recorded.value(record, at, version=version, feature=feature, slice=part), expected)
        for version in VERSIONS
        for feature in FEATURES
        for part in PARTS
        for at in recorded.times()
        for record, expected in expectations(recorded, version, feature, part, at).items()
    ]
    assert len(compared) >= 2 * 2 * 2 * 3 * 4
    assert [one for one in compared if abs(one[-2] - one[-1]) > NEAR * one[-1]] == []


def expectations(recorded: Recorded, version: str, feature: str, part: str, at: float) -> dict[str, float]:
    live, reference = recorded.live(version, at, part), recorded.reference(version, part)[feature]
    assert sorted(live.values[feature]) == sorted(reference)
    counts = [reference[name] for name in sorted(reference)]
    (quantile,) = {
        float(one["value"][1])
        for one in recorded.prometheus.query(
            f'{drift_telemetry.MODEL_DRIFT_CRITICAL.name}{{version="{version}",feature="{feature}"}}'
        )
    }
    return {
        DRIFT.psi: psi(live.counts(feature), counts),
        DRIFT.critical: psi_critical(quantile, live.independent(feature), sum(counts)),
    }


def test_the_psi_of_the_candidate_against_stable_is_that_of_numpy(recorded: Recorded) -> None:
    for at in recorded.times():
        stable, candidate = (recorded.live(version, at) for version in VERSIONS)
        for feature in FEATURES:
            found = recorded.value(DRIFT.candidate_psi, at, version="1.1.0", feature=feature)
            assert found == pytest.approx(psi(candidate.counts(feature), stable.counts(feature)), rel=NEAR)


def test_rows_of_one_request_are_one_independent_row(recorded: Recorded) -> None:
    at = recorded.times()[-1]
    live = recorded.live("1.0.0", at)
    assert sum(live.counts("value")) > 1.2 * live.requests
    found = recorded.value(DRIFT.independent, at, version="1.0.0", feature="value")
    assert found == pytest.approx(live.requests, rel=NEAR)


def test_the_mmd_of_vectors_and_its_critical_value_are_those_of_numpy(recorded: Recorded) -> None:
    compared = 0
    for version in VERSIONS:
        means, rows, quantile = recorded.vectors(version)
        for at in recorded.times():
            sums, vectors = recorded.turned(version, at)
            found = recorded.value(DRIFT.mmd, at, version=version)
            assert found == pytest.approx(mmd(sums / vectors, means), rel=NEAR)
            independent = min(vectors, recorded.live(version, at).requests)
            critical = recorded.value(DRIFT.mmd_critical, at, version=version)
            assert critical == pytest.approx(psi_critical(quantile, independent, rows), rel=NEAR)
            compared += 1
    assert compared >= 2 * 4
