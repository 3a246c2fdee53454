"""Hostile and legal bodies at the limits, sent to a pod with the memory limit of the chart's defaults."""

from __future__ import annotations

import json
from typing import Any

import pytest

from e2e.size import FULL, no_failed_requests
from support.cluster.installed import FLOWER, Installed
from support.hostile_attack import attacked
from support.processes import wait_until
from support.proof import Findings

NAME = "iris"
VALUES: dict[str, Any] = {
    "image": {"repository": "fairlead/model-iris"},
    "target": "1.0.0",
    "versions": {"1.0.0": {"overrides": {"instances": 1}}},
}
"""Without resources, so that requests and limits are those of the chart; one pod, which gets all bodies."""
BODIES, SECONDS = (1000, 600) if FULL else (60, 60)
HONEST_RATE = 20
LIMIT_MIB = 512
PEAK = """
from pathlib import Path
group = Path("/sys/fs/cgroup")
files = [group / "memory.peak", group / "memory/memory.max_usage_in_bytes"]
print(next(int(file.read_text()) for file in files if file.exists()))
"""
"""Prints the peak of all memory of the container, with its files in memory, for either version of cgroups."""


@pytest.fixture(scope="module", autouse=True)
def model(platform: Installed) -> None:
    platform.deploy(NAME, VALUES)
    platform.wait_for(NAME, "it serves", stable="1.0.0", phase="Stable", within=120)


def container(platform: Installed) -> dict[str, Any]:
    """The status of the only pod's model container, with its name and limit."""
    (pod,) = platform.of_version("pods", NAME, "1.0.0")
    (spec,) = [one for one in pod["spec"]["containers"] if one["name"] == "model"]
    (status,) = [one for one in pod["status"]["containerStatuses"] if one["name"] == "model"]
    return {**status, "pod": pod["metadata"]["name"], "limit": spec["resources"]["limits"]["memory"]}


@pytest.mark.timeout(1200)
def test_hostile_bodies_neither_fail_honest_requests_nor_end_the_pod(platform: Installed, findings: Findings) -> None:
    wait_until(lambda: container(platform)["ready"], "the pod is ready", every=0.5)
    with platform.load(NAME, rate=HONEST_RATE, seconds=SECONDS + 120) as load:
        with attacked(platform.url, NAME, FLOWER, BODIES, SECONDS) as attacks:
            pass
        load.stop()
        honest = load.result()
    after = container(platform)
    peak = int(platform.kube("exec", after["pod"], "--container", "model", "--", "python3", "-c", PEAK)) / 2**20
    failed = {attack.protocol: attack.to_json() for attack in attacks if attack.failed}
    findings.claim(*no_failed_requests("hostile bodies in a pod: honest requests that failed", honest))
    findings.claim(
        "hostile bodies in a pod: peak of its memory, MiB", f"below {LIMIT_MIB}", f"{peak:.0f}", peak < LIMIT_MIB
    )
    assert after["limit"] == f"{LIMIT_MIB}Mi"
    assert (after["restartCount"], after["lastState"]) == (0, {})
    assert not honest.failed, honest.failures
    assert not failed, json.dumps(failed, indent=1)
    assert peak < LIMIT_MIB
