"""What the rules of drift record is what numpy computes from the same counts, added over all pods."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.contracts import control_telemetry, drift_telemetry
from fairlead.contracts.vectors import DIRECTIONS
from fairlead.profile.statistics import chi_squared_quantile, psi, psi_critical
from fairlead.profile.vectors import mmd
from monitoring.promql import series
from monitoring.recording import Records
from monitoring.settings import DEFAULT
from prometheus.cases import IRIS, Inputs, gauge, rising
from prometheus.promtool import passes, queried

STABLE, CANDIDATE = {**IRIS, "version": "1.0.0"}, {**IRIS, "version": "1.1.0"}
MINUTES = 60
DRIFT = Records(DEFAULT).drift[0]
NEAR = 1e-9


@dataclass(frozen=True)
class Feature:
    """Rows in each bin: those of the reference, and those that each pod counts in a minute."""

    reference: list[int]
    pods: list[list[int]]

    @property
    def live(self) -> list[int]:
        """Rows in each bin in an hour."""
        return [MINUTES * sum(counts) for counts in zip(*self.pods, strict=True)]

    @property
    def quantile(self) -> float:
        return chi_squared_quantile(0.001, len(self.reference) - 1)


@st.composite
def features(draw: st.DrawFn) -> Feature:
    bins = draw(st.integers(2, 23))
    counts = st.lists(st.integers(0, 2000), min_size=bins, max_size=bins).filter(any)
    return Feature(draw(counts), draw(st.lists(counts, min_size=1, max_size=3)))


def inputs(name: str, feature: Feature, version: dict[str, str]) -> Iterator[Inputs]:
    where = {**version, "feature": name}
    yield gauge(drift_telemetry.MODEL_DRIFT_REFERENCE_ROWS, sum(feature.reference), **where)
    of_all = {label: value for label, value in where.items() if label != "slice"}
    yield {series(drift_telemetry.MODEL_DRIFT_CRITICAL, **of_all): f"{feature.quantile!r}+0x{2 * MINUTES}"}
    for at, rows in enumerate(feature.reference):
        # Every pod shows the same reference.
        for pod in range(len(feature.pods)):
            yield gauge(drift_telemetry.MODEL_DRIFT_REFERENCE_VALUES, rows, bin=f"b{at}", instance=f"{pod}", **where)
    for pod, counts in enumerate(feature.pods):
        for at, rows in enumerate(counts):
            found = series(drift_telemetry.MODEL_DRIFT_VALUES, bin=f"b{at}", instance=f"{pod}", **where)
            yield {found: rising(rows)}


def merged(parts: Iterator[Inputs]) -> dict[str, str]:
    return {name: values for part in parts for name, values in part.items()}


def near(record: str, version: dict[str, str], feature: str, expected: float | None) -> dict[str, Any]:
    """A query of promtool that finds 1 if the record has this value. None: the record has none."""
    labels = ",".join(f'{label}="{value}"' for label, value in {**version, "feature": feature}.items())
    asked = labels if "slice" in version else f'{labels},slice=""'
    off = f"abs({record}{{{asked}}} / {expected or 1!r} - 1) < bool {NEAR}" if expected else f"{record}{{{asked}}}"
    found = [] if expected is None else [{"labels": f"{{{labels}}}", "value": int(bool(expected))}]
    return {"expr": off, "eval_time": f"{MINUTES}m", "exp_samples": found}


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(features(), min_size=1, max_size=6), st.integers(1, 2000))
def test_psi_and_its_critical_value_are_those_of_numpy(
    tmp_path: Path, every: list[Feature], requests_a_minute: int
) -> None:
    named = {f"f{number}": feature for number, feature in enumerate(every)}
    given_ = merged(part for name, feature in named.items() for part in inputs(name, feature, STABLE))
    given_ |= {series(drift_telemetry.MODEL_DRIFT_REQUESTS, **STABLE): rising(requests_a_minute)}
    asked = []
    for name, feature in named.items():
        independent = min(sum(feature.live), MINUTES * requests_a_minute)
        shown = independent >= DEFAULT.drift.shown_rows
        asked.append(near(DRIFT.psi, STABLE, name, psi(feature.live, feature.reference) if shown else None))
        critical = psi_critical(feature.quantile, independent, sum(feature.reference))
        asked.append(near(DRIFT.critical, STABLE, name, critical))
    passes(tmp_path, queried(given_, asked))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(features(), st.randoms(use_true_random=False), st.integers(4, 40))
def test_psi_of_a_slice_is_that_of_its_rows_and_changes_nothing_of_all_rows(
    tmp_path: Path, feature: Feature, random: Any, requests_a_minute: int
) -> None:
    part = Feature(
        random.sample(feature.reference, len(feature.reference)),
        [random.sample(counts, len(counts)) for counts in feature.pods],
    )
    of_slice = {**STABLE, "slice": "old"}
    given_ = merged(
        found
        for where, one, asked in ((STABLE, feature, 10**6), (of_slice, part, requests_a_minute))
        for found in (
            *inputs("length", one, where),
            {series(drift_telemetry.MODEL_DRIFT_REQUESTS, **where): rising(asked)},
        )
    )
    asked = []
    for where, one, requests in ((STABLE, feature, 10**6), (of_slice, part, requests_a_minute)):
        independent = min(sum(one.live), MINUTES * requests)
        found, shown = psi(one.live, one.reference), independent >= DEFAULT.drift.shown_rows
        if not math.isclose(found, 0, abs_tol=NEAR):
            asked.append(near(DRIFT.psi, where, "length", found if shown else None))
        critical = psi_critical(feature.quantile, independent, sum(one.reference))
        asked.append(near(DRIFT.critical, where, "length", critical))
    passes(tmp_path, queried(given_, asked))


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(features(), st.randoms(use_true_random=False))
def test_the_psi_of_a_candidate_against_stable_is_that_of_numpy(tmp_path: Path, feature: Feature, random: Any) -> None:
    shuffled = Feature(feature.reference, [random.sample(counts, len(counts)) for counts in feature.pods])
    given_ = merged(
        part
        for version, role, one in ((STABLE, "stable", feature), (CANDIDATE, "candidate", shuffled))
        for part in (
            *inputs("length", one, version),
            {series(drift_telemetry.MODEL_DRIFT_REQUESTS, **version): rising(10**6)},
            gauge(control_telemetry.CONTROL_WEIGHT, 5000, **version, role=role),
            gauge(drift_telemetry.MODEL_PROFILE_INFO, 1, **version, profile=role, edges="same", kind="given"),
        )
    )
    rows = sum(feature.live)
    shown = rows >= DEFAULT.drift.shown_rows
    critical = psi_critical(feature.quantile, rows, rows)
    found = psi(shuffled.live, feature.live)
    asked = [
        near(DRIFT.candidate_psi, CANDIDATE, "length", found if shown else None),
        near(DRIFT.candidate_critical, CANDIDATE, "length", critical),
    ]
    passes(tmp_path, queried(given_, asked if not math.isclose(found, 0, abs_tol=NEAR) else asked[1:]))


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(2, 40))
def test_the_mmd_of_vectors_is_that_of_numpy(tmp_path: Path, seed: int, pods: int, requests_a_minute: int) -> None:
    random = np.random.default_rng(seed)
    where = {**STABLE, "feature": "text"}
    rows = random.integers(5, 50, pods).tolist()
    sums = [(random.random(DIRECTIONS).round(3) * count).round(3) for count in rows]
    reference, quantile = random.random(DIRECTIONS).round(3), 1.25
    given_: dict[str, str] = {
        series(drift_telemetry.MODEL_DRIFT_REQUESTS, **STABLE): rising(requests_a_minute),
        **gauge(drift_telemetry.MODEL_DRIFT_VECTOR_CRITICAL, quantile, **where),
        **gauge(drift_telemetry.MODEL_DRIFT_REFERENCE_VECTORS, 5000, **where),
    }
    for way in range(DIRECTIONS):
        of_way = {**where, "direction": f"{way:03}"}
        given_ |= gauge(drift_telemetry.MODEL_DRIFT_REFERENCE_DIRECTIONS, reference[way], **of_way)
        for pod in range(pods):
            given_[series(drift_telemetry.MODEL_DRIFT_DIRECTIONS, instance=f"{pod}", **of_way)] = rising(sums[pod][way])
    for pod in range(pods):
        given_[series(drift_telemetry.MODEL_DRIFT_VECTORS, instance=f"{pod}", **where)] = rising(rows[pod])
    n = MINUTES * min(sum(rows), requests_a_minute)
    found = mmd(np.sum(sums, axis=0) / sum(rows), reference) if n >= DEFAULT.drift.shown_rows else None
    asked = [
        near(DRIFT.mmd, STABLE, "text", found),
        near(DRIFT.mmd_critical, STABLE, "text", psi_critical(quantile, n, 5000)),
    ]
    passes(tmp_path, queried(given_, asked))
