"""Versions that nobody uses have no pods, and the next requests start them, with two of each part of the platform."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import pytest

from e2e.size import FULL
from support.cluster.installed import FLOWER, MODEL, Installed
from support.cluster.processes import process_of
from support.processes import wait_until
from support.proof import Findings

NAME = "iris-cold"
REQUESTS = 20
STARTS = 50 if FULL else 2
PAUSE_S = 0.05
MAX_AGAIN_S = 60
VALUES: dict[str, Any] = {
    **MODEL,
    "target": "1.0.0",
    "versions": {"1.0.0": {}, "1.1.0": {}},
    "scaleToZero": {"after": "2s" if FULL else "5s", "wait": "3m"},
    "workload": {**MODEL["workload"], "instances": 1, "minInstances": 0, "autoscaling": {"kind": "managed"}},
}


@dataclass(frozen=True)
class Answer:
    """The version that answered a request, or what failed; after how many seconds, and how often it was sent."""

    said: str
    seconds: float
    sent: int


@dataclass
class Starts:
    """The answers of each cold start, and in how many seconds each pod became ready, to the second."""

    answers: list[list[Answer]] = field(default_factory=list)
    pods: list[float] = field(default_factory=list)


def ask(platform: Installed, version: str = "", *, again: bool = False) -> Answer:
    """One request. With `again` it is sent again while its connection is refused or cut off."""
    began, sent = time.monotonic(), 0
    headers = {"x-model-version": version} if version else {}
    while True:
        sent += 1
        try:
            with httpx.Client(trust_env=False, timeout=200) as client:
                answer = client.post(f"{platform.url}/models/{NAME}/predict", json=FLOWER, headers=headers)
            break
        except httpx.TransportError as error:
            if not again or time.monotonic() - began > MAX_AGAIN_S:
                return Answer(type(error).__name__, time.monotonic() - began, sent)
            time.sleep(PAUSE_S)
    failed = f"{answer.status_code} {answer.text[:200]}"
    said = answer.headers.get("x-model-version", "") if answer.status_code == 200 else failed
    return Answer(said, time.monotonic() - began, sent)


@contextmanager
def first_requests(platform: Installed, *, again: bool) -> Iterator[Sequence[Future[Answer]]]:
    """Requests of as many clients, which the Service distributes to both gateways. Each fourth names 1.1.0."""
    with ThreadPoolExecutor(REQUESTS) as clients:
        yield [clients.submit(ask, platform, "" if number % 4 else "1.1.0", again=again) for number in range(REQUESTS)]


def replicas(platform: Installed) -> set[int]:
    found = [one for version in VALUES["versions"] for one in platform.of_version("deployments", NAME, version)]
    return {one["spec"]["replicas"] for one in found}


def started(platform: Installed) -> list[float]:
    """In how many seconds each pod of the model became ready, to the second; without those that are ending."""
    found = []
    for pod in (one for version in VALUES["versions"] for one in platform.of_version("pods", NAME, version)):
        if "deletionTimestamp" in pod["metadata"]:
            continue
        ready = [one for one in pod["status"]["conditions"] if one["type"] == "Ready" and one["status"] == "True"]
        made = datetime.fromisoformat(pod["metadata"]["creationTimestamp"])
        found += [(datetime.fromisoformat(one["lastTransitionTime"]) - made).total_seconds() for one in ready]
    return found


def wait_cold(platform: Installed) -> None:
    wait_until(lambda: replicas(platform) == {0}, "no version has pods", within=120, every=0.3)


def kill_leader(platform: Installed) -> None:
    leader = platform.kube.get("lease", "fairlead-control-plane")["spec"]["holderIdentity"]
    platform.kube("delete", "pod", leader, "--grace-period=0", "--force")


def kill_gateway(platform: Installed) -> None:
    """The node starts its container again; requests that waited in it were cut off."""
    pod = next(iter(platform.pods("gateway").values()))
    os.kill(process_of(pod, "--disable-hot-restart"), signal.SIGKILL)


Kill = Callable[[Installed], None]
KILLED: dict[int, Kill] = {16: kill_gateway, 33: kill_leader} if FULL else {1: kill_leader}
"""What is killed while the first requests of a cold start wait, by the number of the start."""


@pytest.fixture(scope="module")
def starts(platform: Installed) -> Starts:
    """The first requests of each cold start."""
    platform.deploy(NAME, VALUES)
    platform.wait_for(NAME, "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
    assert ask(platform).said == "1.0.0"
    wait_cold(platform)
    assert "no instances of 1.0.0: nobody uses it: it is cold" in platform.fairlead("status", NAME)
    found = Starts()
    for number in range(STARTS):
        wait_cold(platform)
        kill = KILLED.get(number)
        with first_requests(platform, again=kill is kill_gateway) as asked:
            if kill is not None:
                wait_until(lambda: replicas(platform) != {0}, "a request has started its version", within=60, every=0.1)
                kill(platform)
        found.answers.append([one.result() for one in asked])
        found.pods += started(platform)
    return found


def test_no_first_request_is_lost_also_when_parts_of_the_platform_are_killed(
    starts: Starts, findings: Findings
) -> None:
    wanted = ["1.1.0" if number % 4 == 0 else "1.0.0" for number in range(REQUESTS)]
    lost = [
        one.said for part in starts.answers for one, version in zip(part, wanted, strict=True) if one.said != version
    ]
    killed = "a gateway and the leader" if FULL else "the leader"
    findings.claim(
        f"first requests in {STARTS} cold starts, {killed} killed once: lost",
        "0",
        f"{len(lost)} of {REQUESTS * STARTS:,}",
        not lost,
    )
    again = sum(one.sent > 1 for part in starts.answers for one in part)
    findings.note("the same: sent again by the client, because its gateway was killed", again)
    waits = [one.seconds for part in starts.answers for one in part if one.sent == 1]
    for name, seconds in (("a pod's start", starts.pods), ("the wait of a first request", waits)):
        cuts = statistics.quantiles(seconds, n=100, method="inclusive")
        findings.note(f"cold versions: {name}, p50 and p99, s", f"{cuts[49]:.1f} and {cuts[98]:.1f}")
    findings.numbers["cold"] = {"waits": [round(one, 3) for one in waits], "pods": starts.pods}
    print([f"{one.what}: {one.measured}" for one in findings.claims])
    assert lost == []
