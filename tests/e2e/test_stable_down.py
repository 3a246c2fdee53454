"""Faults of stable during a rollout, in pods: nothing rises, nothing ends, and nobody is moved onto nothing."""

from __future__ import annotations

from typing import Any

import pytest

from fairlead.cli.exit_codes import REFUSED
from fairlead.contracts.revision import Cause
from support.cluster.installed import MODEL, Installed
from support.processes import wait_until
from support.proof import Findings

NAME = "sorter-down"
ONE = {"overrides": {"instances": 1}}
VALUES: dict[str, Any] = {
    **MODEL,
    "image": {"repository": "fairlead/model-sorter"},
    "target": "1.0.0",
    "versions": {"1.0.0": {"overrides": {"instances": 2}}, "1.1.0": ONE, "1.2.0": ONE},
    "strategy": {"steps": [{"weight": 5000, "minDuration": "1s", "approval": True}], "minRequests": 0},
}
USERS = 80


@pytest.fixture(scope="module", autouse=True)
def model(platform: Installed, image: Any) -> None:
    for version in VALUES["versions"]:
        image(f"sorter:{version}")
    platform.deploy(NAME, VALUES)
    platform.wait_for(NAME, "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)


def ready(platform: Installed, role: str) -> int:
    return int((platform.status(NAME).get("ready") or {}).get(role, 0))


def release(platform: Installed, version: str) -> None:
    platform.deploy(NAME, VALUES, "--set", f"target={version}")


def accepted(platform: Installed) -> str:
    """The status of the condition TargetAccepted."""
    conditions = platform.status(NAME).get("conditions") or ()
    return str(next((one["status"] for one in conditions if one["type"] == "TargetAccepted"), "Unknown"))


def answered(platform: Installed) -> float:
    """The share of new users that get an answer."""
    with platform.load(NAME, rate=60, seconds=60, question={"value": 3.0}) as load:
        load.wait_sent(USERS)
        load.stop()
        found = load.result()
    return found.ok / found.sent


def test_a_lost_instance_of_stable_lets_nothing_rise(platform: Installed) -> None:
    wait_until(lambda: ready(platform, "stable") == 2, "stable has two instances", within=60, every=0.3)
    release(platform, "1.1.0")
    platform.wait_for(NAME, "half of the users", candidate="1.1.0", weight=5000, within=120)
    platform.fairlead("approve", NAME)
    wait_until(lambda: "100 % needs 2 instances" in platform.status(NAME)["waiting"], "capacity holds", every=0.2)
    (pod, _) = platform.of_version("pods", NAME, "1.0.0")
    platform.kube("delete", "pod", pod["metadata"]["name"], "--wait=false")
    wait_until(lambda: ready(platform, "stable") == 1, "one is lost", every=0.1)
    wait_until(lambda: ready(platform, "stable") == 2, "it was replaced", within=60, every=0.2)
    assert platform.status(NAME)["weight"] == 5000
    assert Cause.PROMOTED not in {one.cause for one in platform.history(NAME)}


def test_a_rejected_target_in_the_spec_does_not_end_the_rollout_in_progress(platform: Installed) -> None:
    platform.fairlead("rollback", NAME, "--reason", "a test")
    release(platform, "1.2.0")
    platform.wait_for(NAME, "half of the users", candidate="1.2.0", weight=5000, within=120)
    begun = platform.status(NAME)["seq"]
    release(platform, "1.1.0")
    wait_until(lambda: accepted(platform) == "False", "the condition says so", every=0.2)
    release(platform, "1.2.0")
    wait_until(lambda: accepted(platform) == "True", "the target is accepted again", every=0.2)
    assert {one.table.weight for one in platform.history(NAME) if one.seq >= begun} == {5000}


def test_while_stable_is_down_a_rollback_is_refused_and_a_promotion_serves_everyone(
    platform: Installed, findings: Findings
) -> None:
    (deployment,) = platform.of_version("deployments", NAME, "1.0.0")
    platform.kube("scale", f"deployment/{deployment['metadata']['name']}", "--replicas=0")
    wait_until(lambda: ready(platform, "stable") == 0, "stable is down", within=60, every=0.2)
    # A pod that drains still answers.
    wait_until(lambda: not platform.of_version("pods", NAME, "1.0.0"), "its pods are gone", within=60, every=0.5)
    down = answered(platform)
    platform.fairlead("rollback", NAME, expect=REFUSED)
    refused = answered(platform)
    platform.fairlead("promote", NAME, "--reason", "1.0.0 is gone")
    platform.wait_for(NAME, "1.2.0 serves", stable="1.2.0", candidate=None)
    promoted = answered(platform)
    shares = ", ".join(f"{share:.0%}" for share in (down, refused, promoted))
    findings.claim(
        "stable down, 50 % on the candidate: answered, after a refused rollback, after `promote`",
        "about half, the same, 100 %",
        shares,
        refused > 0.25 and promoted == 1,
    )
    assert 0.25 < down < 0.75
    assert 0.25 < refused < 0.75
    assert promoted == 1
    newest = platform.history(NAME)[-1]
    assert (newest.cause, newest.actor_verified) == (Cause.PROMOTED, True)
    assert newest.reason.startswith("1.0.0 is gone; the gates were skipped")
