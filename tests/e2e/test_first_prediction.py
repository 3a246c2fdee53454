"""The time from an empty cluster to the first prediction, with the three charts."""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx
import pytest

from support.cluster.installed import FLOWER, MODEL, Installed
from support.proof import Findings

MAX_SECONDS = 90
VALUES = {**MODEL, "target": "1.0.0", "versions": {"1.0.0": {}}}


@dataclass(frozen=True)
class First:
    """The first successful prediction, and the seconds until then."""

    platform: Installed
    seconds: float
    answer: httpx.Response


@pytest.fixture(scope="module")
def first(platform: Installed) -> First:
    """The first prediction. This module runs first, so the platform has just been installed."""
    platform.deploy("iris", VALUES)
    answer = _first_answer(f"{platform.url}/models/iris/predict", platform.since + 3 * MAX_SECONDS)
    return First(platform, time.monotonic() - platform.since, answer)


def _first_answer(url: str, deadline: float) -> httpx.Response:
    """Request until the status is 200 or the deadline has passed. Errors are expected while components start."""
    while True:
        try:
            answer = httpx.post(url, json=FLOWER, timeout=5)
        except httpx.TransportError:
            answer = httpx.Response(0)
        if answer.status_code == 200 or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)


def test_an_empty_cluster_predicts_soon_after_three_installs(first: First, findings: Findings) -> None:
    what, soon = "empty cluster: three helm installs -> first prediction, s", first.seconds <= MAX_SECONDS
    findings.claim(what, f"at most {MAX_SECONDS}", f"{first.seconds:.1f}", soon)
    assert first.answer.status_code == 200
    assert first.seconds <= MAX_SECONDS


def test_the_response_names_its_version_and_revision(first: First) -> None:
    assert first.answer.json()["label"] == "setosa"
    assert first.answer.headers["x-model-version"] == "1.0.0"
    assert first.answer.headers["x-route-revision"] == "iris.1"


def test_kubectl_and_the_command_line_show_the_same_route(first: First) -> None:
    kubectl = first.platform.kube("get", "modelroutes").splitlines()[1].split()
    assert kubectl[:3] == ["iris", "1.0.0", "1.0.0"]
    [revision] = first.platform.history("iris")
    assert (revision.id, revision.table.stable.version) == ("iris.1", "1.0.0")
    assert "iris.1" in first.platform.fairlead("status", "iris")


def test_helm_test_passes_for_platform_and_model(first: First) -> None:
    first.platform.kube.helm("test", "fairlead")
    assert "Succeeded" in first.platform.kube.helm("test", "iris")
