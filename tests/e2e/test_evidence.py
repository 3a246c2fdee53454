"""A candidate that fails for one request in twenty, behind two gateways: evidence of both takes its weight."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from e2e.size import FULL
from fairlead.cli.exit_codes import ROLLED_BACK
from fairlead.contracts.gateway import Role
from fairlead.contracts.revision import Cause, Revision
from fairlead.control.gateways import ADMIN_PORT
from fairlead.rollout.analysis.envoy_stats import EnvoyStats
from support.cluster.installed import MODEL, Installed
from support.cluster.lifecycle import Cluster
from support.load.summary import Summary, moment
from support.proof import Findings

RATE = 50 if FULL else 100
"""The issue's question is asked at 50 requests/s; twice as many answer in half the time."""
WITHIN_S = 60
"""The median is 30 s or less (tests/benchmarks/evidence_rollback.py); one run alone may be longer."""
MAX_EXTRA_BAD = 5
CONTROL = "/tmp/faults.json"
WRITE = f"import json; json.dump({{'fail': 0.05}}, open('{CONTROL}', 'w'))"
VALUES: dict[str, Any] = {
    "workload": {**MODEL["workload"], "extraEnv": [{"name": "DOUBLER_CONTROL", "value": CONTROL}]},
    "target": "1.0.0",
    "versions": {"1.0.0": {}, "1.1.0": {}},
    "strategy": {"steps": [{"weight": 1000, "minDuration": "10m"}]},
}


@dataclass(frozen=True)
class Story:
    """One release that was rolled back for what it did."""

    platform: Installed
    summaries: list[Summary]
    """Of each gateway's users."""
    ledger: list[Revision]
    attempts: dict[str, int]
    """What each gateway asked of the candidate while it had weight, by that gateway's own counters."""

    @property
    def step(self) -> Revision:
        """When the candidate got its weight."""
        return next(one for one in self.ledger if one.table.weight == 1000)

    @property
    def back(self) -> Revision:
        """When it lost it."""
        return self.ledger[-1]


def attempts(platform: Installed) -> dict[str, int]:
    """How many requests of the candidate's share each gateway has seen answered so far."""
    found = {}
    for name, pod in platform.pods("gateway").items():
        stats = EnvoyStats(str(pod["status"]["podIP"]), ADMIN_PORT, name=name)
        [reading] = stats.read()
        stats.close()
        aggregates = [
            counters
            for key, counters in reading.clusters.items()
            if (key.role, key.model) == (Role.AGGREGATE, "doubler")
        ]
        found[name] = sum(counters.get("upstream_rq_completed", 0) for counters in aggregates)
    return found


@pytest.fixture(scope="module")
def story(platform: Installed, cluster: Cluster, image: Callable[[str], str]) -> Iterator[Story]:
    if cluster.plan is None:
        pytest.skip("the gateways of the cluster of KUBECONFIG are not within reach of the tests")
    image("doubler:1.0.0"), image("doubler:1.1.0")
    platform.deploy("doubler", VALUES)
    platform.wait_for("doubler", "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
    platform.wait_ready()
    with ExitStack() as loads:
        running = [
            loads.enter_context(
                platform.load(
                    "doubler", rate=RATE / 2, seconds=600, question={"value": 21.0}, gateway=str(pod["status"]["podIP"])
                )
            )
            for pod in platform.pods("gateway").values()
        ]
        before = attempts(platform)
        platform.deploy("doubler", VALUES, "--set", "target=1.1.0")
        platform.wait_for("doubler", "one user in ten", candidate="1.1.0", weight=1000, within=120)
        for pod in platform.kube.get("pods", "", "--selector", "fairlead.dev/version=1.1.0")["items"]:
            platform.kube("exec", pod["metadata"]["name"], "--container", "model", "--", "python3", "-c", WRITE)
        platform.fairlead("wait", "doubler", "--timeout", "5m", expect=ROLLED_BACK)
        time.sleep(1.5)  # a late answer must be seen
        for load in running:
            load.stop()
        summaries = [load.result() for load in running]
    counted = {name: count - before[name] for name, count in attempts(platform).items()}
    yield Story(platform, summaries, platform.history("doubler"), counted)
    platform.remove("doubler")


def test_evidence_takes_the_weight_of_a_candidate_that_fails_for_one_in_twenty(
    story: Story, findings: Findings
) -> None:
    assert story.back.cause is Cause.ROLLED_BACK
    assert ": errors: " in story.back.reason
    seconds = (story.back.created_at - story.step.created_at).total_seconds()
    last = [summary.of_version("1.1.0").last_reply() or 0 for summary in story.summaries]
    late_s = (max(last) - moment(story.back.created_at)) / 1e9
    rate = f"5 % errors at {RATE}/s and 10 %, two gateways"
    findings.claim(f"{rate}: first weight -> weight 0, s", f"at most {WITHIN_S}", f"{seconds:.1f}", seconds <= WITHIN_S)
    findings.note(f"{rate}: weight 0 -> last answer by the candidate, s", f"{late_s:.3f}")
    findings.note(f"{rate}: answered by the candidate's share, by gateway", sorted(story.attempts.values()))
    findings.numbers["evidence"] = {"reason": story.back.reason, "loads": [one.to_json() for one in story.summaries]}
    assert seconds <= WITHIN_S
    assert late_s <= 1


def test_users_get_next_to_none_of_its_errors(story: Story, findings: Findings) -> None:
    failed = sum(summary.failed for summary in story.summaries)
    findings.claim("bad answers to users meanwhile", f"at most {MAX_EXTRA_BAD}", failed, failed <= MAX_EXTRA_BAD)
    assert failed <= MAX_EXTRA_BAD


def test_the_evidence_is_what_both_gateways_counted(story: Story) -> None:
    assert len(story.attempts) == 2
    assert all(count > 0 for count in story.attempts.values())
    windows = [window for window in story.back.windows if window.gap is None]
    assigned = sum(window.assigned for window in windows)
    # The first and the last moments of an attempt are in no window.
    whole = sum(story.attempts.values())
    assert max(story.attempts.values()) < assigned <= whole
    assert assigned >= 0.5 * whole


def test_every_control_plane_tells_the_same_ledger_and_every_gateway_serves_its_end(story: Story) -> None:
    told = []
    for pod in story.platform.pods("control-plane").values():
        url = f"http://{pod['status']['podIP']}:8081/api/v1/routes/doubler/revisions"
        told.append(httpx.get(url, timeout=10).json()["revisions"])
    assert len(told) == 2
    assert told[0] == told[1]
    assert [one["hash"] for one in told[0]] == [one.hash for one in story.ledger]
    assert "the chain holds" in story.platform.fairlead("history", "doubler", "--verify")
    gateways = story.platform.status("doubler")["gateways"]
    assert {(one["name"], one["programmed"]) for one in gateways} == {(name, story.back.seq) for name in story.attempts}
