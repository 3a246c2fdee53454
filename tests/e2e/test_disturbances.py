"""Components of platform and cluster are replaced, killed, frozen or stopped: no request fails, the revision stays."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import httpx
import pytest

from e2e.size import FULL, no_failed_requests
from support.cluster.installed import MODEL, Installed
from support.cluster.kubectl import CommandFailed
from support.cluster.lifecycle import Cluster
from support.cluster.processes import process_of
from support.processes import is_alive, wait_until
from support.proof import Findings

NAME = "iris-disturbed"
RATE = 100
AWAY_S = 60 if FULL else 10
"""How long the API server is stopped."""
DOWN_S = 10 if FULL else 3
"""How long the kubelet or etcd is stopped."""
VALUES: dict[str, Any] = {
    **MODEL,
    "target": "1.0.0",
    "versions": {"1.0.0": {}, "1.1.0": {}},
    "strategy": {"steps": [{"weight": 5000, "minDuration": "1s", "approval": True}], "minRequests": 0},
}
PLATFORM = ("fairlead-gateway", "fairlead-control-plane")


@pytest.fixture(scope="module")
def halfway(platform: Installed) -> Installed:
    """A rollout that waits for an approval at half of the users."""
    platform.deploy(NAME, VALUES)
    platform.wait_for(NAME, "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
    platform.deploy(NAME, VALUES, "--set", "target=1.1.0")
    platform.wait_for(NAME, "half of the users", candidate="1.1.0", weight=5000, within=120)
    return platform


@pytest.fixture
def stoppable(cluster: Cluster) -> Cluster:
    """The cluster, if its components may be stopped."""
    if cluster.plan is None:
        pytest.skip("this test stops components, which it must not do in the cluster of KUBECONFIG")
    return cluster


def needs_every_gateway(platform: Installed) -> None:
    """Skip the test if the load goes through a single gateway, whose replacement would fail requests."""
    if platform.network is None:
        pytest.skip("in the cluster of KUBECONFIG the load uses a forwarded port, which ends with its gateway")


@dataclass(frozen=True)
class Term:
    """The holder of the leader lease (empty: none) and the number of the lease's transitions."""

    holder: str
    transition: int


def term(platform: Installed) -> Term:
    spec = platform.kube.get("lease", "fairlead-control-plane")["spec"]
    return Term(str(spec.get("holderIdentity") or ""), int(spec.get("leaseTransitions") or 0))


def next_term(platform: Installed, old: Term, *, another: bool = False) -> Term:
    """Wait until a replica leads in a later transition; with `another`, one that is not the old leader."""
    seen = [old]

    def is_next() -> bool:
        seen.append(term(platform))
        new = seen[-1]
        return bool(new.holder) and new.transition > old.transition and not (another and new.holder == old.holder)

    wait_until(is_next, "a replica leads again", every=0.2)
    return seen[-1]


class RunDisturbance(Protocol):
    """The type of the fixture `run_disturbance`."""

    def __call__(self, what: str, disturb: Callable[[], None]) -> None: ...


@pytest.fixture
def run_disturbance(halfway: Installed, findings: Findings) -> RunDisturbance:
    """`run_disturbance(what, disturb)` calls `disturb` under load.

    It checks that no request fails during the disturbance and five seconds after it, and that the revision is the same.
    """

    def run(what: str, disturb: Callable[[], None]) -> None:
        halfway.wait_ready()
        before = halfway.wait_for(NAME, "every gateway serves it", candidate="1.1.0", weight=5000)["revision"]
        with halfway.load(NAME, rate=RATE, seconds=900) as load:
            load.wait_sent(RATE)
            disturb()
            load.wait_sent(load.progress.sent + 5 * RATE)
            load.stop()
            summary = load.result()
        findings.claim(*no_failed_requests(f"{what}: requests that failed", summary))
        findings.numbers[what] = summary.to_json()
        assert summary.failed == 0, summary.samples
        assert set(summary.by_version) == {"1.0.0", "1.1.0"}
        assert set(summary.by_revision) == {before}
        after = halfway.wait_for(NAME, "the rollout is where it was", candidate="1.1.0", weight=5000)
        assert after["revision"] == before

    return run


def restart(platform: Installed, *deployments: str) -> None:
    """Replace all pods of these Deployments, as an upgrade does, and wait until the last old pod is gone."""

    def none_terminates() -> bool:
        pods = platform.kube.get("pods")["items"]
        return not any("deletionTimestamp" in pod["metadata"] for pod in pods)

    for name in deployments:
        platform.kube("rollout", "restart", f"deployment/{name}")
    for name in deployments:
        platform.kube("rollout", "status", f"deployment/{name}", "--timeout=240s", timeout=300)
    wait_until(none_terminates, "the old pods are gone", within=90, every=0.5)


def stable_deployment(platform: Installed) -> str:
    [found] = platform.of_version("deployments", NAME, "1.0.0")
    return str(found["metadata"]["name"])


@pytest.mark.skipif(not FULL, reason="FAIRLEAD_E2E_SIZE=full replaces them one by one as well")
@pytest.mark.parametrize("part", [*PLATFORM, "the model"])
def test_a_rolling_update_loses_no_request(halfway: Installed, run_disturbance: RunDisturbance, part: str) -> None:
    if part == PLATFORM[0]:
        needs_every_gateway(halfway)
    run_disturbance(
        f"{part} is updated", lambda: restart(halfway, stable_deployment(halfway) if part == "the model" else part)
    )


def test_rolling_updates_of_gateway_control_plane_and_model_at_once_lose_no_request(
    halfway: Installed, run_disturbance: RunDisturbance
) -> None:
    needs_every_gateway(halfway)
    run_disturbance("all three are updated at once", lambda: restart(halfway, *PLATFORM, stable_deployment(halfway)))


def test_the_other_replica_leads_when_the_leader_s_pod_is_deleted_without_grace(
    halfway: Installed, run_disturbance: RunDisturbance
) -> None:
    old = term(halfway)

    def disturb() -> None:
        halfway.kube("delete", "pod", old.holder, "--grace-period=0", "--force")
        next_term(halfway, old, another=True)

    run_disturbance("the leader's pod is deleted", disturb)


@pytest.mark.usefixtures("stoppable")
def test_a_replica_leads_again_after_the_leader_is_killed(halfway: Installed, run_disturbance: RunDisturbance) -> None:
    old = term(halfway)

    def disturb() -> None:
        os.kill(process_of(halfway.pods("control-plane")[old.holder], "control-plane"), signal.SIGKILL)
        next_term(halfway, old)
        halfway.wait_ready()

    run_disturbance("the leader is killed", disturb)


@pytest.mark.usefixtures("stoppable")
def test_a_leader_that_was_frozen_cannot_write_after_another_replica_leads(
    halfway: Installed, run_disturbance: RunDisturbance
) -> None:
    old = term(halfway)
    pod = halfway.pods("control-plane")[old.holder]
    frozen = process_of(pod, "control-plane")

    def disturb() -> None:
        os.kill(frozen, signal.SIGSTOP)
        try:
            new = next_term(halfway, old, another=True)
        finally:
            os.kill(frozen, signal.SIGCONT)
        metrics = f"http://{pod['status']['podIP']}:8081/metrics"
        wait_until(lambda: "fairlead_control_leader 0.0" in _text(metrics), "it has stepped down", within=15, every=0.2)
        assert is_alive(frozen), "its node agent killed it before it woke"
        assert f"leads no more; {new.holder} does" in halfway.kube("logs", old.holder)
        # The API server itself rejects a write that the old leader may have begun when it was frozen.
        with pytest.raises(CommandFailed, match=f"transition {old.transition}, the lease is at {new.transition}"):
            append(halfway, fence=old.transition)
        assert "created" in append(halfway, fence=new.transition)

    run_disturbance("the leader is frozen until another leads", disturb)


def append(platform: Installed, *, fence: int) -> str:
    """Try to append a revision as a control plane that led in this transition, as a dry run. Raises CommandFailed."""
    head = platform.status(NAME)["seq"]
    last = platform.kube.get("modelrouterevision", f"{NAME}-{head}")
    metadata = {
        "name": f"{NAME}-{head + 1}",
        "labels": last["metadata"]["labels"],
        "annotations": {**last["metadata"]["annotations"], "fairlead.dev/fence": str(fence)},
    }
    spec = {**last["spec"], "seq": head + 1, "parent": last["spec"]["hash"]}
    document = {"apiVersion": last["apiVersion"], "kind": last["kind"], "metadata": metadata, "spec": spec}
    account = f"system:serviceaccount:{platform.kube.namespace}:fairlead-control-plane"
    options = ("--dry-run=server", f"--as={account}")
    return platform.kube("create", *options, "--filename", "-", stdin=json.dumps(document))


def _text(url: str) -> str:
    try:
        return httpx.get(url, timeout=2).text
    except httpx.TransportError:
        return ""


def test_a_node_agent_that_is_killed_and_started_again_costs_no_request(
    halfway: Installed, run_disturbance: RunDisturbance, stoppable: Cluster
) -> None:
    of_the_node = ("node0", "--namespace=kube-node-lease")

    def disturb() -> None:
        stoppable.stop("kubelet")
        last = renewed(halfway, *of_the_node)
        time.sleep(DOWN_S)
        stoppable.start("kubelet")
        wait_until(lambda: renewed(halfway, *of_the_node) != last, "it renews its node's lease", every=0.2)
        halfway.wait_ready()

    run_disturbance("the node agent is killed", disturb)


def test_etcd_that_is_killed_and_started_again_costs_no_request(
    halfway: Installed, run_disturbance: RunDisturbance, stoppable: Cluster
) -> None:
    def disturb() -> None:
        stoppable.stop("etcd")
        time.sleep(DOWN_S)
        stoppable.start("etcd")
        answers_again(halfway)
        last = renewed(halfway, "fairlead-control-plane")  # a renewed lease shows that etcd accepts writes
        wait_until(lambda: renewed(halfway, "fairlead-control-plane") != last, "the leader renews its lease", every=0.2)

    run_disturbance("etcd is killed", disturb)


def test_no_request_fails_while_the_api_server_is_stopped(
    halfway: Installed, run_disturbance: RunDisturbance, stoppable: Cluster
) -> None:
    def disturb() -> None:
        stoppable.stop("kube-apiserver")
        time.sleep(AWAY_S)
        stoppable.start("kube-apiserver")
        answers_again(halfway)

    run_disturbance(f"the API server is away for {AWAY_S} s", disturb)


def test_control_planes_that_start_without_their_store_keep_all_routes(
    halfway: Installed, run_disturbance: RunDisturbance, stoppable: Cluster
) -> None:
    pods = halfway.pods("control-plane").values()
    urls = [f"http://{pod['status']['podIP']}:8081" for pod in pods]

    def disturb() -> None:
        stoppable.stop("kube-apiserver")
        since = time.monotonic()
        for pod in pods:
            os.kill(process_of(pod, "control-plane"), signal.SIGKILL)
        for url in urls:  # the node agent starts them again, without an API server
            wait_until(lambda url=url: _status(f"{url}/livez") == 200, f"{url} lives", within=90, every=0.2)  # type: ignore[misc]
        assert [_status(f"{url}/readyz") for url in urls] == [503, 503]
        time.sleep(max(0.0, since + AWAY_S - time.monotonic()))
        stoppable.start("kube-apiserver")
        answers_again(halfway)
        halfway.wait_ready()

    run_disturbance("control planes start while it is away", disturb)


def renewed(platform: Installed, *lease: str) -> str:
    """The time when a lease was last renewed."""
    return str(platform.kube.get("lease", *lease)["spec"]["renewTime"])


def answers_again(platform: Installed) -> None:
    platform.kube.wait("node", "node0", lambda _: True, "listed")


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=2).status_code
    except httpx.TransportError:
        return 0


def test_an_approval_after_all_disturbances_promotes_the_candidate(halfway: Installed) -> None:
    halfway.fairlead("approve", NAME, "--reason", "it withstood everything")
    halfway.wait_for(NAME, "1.1.0 is promoted", stable="1.1.0", phase="Stable")
    assert "the chain holds" in halfway.fairlead("history", NAME, "--verify")
