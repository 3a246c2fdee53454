"""Versions that are removed from a route's `versions`, and models that are uninstalled and installed again."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from e2e.size import no_failed_requests
from fairlead.contracts.revision import Cause, Revision
from support.cluster.installed import FLOWER, MODEL, Installed
from support.load.summary import Summary
from support.processes import wait_until
from support.proof import Findings

NAME = "iris-mapped"
WINDOW_S = 8
"""The rollback window: how long the previous version stays after a promotion."""
STEP_S = 4
STRATEGY = {
    "steps": [{"weight": 5000, "minDuration": f"{STEP_S}s"}],
    "minRequests": 0,
    "rollbackWindow": f"{WINDOW_S}s",
}
OLD: dict[str, Any] = {**MODEL, "target": "1.0.0", "versions": {"1.0.0": {}}, "strategy": STRATEGY}
NEW = {**OLD, "target": "1.1.0", "versions": {"1.1.0": {}}}


@dataclass(frozen=True)
class Seen:
    """The time from the removal of the serving version from `versions` until its pods were gone."""

    summary: Summary
    ledger: list[Revision]
    last_there: datetime
    """When all pods of the version were last seen ready."""


@pytest.fixture(scope="module")
def seen(platform: Installed) -> Seen:
    platform.deploy(NAME, OLD)
    platform.wait_for(NAME, "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
    there = [datetime.now(UTC)]

    def has_gone() -> bool:
        found = platform.of_version("deployments", NAME, "1.0.0")
        if found and found[0]["status"].get("readyReplicas") == found[0]["spec"]["replicas"]:
            there.append(datetime.now(UTC))
        return not found

    with platform.load(NAME, rate=100, seconds=300) as load:
        load.wait_sent(100)
        platform.deploy(NAME, NEW)
        wait_until(has_gone, "1.0.0 is removed", within=150, every=0.2)
        load.wait_sent(load.progress.sent + 300)
        load.stop()
        summary = load.result()
    return Seen(summary, platform.history(NAME), there[-1])


def test_no_request_fails_when_the_serving_version_is_removed_from_the_spec(seen: Seen, findings: Findings) -> None:
    findings.claim(*no_failed_requests("the version that serves leaves the map: requests that failed", seen.summary))
    assert seen.summary.failures == {}, seen.summary.samples
    assert set(seen.summary.by_version) == {"1.0.0", "1.1.0"}


def test_its_pods_stay_until_it_has_no_weight_and_the_rollback_window_is_over(seen: Seen, findings: Findings) -> None:
    [promoted] = [one for one in seen.ledger if one.cause is Cause.PROMOTED]
    stayed = (seen.last_there - promoted.created_at).total_seconds()
    # The pods are polled every 0.2 s, on a machine that may be busy.
    holds = WINDOW_S - 2 <= stayed <= WINDOW_S + 30
    findings.claim("its pods stay for the rollback window, s", f"at least {WINDOW_S}", f"{stayed:.1f}", holds)
    assert holds, f"{stayed:.1f} s"


@pytest.mark.usefixtures("seen")
def test_a_model_that_is_uninstalled_and_installed_again_has_a_new_ledger(platform: Installed) -> None:
    before = platform.history(NAME)
    platform.kube.helm("uninstall", NAME)
    platform.deploy(NAME, OLD)
    first = platform.wait_for(NAME, "1.0.0 serves", stable="1.0.0", phase="Stable", within=180)
    assert first["revision"] == f"{NAME}.1"
    assert len(before) > 1
    ledger = platform.history(NAME)
    assert [one.cause for one in ledger][0] is Cause.CREATED
    assert not {one.hash for one in before} & {one.hash for one in ledger}
    assert "the chain holds" in platform.fairlead("history", NAME, "--verify")
    answers = _answers(f"{platform.url}/models/{NAME}/predict", count=40)
    assert {(one.status_code, one.headers.get("x-route-revision")) for one in answers} == {(200, ledger[-1].id)}


def _answers(url: str, count: int) -> list[httpx.Response]:
    """The responses of `count` requests on separate connections, so that both gateways are used."""
    found = []
    for _ in range(count):
        found.append(httpx.post(url, json=FLOWER, timeout=5))
        time.sleep(0.02)
    return found
