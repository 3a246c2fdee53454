"""Versions that nobody uses have no pods, and the next requests start them, with two of each part of the platform."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import httpx
import pytest

from support.cluster.installed import FLOWER, MODEL, Installed
from support.processes import wait_until
from support.proof import Findings

NAME = "iris-cold"
REQUESTS = 20
VALUES: dict[str, Any] = {
    **MODEL,
    "target": "1.0.0",
    "versions": {"1.0.0": {}, "1.1.0": {}},
    "scaleToZero": {"after": "5s", "wait": "3m"},
    "workload": {**MODEL["workload"], "instances": 1, "minInstances": 0, "autoscaling": {"kind": "managed"}},
}

Answers = list["Future[tuple[str, float]]"]


def ask(platform: Installed, version: str = "") -> tuple[str, float]:
    """The version that answered, or what failed, and after how many seconds."""
    began = time.monotonic()
    headers = {"x-model-version": version} if version else {}
    try:
        with httpx.Client(trust_env=False, timeout=200) as client:
            answer = client.post(f"{platform.url}/models/{NAME}/predict", json=FLOWER, headers=headers)
    except httpx.TransportError as error:
        return type(error).__name__, time.monotonic() - began
    failed = f"{answer.status_code} {answer.text[:200]}"
    said = answer.headers.get("x-model-version", "") if answer.status_code == 200 else failed
    return said, time.monotonic() - began


@contextmanager
def first_requests(platform: Installed) -> Iterator[Answers]:
    """Requests of as many clients, which the Service distributes to both gateways. Each fourth names 1.1.0."""
    with ThreadPoolExecutor(REQUESTS) as clients:
        yield [clients.submit(ask, platform, "" if number % 4 else "1.1.0") for number in range(REQUESTS)]


def replicas(platform: Installed) -> set[int]:
    found = [one for version in VALUES["versions"] for one in platform.of_version("deployments", NAME, version)]
    return {one["spec"]["replicas"] for one in found}


def started(platform: Installed) -> list[float]:
    """In how many seconds each pod of the model became ready, to the second."""
    found = []
    for pod in (one for version in VALUES["versions"] for one in platform.of_version("pods", NAME, version)):
        ready = [one for one in pod["status"]["conditions"] if one["type"] == "Ready" and one["status"] == "True"]
        made = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
        found += [(datetime.fromisoformat(one["lastTransitionTime"]) - made).total_seconds() for one in ready]
    return found


def wait_cold(platform: Installed) -> None:
    wait_until(lambda: replicas(platform) == {0}, "no version has pods", within=120, every=0.3)


@pytest.fixture(scope="module")
def answers(platform: Installed, findings: Findings) -> list[list[tuple[str, float]]]:
    """The first requests twice. The second time the control plane that leads is killed while they wait."""
    platform.deploy(NAME, VALUES)
    platform.wait_for(NAME, "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
    assert ask(platform)[0] == "1.0.0"
    wait_cold(platform)
    assert "no instances of 1.0.0: nobody uses it: it is cold" in platform.fairlead("status", NAME)
    with first_requests(platform) as first:
        pass
    findings.note("cold versions: seconds until their pods were ready", started(platform))
    seconds = sorted(one.result()[1] for one in first)
    findings.note("first requests for cold versions: seconds until they were answered", [seconds[0], seconds[-1]])
    wait_cold(platform)
    with first_requests(platform) as second:
        wait_until(lambda: replicas(platform) != {0}, "a request has started its version", within=60, every=0.1)
        leader = platform.kube.get("lease", "fairlead-control-plane")["spec"]["holderIdentity"]
        platform.kube("delete", "pod", leader, "--grace-period=0", "--force")
    return [[one.result() for one in answers] for answers in (first, second)]


def test_no_first_request_is_lost_also_when_the_control_plane_that_leads_is_killed(
    answers: list[list[tuple[str, float]]], findings: Findings
) -> None:
    wanted = ["1.1.0" if number % 4 == 0 else "1.0.0" for number in range(REQUESTS)]
    lost = [one for part in answers for (one, _), version in zip(part, wanted, strict=True) if one != version]
    findings.claim(
        "first requests for cold versions, the leader killed once: lost",
        "0",
        f"{len(lost)} of {len(wanted) * len(answers)}",
        not lost,
    )
    print([one.measured for one in findings.claims], [sorted(round(s, 1) for _, s in part) for part in answers])
    assert lost == []
