"""Two gateways, two control planes, in pods: no gateway goes back; a table that one refuses is told, and not forced."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from e2e.size import FULL, no_failed_requests
from fairlead.control.gateways import ADMIN_PORT
from fairlead.routing.publish.admin import AdminClient, Sample
from support.cluster.installed import MODEL, Installed
from support.cluster.lifecycle import Cluster
from support.proof import Findings
from support.version_recorder import VersionRecorder, recording_versions

NAME = "iris-refused"
TURNS = 5 if FULL else 2
RATE = 100
VALUES: dict[str, Any] = {
    **MODEL,
    "target": "1.0.0",
    "versions": {"1.0.0": {}, "1.1.0": {}},
    "strategy": {"steps": [{"weight": 5000, "minDuration": "1s", "approval": True}], "minRequests": 0},
}
LARGEST_EXPRESSION = "re2.max_program_size.error_level"
"""An Envoy whose runtime says so refuses expressions that are larger: nothing of ours has to be broken for it."""
CHANGEABLE = {"layered_runtime": {"layers": [{"name": "a person", "admin_layer": {}}]}}
FUSSY = "fairlead-gateway-fussy"


@pytest.fixture(scope="module")
def halfway(platform: Installed, cluster: Cluster) -> Iterator[Installed]:
    """A rollout that waits at half of the users for a person."""
    if cluster.plan is None:
        pytest.skip("the gateways of the cluster of KUBECONFIG are not within reach of the tests")
    platform.deploy(NAME, VALUES)
    platform.wait_for(NAME, "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
    platform.deploy(NAME, VALUES, "--set", "target=1.1.0")
    platform.wait_for(NAME, "half of the users", candidate="1.1.0", weight=5000, within=120)
    platform.wait_ready()
    yield platform
    platform.remove(NAME)


def addresses(platform: Installed) -> dict[str, str]:
    return {name: str(pod["status"]["podIP"]) for name, pod in platform.pods("gateway").items()}


def back_and_forth(platform: Installed) -> None:
    """Four tables: nobody, half of the users, nobody, half of the users."""
    for _ in range(2):
        platform.fairlead("rollback", NAME)
        platform.wait_for(NAME, "nobody", candidate=None, phase="Stable")
        platform.fairlead("retry", NAME)
        platform.wait_for(NAME, "half of the users", candidate="1.1.0", weight=5000)


def test_a_gateway_that_loses_its_control_plane_goes_on_with_another_and_never_back(
    halfway: Installed, findings: Findings
) -> None:
    first = set(halfway.pods("control-plane"))
    gateways = [VersionRecorder(ADMIN_PORT, address) for address in addresses(halfway).values()]
    with recording_versions(gateways, every_s=0.02), halfway.load(NAME, rate=RATE, seconds=600) as load:
        for _ in range(TURNS):
            # The older one: after two turns neither of the first two is there any more.
            pods = sorted(
                halfway.pods("control-plane").values(), key=lambda pod: str(pod["metadata"]["creationTimestamp"])
            )
            halfway.kube("delete", "pod", pods[0]["metadata"]["name"], "--wait=false")
            back_and_forth(halfway)
            halfway.wait_ready()
        load.wait_sent(load.progress.sent + 2 * RATE)
        load.stop()
        summary = load.result()
    tables = sum(len(gateway.seen["rds"]) for gateway in gateways)
    back = sum(gateway.went_back for gateway in gateways)
    findings.claim(f"control planes replaced amid {tables} tables: gateways that went back", "0", back, not back)
    findings.claim(*no_failed_requests("control planes replaced amid changes: requests that failed", summary))
    assert not first & set(halfway.pods("control-plane"))
    assert summary.failures == {}, summary.samples
    for gateway in gateways:
        assert len(gateway.seen["rds"]) >= 3 * TURNS
        assert not gateway.went_back, gateway.seen


@pytest.fixture
def fussy(halfway: Installed) -> Iterator[str]:
    """A third gateway, like the others but that a person inside may change its runtime; its address."""
    like = next(iter(halfway.pods("gateway").values()))
    labels = {key: value for key, value in like["metadata"]["labels"].items() if key != "pod-template-hash"}
    spec = {key: value for key, value in like["spec"].items() if key != "nodeName"}
    spec["containers"][0]["args"] += ["--config-yaml", json.dumps(CHANGEABLE)]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": FUSSY, "labels": labels}, "spec": spec}
    halfway.kube("create", "--filename", "-", stdin=json.dumps(pod))
    halfway.kube("wait", f"pod/{FUSSY}", "--for=condition=Ready", "--timeout=60s")
    yield addresses(halfway)[FUSSY]
    halfway.kube("delete", "pod", FUSSY)


def test_a_table_that_a_gateway_refuses_is_told_with_its_name_and_reason_and_not_sent_again(
    halfway: Installed, fussy: str, findings: Findings
) -> None:
    halfway.fairlead("rollback", NAME)
    halfway.wait_for(NAME, "nobody, by three gateways", candidate=None, phase="Stable")
    before = look(fussy)
    with halfway.load(NAME, rate=RATE, seconds=600) as load:
        modify_runtime(fussy, "1")
        try:
            halfway.fairlead("retry", NAME)
            said = halfway.kube.wait("modelroute", NAME, is_rejected, "refused")["status"]
            refused = look(fussy)
            load.wait_sent(load.progress.sent + 5 * RATE)
            later, still = look(fussy), halfway.status(NAME)
        finally:
            modify_runtime(fussy, "100")
        # The next table is taken by all, and the refusal is over.
        halfway.fairlead("rollback", NAME)
        after = halfway.wait_for(NAME, "everybody is back", candidate=None, phase="Stable")
        load.stop()
        summary = load.result()
    findings.claim(*no_failed_requests("a gateway refuses a table: requests that failed", summary))
    assert summary.failures == {}, summary.samples
    [programmed] = [one for one in said["conditions"] if one["type"] == "Programmed"]
    assert FUSSY in programmed["message"]
    assert "RE2 program size" in programmed["message"]
    # What serves is what served, once was enough, and nobody is sent on to the next step meanwhile.
    assert refused.versions["rds"] == later.versions["rds"]
    assert later.rejected["rds"] == refused.rejected["rds"] == before.rejected["rds"] + 1
    assert still["seq"] == said["seq"]
    assert [one for one in after["conditions"] if one["type"] == "Programmed"][0]["status"] == "True"
    assert not any(one.get("rejected") for one in after["gateways"])


def is_rejected(route: dict[str, Any]) -> bool:
    conditions = (route.get("status") or {}).get("conditions") or ()
    return any((one["type"], one["status"], one["reason"]) == ("Programmed", "False", "Rejected") for one in conditions)


def look(address: str) -> Sample:
    """What a gateway serves, and how often it has refused."""
    with closing(AdminClient(address, ADMIN_PORT, timeout_s=5, over_http=True)) as admin:
        sample = admin.read()
    assert sample is not None, f"{address} does not answer"
    return sample


def modify_runtime(address: str, value: str) -> None:
    """As a person may, who is inside the pod; the platform itself only reads there."""
    answer = httpx.post(f"http://{address}:{ADMIN_PORT}/runtime_modify", params={LARGEST_EXPRESSION: value}, timeout=5)
    assert answer.text.strip() == "OK"
    time.sleep(0.1)
