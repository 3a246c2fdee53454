"""Two gateways and two control planes in pods: no gateway goes back to an older table; a rejected table is reported."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from e2e.size import FULL, no_failed_requests
from fairlead.control.chart_settings import XDS_PORT
from fairlead.control.gateway_tokens import AUDIENCE
from fairlead.control.gateways import ADMIN_PORT
from fairlead.routing.envoy.proto import extension, typed
from fairlead.routing.envoy.sources import TOKEN_HEADER
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
"""With this runtime setting, Envoy rejects larger regular expressions. So a valid table can be made to be rejected."""
CHANGE_PORT = 9903
CHANGEABLE = {
    "layered_runtime": {"layers": [{"name": "a person", "admin_layer": {}}]},
    # Added to what the platform has: this page, and a port for it.
    "admin": {"allow_paths": [{"safe_regex": {"regex": r"/runtime_modify\?.*"}}]},
    "static_resources": {
        "listeners": [
            {
                "name": "change",
                "address": {"socket_address": {"address": "0.0.0.0", "port_value": CHANGE_PORT}},
                "filter_chains": [
                    {
                        "filters": [
                            extension(
                                "envoy.filters.network.tcp_proxy",
                                typed(
                                    "extensions.filters.network.tcp_proxy.v3.TcpProxy",
                                    stat_prefix="change",
                                    cluster="admin_page",
                                ),
                            )
                        ]
                    }
                ],
            }
        ]
    },
}
STRICT = "fairlead-gateway-strict"


@pytest.fixture(scope="module")
def halfway(platform: Installed, cluster: Cluster) -> Installed:
    """A rollout that waits for an approval at half of the users."""
    if cluster.plan is None:
        pytest.skip("the tests cannot reach the gateways' pods in the cluster of KUBECONFIG")
    platform.deploy(NAME, VALUES)
    platform.wait_for(NAME, "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
    platform.deploy(NAME, VALUES, "--set", "target=1.1.0")
    platform.wait_for(NAME, "half of the users", candidate="1.1.0", weight=5000, within=120)
    platform.wait_ready()
    return platform


def addresses(platform: Installed) -> dict[str, str]:
    return {name: str(pod["status"]["podIP"]) for name, pod in platform.pods("gateway").items()}


def back_and_forth(platform: Installed) -> None:
    """Publish four tables: the candidate has no users, half of them, none, half of them."""
    for _ in range(2):
        platform.fairlead("rollback", NAME)
        platform.wait_for(NAME, "no users", candidate=None, phase="Stable")
        platform.fairlead("retry", NAME)
        platform.wait_for(NAME, "half of the users", candidate="1.1.0", weight=5000)


def test_a_gateway_that_loses_its_control_plane_uses_another_and_never_goes_back(
    halfway: Installed, findings: Findings
) -> None:
    first = set(halfway.pods("control-plane"))
    gateways = [VersionRecorder(ADMIN_PORT, address) for address in addresses(halfway).values()]
    with recording_versions(gateways, every_s=0.02), halfway.load(NAME, rate=RATE, seconds=600) as load:
        for _ in range(TURNS):
            # Delete the older pod: after two turns both of the first two are replaced.
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


def test_a_client_without_a_gateways_token_gets_no_tables_and_disturbs_no_gateway(halfway: Installed) -> None:
    """Before, any pod that reached the port got the tables, in any gateway's name."""
    one, another, *_ = sorted(halfway.pods("gateway"))
    replica = str(next(iter(halfway.pods("control-plane").values()))["status"]["podIP"])
    bound = ("--bound-object-kind", "Pod", "--bound-object-name", one)
    tokens = {
        "none": "",
        "for the API server": halfway.kube("create", "token", "fairlead-gateway", *bound),
        "of no pod": halfway.kube("create", "token", "fairlead-gateway", "--audience", AUDIENCE),
        "of the control plane": halfway.kube("create", "token", "fairlead-control-plane", "--audience", AUDIENCE),
    }
    real = halfway.kube("create", "token", "fairlead-gateway", "--audience", AUDIENCE, *bound).strip()

    def ask(token: str, name: str) -> int:
        url, headers = f"http://{replica}:{XDS_PORT}/v3/discovery:routes", {TOKEN_HEADER: token.strip()}
        return httpx.post(url, json={"node": {"id": name}}, headers=headers, timeout=30, trust_env=False).status_code

    with halfway.load(NAME, rate=RATE, seconds=600) as load:
        refused = {who: ask(token, one) for who, token in tokens.items()}
        refused["of another pod"] = ask(real, another)
        back_and_forth(halfway)
        load.stop()
        summary = load.result()
    assert refused == {**dict.fromkeys(tokens, 401), "of another pod": 403}
    assert ask(real, one) == 200
    assert summary.failures == {}, summary.samples


def test_no_pod_can_take_a_gateway_out_of_service_or_read_its_configuration(halfway: Installed) -> None:
    """Before, one POST to a gateway's admin port did. The network of the test cluster enforces no policy."""
    [address, *_] = addresses(halfway).values()
    posted = ("/healthcheck/fail", "/drain_listeners", "/quitquitquit", "/logging?level=trace")
    with httpx.Client(base_url=f"http://{address}:{ADMIN_PORT}", timeout=5, trust_env=False) as pod:
        assert {path: pod.post(path).status_code for path in posted} == dict.fromkeys(posted, 403)
        assert pod.get("/config_dump").status_code == 403
        assert pod.get("/ready").status_code == 200
        assert pod.get("/stats/prometheus").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.post(f"http://{address}:9902/healthcheck/fail", headers={"host": "drain"}, timeout=5, trust_env=False)
    sample_of(address)


@pytest.fixture
def strict_gateway(halfway: Installed) -> Iterator[str]:
    """The address of a third gateway. It is like the others, but its runtime settings can be changed over HTTP."""
    like = next(iter(halfway.pods("gateway").values()))
    labels = {key: value for key, value in like["metadata"]["labels"].items() if key != "pod-template-hash"}
    spec = {key: value for key, value in like["spec"].items() if key != "nodeName"}
    spec["containers"][0]["args"] += ["--config-yaml", json.dumps(CHANGEABLE)]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": STRICT, "labels": labels}, "spec": spec}
    halfway.kube("create", "--filename", "-", stdin=json.dumps(pod))
    halfway.kube("wait", f"pod/{STRICT}", "--for=condition=Ready", "--timeout=60s")
    yield addresses(halfway)[STRICT]
    halfway.kube("delete", "pod", STRICT, "--now")  # nobody sends to it: it need not drain


def test_a_table_that_a_gateway_rejects_is_reported_with_its_reason_and_not_sent_again(
    halfway: Installed, strict_gateway: str, findings: Findings
) -> None:
    halfway.fairlead("rollback", NAME)
    halfway.wait_for(NAME, "no users, on three gateways", candidate=None, phase="Stable")
    before = sample_of(strict_gateway)
    with halfway.load(NAME, rate=RATE, seconds=600) as load:
        modify_runtime(strict_gateway, "1")
        try:
            halfway.fairlead("retry", NAME)
            status = halfway.kube.wait("modelroute", NAME, is_rejected, "rejected")["status"]
            rejected = sample_of(strict_gateway)
            load.wait_sent(load.progress.sent + 5 * RATE)
            later, later_status = sample_of(strict_gateway), halfway.status(NAME)
        finally:
            modify_runtime(strict_gateway, "100")
        # All gateways accept the next table, so the rejection is over.
        halfway.fairlead("rollback", NAME)
        after = halfway.wait_for(NAME, "all users are back on stable", candidate=None, phase="Stable")
        load.stop()
        summary = load.result()
    findings.claim(*no_failed_requests("a gateway refuses a table: requests that failed", summary))
    assert summary.failures == {}, summary.samples
    [programmed] = [one for one in status["conditions"] if one["type"] == "Programmed"]
    assert STRICT in programmed["message"]
    assert "RE2 program size" in programmed["message"]
    # The gateway serves its old table, the new one was sent once, and the rollout does not take its next step.
    assert rejected.versions["rds"] == later.versions["rds"]
    assert later.rejected["rds"] == rejected.rejected["rds"] == before.rejected["rds"] + 1
    assert later_status["seq"] == status["seq"]
    assert [one for one in after["conditions"] if one["type"] == "Programmed"][0]["status"] == "True"
    assert not any(one.get("rejected") for one in after["gateways"])


def is_rejected(route: dict[str, Any]) -> bool:
    conditions = (route.get("status") or {}).get("conditions") or ()
    return any((one["type"], one["status"], one["reason"]) == ("Programmed", "False", "Rejected") for one in conditions)


def sample_of(address: str) -> Sample:
    """The resource versions that a gateway uses, and its counts of rejected updates."""
    with closing(AdminClient(address, ADMIN_PORT, timeout_s=5, over_http=True)) as admin:
        sample = admin.read()
    assert sample is not None, f"{address} does not answer"
    return sample


def modify_runtime(address: str, value: str) -> None:
    """Change the runtime setting through the port that this gateway has besides those of the platform."""
    answer = httpx.post(f"http://{address}:{CHANGE_PORT}/runtime_modify", params={LARGEST_EXPRESSION: value}, timeout=5)
    assert answer.text.strip() == "OK"
    time.sleep(0.1)
