"""A candidate that fails one request in twenty, behind two gateways: the evidence of both takes its weight."""

from __future__ import annotations

import time
from collections.abc import Callable
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
"""Requests per second. The claim is made at 50; the reduced size uses twice as many, to need half the time."""
MAX_SECONDS = 60
"""The median must be at most 30 s (tests/benchmarks/evidence_rollback.py); a single run may take longer."""
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
class RolledBack:
    """One release that was rolled back by evidence."""

    platform: Installed
    summaries: list[Summary]
    """The loads, one through each gateway."""
    ledger: list[Revision]
    attempts: dict[str, int]
    """The completed requests to the candidate while it had weight, by gateway, from the gateways' own counters."""

    @property
    def step(self) -> Revision:
        """The revision that gave the candidate its weight."""
        return next(one for one in self.ledger if one.table.weight == 1000)

    @property
    def back(self) -> Revision:
        """The revision that took the weight."""
        return self.ledger[-1]


def attempts(platform: Installed) -> dict[str, int]:
    """The number of completed requests of the candidate's share so far, by gateway."""
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
def release(platform: Installed, cluster: Cluster, image: Callable[[str], str]) -> RolledBack:
    if cluster.plan is None:
        pytest.skip("the tests cannot reach the gateways' pods in the cluster of KUBECONFIG")
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
        for pod in platform.of_version("pods", "doubler", "1.1.0"):
            platform.kube("exec", pod["metadata"]["name"], "--container", "model", "--", "python3", "-c", WRITE)
        platform.fairlead("wait", "doubler", "--timeout", "5m", expect=ROLLED_BACK)
        time.sleep(1.5)  # long enough to see a late response
        for load in running:
            load.stop()
        summaries = [load.result() for load in running]
    counted = {name: count - before[name] for name, count in attempts(platform).items()}
    return RolledBack(platform, summaries, platform.history("doubler"), counted)


def test_evidence_takes_the_weight_of_a_candidate_that_fails_one_request_in_twenty(
    release: RolledBack, findings: Findings
) -> None:
    assert release.back.cause is Cause.ROLLED_BACK
    assert ": errors: " in release.back.reason
    seconds = (release.back.created_at - release.step.created_at).total_seconds()
    last = [summary.of_version("1.1.0").last_reply() or 0 for summary in release.summaries]
    late_s = (max(last) - moment(release.back.created_at)) / 1e9
    rate = f"5 % errors at {RATE}/s and 10 %, two gateways"
    findings.claim(
        f"{rate}: first weight -> weight 0, s", f"at most {MAX_SECONDS}", f"{seconds:.1f}", seconds <= MAX_SECONDS
    )
    findings.note(f"{rate}: weight 0 -> last answer by the candidate, s", f"{late_s:.3f}")
    findings.note(f"{rate}: answered by the candidate's share, by gateway", sorted(release.attempts.values()))
    findings.numbers["evidence"] = {
        "reason": release.back.reason,
        "loads": [one.to_json() for one in release.summaries],
    }
    assert seconds <= MAX_SECONDS
    assert late_s <= 1


def test_users_get_at_most_five_of_its_errors(release: RolledBack, findings: Findings) -> None:
    failed = sum(summary.failed for summary in release.summaries)
    findings.claim("bad answers to users meanwhile", f"at most {MAX_EXTRA_BAD}", failed, failed <= MAX_EXTRA_BAD)
    assert failed <= MAX_EXTRA_BAD


def test_the_evidence_is_what_both_gateways_counted(release: RolledBack) -> None:
    assert len(release.attempts) == 2
    assert all(count > 0 for count in release.attempts.values())
    windows = [window for window in release.back.windows if window.gap is None]
    assigned = sum(window.assigned for window in windows)
    # No window covers the first and the last moments of an attempt.
    whole = sum(release.attempts.values())
    assert max(release.attempts.values()) < assigned <= whole
    assert assigned >= 0.5 * whole


def test_every_control_plane_returns_the_same_ledger_and_every_gateway_serves_its_head(release: RolledBack) -> None:
    ledgers = []
    for pod in release.platform.pods("control-plane").values():
        url = f"http://{pod['status']['podIP']}:8081/api/v1/routes/doubler/revisions"
        ledgers.append(httpx.get(url, timeout=10).json()["revisions"])
    assert len(ledgers) == 2
    assert ledgers[0] == ledgers[1]
    assert [one["hash"] for one in ledgers[0]] == [one.hash for one in release.ledger]
    assert "the chain holds" in release.platform.fairlead("history", "doubler", "--verify")
    gateways = release.platform.status("doubler")["gateways"]
    assert {(one["name"], one["programmed"]) for one in gateways} == {
        (name, release.back.seq) for name in release.attempts
    }
