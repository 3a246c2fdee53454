"""Rollbacks by `fairlead rollback` and by `helm rollback`, under load."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

import pytest

from benchmarks.rollback import Command, times
from e2e.size import FULL, no_failed_requests
from fairlead.contracts.revision import Cause
from fairlead.errors import Unavailable
from fairlead.store.kubernetes import kubeconfig
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import ROUTES
from support.cluster.installed import MODEL, Installed
from support.load.summary import Summary, moment
from support.processes import wait_until
from support.proof import Findings

NAME = "iris-back"
TURNS = 10 if FULL else 2
MAX_LAST_ANSWER_S = 1.0
OLD: dict[str, Any] = {
    **MODEL,
    "target": "1.0.0",
    "versions": {"1.0.0": {}},
    "strategy": {"steps": [{"weight": 5000, "minDuration": "1s", "approval": True}], "minRequests": 0},
}
NEW = {**OLD, "target": "1.1.0", "versions": {"1.0.0": {}, "1.1.0": {}}}


class Accepted:
    """Records when the API server accepted each change of the route's spec: when a watch reports it."""

    def __init__(self, platform: Installed) -> None:
        self._api = Api(kubeconfig.load(environment={"KUBECONFIG": str(platform.kube.kubeconfig)}))
        _, since = self._api.list(ROUTES, platform.kube.namespace)
        self._watch = self._api.watch(ROUTES, platform.kube.namespace, since, timeout_s=1800)
        self._seen: dict[int, int] = {}
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def at(self, generation: int) -> int:
        """The time.time_ns() at which this generation was reported."""
        wait_until(lambda: generation in self._seen, f"generation {generation} is seen")
        return self._seen[generation]

    def close(self) -> None:
        self._watch.close()
        self._thread.join()
        self._api.close()

    def _listen(self) -> None:
        try:
            for _, route in self._watch:
                self._seen.setdefault(int(route["metadata"].get("generation") or 0), time.time_ns())
        except Unavailable:
            pass  # the watch was closed


@dataclass
class Rollbacks:
    """The rollback commands, the load during them, and the Deployments after them."""

    platform: Installed
    commands: list[Command] = field(default_factory=list)
    summary: Summary | None = None
    deployments: list[set[str]] = field(default_factory=list)

    @property
    def load(self) -> Summary:
        assert self.summary is not None
        return self.summary


def by_action(platform: Installed) -> Command:
    started = time.time_ns()
    action = json.loads(platform.fairlead("rollback", NAME, "--reason", "a test", "--json"))
    accepted = moment(datetime.fromisoformat(action["createdAt"]))  # the time before it was sent, so never too late
    return Command("action", started, accepted, time.time_ns(), f"{NAME}.{action['revision']}")


def by_helm(platform: Installed, accepted: Accepted) -> Command:
    started = time.time_ns()
    platform.kube.helm("rollback", NAME)
    ended = time.time_ns()
    platform.wait_for(NAME, "back at 1.0.0", stable="1.0.0", candidate=None, phase="Stable")
    generation = platform.kube.get("modelroute", NAME)["metadata"]["generation"]
    return Command("helm", started, accepted.at(generation), ended, platform.history(NAME)[-1].id)


def deployments(platform: Installed) -> set[str]:
    found = platform.kube.get("deployments", "", "--selector", f"fairlead.dev/model={NAME}")["items"]
    return {str(one["metadata"]["labels"]["fairlead.dev/version"]) for one in found}


@pytest.fixture(scope="module")
def rollbacks(platform: Installed) -> Rollbacks:
    """Roll back by action and by Helm in turn, each time from a candidate that has half of the users."""
    found = Rollbacks(platform)
    platform.deploy(NAME, OLD)
    platform.wait_for(NAME, "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
    accepted = Accepted(platform)
    try:
        with platform.load(NAME, rate=100, seconds=1800) as load:
            for _ in range(TURNS):
                platform.deploy(NAME, NEW)
                platform.wait_for(NAME, "half of the users", candidate="1.1.0", weight=5000, within=120)
                time.sleep(0.5)  # some users must have reached the candidate
                found.commands.append(by_action(platform))
                time.sleep(1.5)  # long enough to see a late response before the next attempt
                platform.fairlead("retry", NAME)
                platform.wait_for(NAME, "half of the users again", candidate="1.1.0", weight=5000)
                time.sleep(0.5)
                found.commands.append(by_helm(platform, accepted))
                found.deployments.append(deployments(platform))
                time.sleep(1.5)
            load.stop()
            found.summary = load.result()
    finally:
        accepted.close()
    return found


def test_users_reach_the_candidate_for_at_most_one_second_after_an_accepted_rollback(
    rollbacks: Rollbacks, findings: Findings
) -> None:
    measured = times(rollbacks.commands, rollbacks.load)
    for way in ("action", "helm"):
        last = [one.last_answer_s for one in measured if one.phase == way]
        what = f"rolled back by {way}: accepted by the API server -> last answer, slowest of {len(last)} (median), s"
        seconds = f"{max(last):.3f} ({median(last):.3f})"
        findings.claim(what, f"at most {MAX_LAST_ANSWER_S:g}", seconds, max(last) <= MAX_LAST_ANSWER_S)
    findings.numbers["rollbacks"] = [asdict(one) for one in measured]
    assert {one.phase for one in measured} == {"action", "helm"}
    assert rollbacks.load.by_version["1.1.0"] > 0
    assert max(one.last_answer_s for one in measured) <= MAX_LAST_ANSWER_S


def test_no_request_fails_during_releases_and_rollbacks(rollbacks: Rollbacks, findings: Findings) -> None:
    findings.claim(*no_failed_requests("forth and back: requests that failed", rollbacks.load))
    assert rollbacks.load.failures == {}, rollbacks.load.samples


def test_the_ledger_has_the_actor_and_reason_of_each_rollback(rollbacks: Rollbacks) -> None:
    ledger = {one.id: one for one in rollbacks.platform.history(NAME)}
    by_person = ledger[rollbacks.commands[0].revision]
    assert (by_person.cause, by_person.reason) == (Cause.ROLLED_BACK, "a test")
    assert by_person.actor
    assert by_person.actor_verified
    by_tool = ledger[rollbacks.commands[1].revision]
    assert by_tool.actor == "helm"


def test_a_version_that_helm_removed_is_deleted_when_it_has_no_traffic(rollbacks: Rollbacks) -> None:
    wait_until(lambda: deployments(rollbacks.platform) == {"1.0.0"}, "1.1.0 is removed", every=0.5)
    assert rollbacks.platform.status(NAME)["phase"] == "Stable"
