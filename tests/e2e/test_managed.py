"""Versions whose pods the control plane scales: no pods while they are idle, and no failed request in between."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.size import no_failed_requests
from support.cluster.installed import MODEL, Installed
from support.load.summary import Summary
from support.processes import wait_until
from support.proof import Findings

NAME = "iris-managed"
STRATEGY = {
    "steps": [{"weight": 5000, "minDuration": "4s"}],
    "minRequests": 0,
    "rollbackWindow": "8s",
}
VALUES: dict[str, Any] = {
    **MODEL,
    "target": "1.0.0",
    "versions": {"1.0.0": {}, "1.1.0": {}},
    "strategy": STRATEGY,
    "workload": {**MODEL["workload"], "instances": 1, "autoscaling": {"kind": "managed"}},
}


@pytest.fixture(scope="module")
def summary(platform: Installed) -> Summary:
    """The load of a release, of the end of the version before, and of its release."""

    def pods(version: str) -> tuple[int, int]:
        """How many the Deployment should have, and how many are there, also those that are ending."""
        [deployment] = platform.of_version("deployments", NAME, version)
        return deployment["spec"]["replicas"], len(platform.of_version("pods", NAME, version))

    platform.deploy(NAME, VALUES)
    platform.wait_for(NAME, "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
    wait_until(lambda: pods("1.1.0") == (0, 0), "1.1.0 is idle and has no pods", within=90, every=0.5)
    with platform.load(NAME, rate=50, seconds=300) as load:
        load.wait_sent(50)
        for target, before in (("1.1.0", "1.0.0"), ("1.0.0", "1.1.0")):
            platform.deploy(NAME, {**VALUES, "target": target})
            platform.wait_for(NAME, f"{target} serves", stable=target, phase="Stable", within=120)
            wait_until(lambda before=before: pods(before) == (0, 0), f"{before} has no pods", within=90, every=0.5)  # type: ignore[misc]
        load.wait_sent(load.progress.sent + 100)
        load.stop()
        return load.result()


def test_no_request_fails_while_versions_get_their_pods_and_lose_them(summary: Summary, findings: Findings) -> None:
    findings.claim(*no_failed_requests("idle versions have no pods: requests that failed", summary))
    assert summary.failures == {}, summary.samples
    assert set(summary.by_version) == {"1.0.0", "1.1.0"}


@pytest.mark.usefixtures("summary")
def test_the_control_plane_says_what_it_scaled_and_why(platform: Installed) -> None:
    idle = "1.1.0 scaled to 0: it neither serves nor may be gone back to"
    assert idle in [one["message"] for one in platform.kube.get("events")["items"]]
    assert "no instances of 1.1.0: it neither serves nor may be gone back to" in platform.fairlead("status", NAME)
