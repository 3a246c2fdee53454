"""From an empty cluster to the first answer, by the three charts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from support.cluster.installed import FLOWER, MODEL, Installed
from support.proof import Findings

WITHIN_S = 90
VALUES = {**MODEL, "target": "1.0.0", "versions": {"1.0.0": {}}}


@dataclass(frozen=True)
class First:
    """The first prediction that was answered, and what it took."""

    platform: Installed
    seconds: float
    answer: httpx.Response


@pytest.fixture(scope="module")
def first(platform: Installed) -> Iterator[First]:
    """The first of the stories: the platform was installed the moment before."""
    platform.deploy("iris", VALUES)
    answer = _first_answer(f"{platform.url}/models/iris/predict", platform.since + 3 * WITHIN_S)
    yield First(platform, time.monotonic() - platform.since, answer)
    platform.remove("iris")


def _first_answer(url: str, deadline: float) -> httpx.Response:
    """Ask until it is 200; whatever comes before is somebody who is not there yet."""
    while True:
        try:
            answer = httpx.post(url, json=FLOWER, timeout=5)
        except httpx.TransportError:
            answer = httpx.Response(0)
        if answer.status_code == 200 or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)


def test_an_empty_cluster_predicts_soon_after_three_installs(first: First, findings: Findings) -> None:
    what, soon = "empty cluster: three helm installs -> first prediction, s", first.seconds <= WITHIN_S
    findings.claim(what, f"at most {WITHIN_S}", f"{first.seconds:.1f}", soon)
    assert first.answer.status_code == 200
    assert first.seconds <= WITHIN_S


def test_the_answer_says_which_version_and_which_revision_it_is_of(first: First) -> None:
    assert first.answer.json()["label"] == "setosa"
    assert first.answer.headers["x-model-version"] == "1.0.0"
    assert first.answer.headers["x-route-revision"] == "iris.1"


def test_the_route_says_the_same_to_kubectl_and_to_the_command_line(first: First) -> None:
    kubectl = first.platform.kube("get", "modelroutes").splitlines()[1].split()
    assert kubectl[:3] == ["iris", "1.0.0", "1.0.0"]
    [revision] = first.platform.history("iris")
    assert (revision.id, revision.table.stable.version) == ("iris.1", "1.0.0")
    assert "iris.1" in first.platform.fairlead("status", "iris")


def test_helm_test_finds_platform_and_model_in_order(first: First) -> None:
    first.platform.kube.helm("test", "fairlead")
    assert "Succeeded" in first.platform.kube.helm("test", "iris")
