"""Parts that are replaced, killed or away while users go on asking: no request fails, and the same revision goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.cluster.installed import MODEL, Installed
from support.cluster.running import Cluster
from support.processes import wait_until

RATE = 100
AWAY_S = 15
VALUES: dict[str, Any] = {
    **MODEL,
    "target": "1.0.0",
    "versions": {"1.0.0": {}, "1.1.0": {}},
    "strategy": {"steps": [{"weight": 5000, "minDuration": "1s", "approval": True}], "minRequests": 0},
}


@pytest.fixture(scope="module")
def halfway(platform: Installed) -> Iterator[Installed]:
    """A rollout that waits at half of the users for a person."""
    platform.deploy("iris", VALUES)
    platform.wait_for("iris", "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
    platform.deploy("iris", VALUES, "--set", "target=1.1.0")
    platform.wait_for("iris", "half of the users", candidate="1.1.0", weight=5000, within=120)
    yield platform
    platform.kube.helm("uninstall", "iris")


def leader(platform: Installed) -> str:
    """The pod that leads; empty while none does."""
    return str(platform.kube.get("lease", "fairlead-control-plane")["spec"].get("holderIdentity") or "")


def unharmed(platform: Installed, disturb: Callable[[], None]) -> None:
    """Nobody notices while `disturb` runs, and for a while after; the rollout stands where it stood."""
    before = platform.status("iris")["revision"]
    with platform.load("iris", rate=RATE, seconds=600) as load:
        load.wait_sent(RATE)
        disturb()
        load.wait_sent(load.progress.sent + 5 * RATE)
        load.stop()
        summary = load.result()
    print(json.dumps(summary.to_json()))
    assert summary.failures == {}
    assert set(summary.by_version) == {"1.0.0", "1.1.0"}
    assert set(summary.by_revision) == {before}
    after = platform.wait_for("iris", "the rollout is where it was", candidate="1.1.0", weight=5000)
    assert after["revision"] == before


def restart(platform: Installed, deployment: str) -> Callable[[], None]:
    """Replace every pod of a Deployment, as an upgrade does, until the last old one is gone."""

    def none_goes() -> bool:
        pods = platform.kube.get("pods")["items"]
        return not any("deletionTimestamp" in pod["metadata"] for pod in pods)

    def disturb() -> None:
        platform.kube("rollout", "restart", f"deployment/{deployment}")
        platform.kube("rollout", "status", f"deployment/{deployment}", "--timeout=240s", timeout=300)
        wait_until(none_goes, "the old pods are gone", within=90, every=0.5)

    return disturb


@pytest.mark.parametrize("part", ["fairlead-gateway", "fairlead-control-plane"])
def test_a_rolling_update_of_the_platform_loses_no_request(halfway: Installed, part: str) -> None:
    unharmed(halfway, restart(halfway, part))


def test_a_rolling_update_of_a_model_loses_no_request(halfway: Installed) -> None:
    [deployment] = halfway.kube.get("deployments", "", "--selector", "fairlead.dev/version=1.0.0")["items"]
    unharmed(halfway, restart(halfway, deployment["metadata"]["name"]))


def test_a_leader_whose_pod_is_deleted_at_once_is_followed_by_the_other_replica(halfway: Installed) -> None:
    gone = leader(halfway)

    def disturb() -> None:
        halfway.kube("delete", "pod", gone, "--grace-period=0", "--force")
        wait_until(lambda: leader(halfway) not in ("", gone), "another leads", within=60, every=0.2)

    unharmed(halfway, disturb)


def test_an_api_server_that_is_away_is_not_missed_by_users(halfway: Installed, cluster: Cluster) -> None:
    if cluster.plan is None:
        pytest.skip("the cluster of KUBECONFIG is not ours to stop parts of")

    def disturb() -> None:
        cluster.stop("kube-apiserver")
        time.sleep(AWAY_S)
        cluster.start("kube-apiserver")
        halfway.kube.wait("node", "node0", lambda _: True, "listed", within=60)

    unharmed(halfway, disturb)


def test_an_approval_after_all_that_promotes_the_candidate(halfway: Installed) -> None:
    halfway.fairlead("approve", "iris", "--reason", "it withstood everything")
    halfway.wait_for("iris", "1.1.0 is promoted", stable="1.1.0", phase="Stable")
    assert "the chain holds" in halfway.fairlead("history", "iris", "--verify")
