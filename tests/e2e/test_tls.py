"""Certificates and their authority are replaced in a cluster, under load between gateways and models."""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2e.size import FULL, no_failed_requests
from fairlead.contracts.labels import TLS_PORT
from support.cluster.certificates import Authority
from support.cluster.installed import MODEL, PLATFORM, Installed
from support.load.summary import Summary
from support.processes import wait_until
from support.proof import Findings

pytestmark = pytest.mark.skipif(not FULL, reason="the kubelet takes a quarter of a minute for each of three steps")

NAME = "iris-secured"
RATE = 300
WITHIN_S = 120
"""The time in which the kubelet brings a changed Secret into a pod: see docs/tls.md."""
SECRETS = {"gateway": "clientAuth", "control-plane": "clientAuth", "models": "serverAuth"}
"""The Secrets, and what their certificates are for."""
SECURED: dict[str, Any] = {
    **PLATFORM,
    "tls": {"mode": "secrets", "secretNames": {"gateway": "gateway", "controlPlane": "control-plane"}},
}
VALUES: dict[str, Any] = {
    **MODEL,
    "target": "1.0.0",
    "versions": {"1.0.0": {}, "1.1.0": {}},
    "strategy": {"steps": [{"weight": 5000, "minDuration": "1s", "approval": True}], "minRequests": 0},
    "tls": {"secretName": "models"},
}
UPDATES = re.compile(r"^envoy_cluster_client_ssl_socket_factory_ssl_context_update_by_sds\{.*\} (\d+)$", re.MULTILINE)


@dataclass(frozen=True)
class Rotated:
    """The load during the rotation, and who is answered by each pod of the model after it."""

    summary: Summary
    old_is_answered: list[bool]
    new_is_answered: list[bool]


def put(platform: Installed, issuer: Authority, trusted: Sequence[Authority]) -> None:
    """Replace the content of all Secrets, each by one request, as cert-manager does it."""
    known = "".join(one.certificate.read_text() for one in trusted)
    hosts = [f"*.{platform.kube.namespace}.svc.cluster.local"]
    for name, usages in SECRETS.items():
        own = issuer.issue(name, hosts=hosts if usages == "serverAuth" else (), usages=usages)
        certificate, key = (path.read_text() for path in own)
        files = {"tls.crt": certificate, "tls.key": key, "ca.crt": known}
        encoded = {file: base64.b64encode(text.encode()).decode() for file, text in files.items()}
        platform.kube.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls",
                "metadata": {"name": name},
                "data": encoded,
            }
        )


def pods(platform: Installed) -> list[Any]:
    found = [one for version in VALUES["versions"] for one in platform.of_version("pods", NAME, version)]
    return [one for one in found if "deletionTimestamp" not in one["metadata"]]


def answered(platform: Installed, pod: Any, own: tuple[Path, Path], trusted: Authority) -> bool:
    """Whether the pod answers a client with this certificate, which believes this authority."""
    context = ssl.create_default_context(cafile=trusted.certificate)
    context.load_cert_chain(*own)
    host = f"any.{platform.kube.namespace}.svc.cluster.local"
    try:
        with httpx.Client(verify=context, trust_env=False, timeout=10) as client:
            url = f"https://{pod['status']['podIP']}:{TLS_PORT}/readyz"
            return client.get(url, extensions={"sni_hostname": host}).is_success
    except httpx.TransportError:
        return False


def updates(platform: Installed) -> int:
    """How often the gateway has read new files for a cluster, for the cluster and gateway where that is least."""
    found = []
    for pod in platform.pods("gateway").values():
        text = httpx.get(f"http://{pod['status']['podIP']}:9901/stats/prometheus", trust_env=False, timeout=10).text
        found += [int(one) for one in UPDATES.findall(text)]
    assert found
    return min(found)


@pytest.fixture(scope="module")
def secured(platform: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Installed, Authority]]:
    """The platform with TLS, and half of the users at a candidate; afterwards the platform has none again."""
    if platform.network is None:
        pytest.skip("this test asks each pod, and in the cluster of KUBECONFIG it reaches only a forwarded port")
    old = Authority(tmp_path_factory.mktemp("old")).create()
    put(platform, old, [old])
    platform.upgrade(SECURED)
    platform.deploy(NAME, VALUES)
    platform.wait_for(NAME, "1.0.0 serves", stable="1.0.0", phase="Stable", within=120)
    platform.deploy(NAME, VALUES, "--set", "target=1.1.0")
    platform.wait_for(NAME, "half of the users", candidate="1.1.0", weight=5000, within=120)
    platform.wait_ready()
    yield platform, old
    platform.remove(NAME)
    platform.upgrade(PLATFORM)
    platform.wait_ready()


@pytest.fixture(scope="module")
def rotated(secured: tuple[Installed, Authority], tmp_path_factory: pytest.TempPathFactory) -> Rotated:
    """A new authority is believed, then signs, then is the only one; then the models are restarted."""
    platform, old = secured
    new = Authority(tmp_path_factory.mktemp("new")).create()
    ours, theirs = (one.issue("client", usages="clientAuth") for one in (old, new))
    with platform.load(NAME, rate=RATE, seconds=900) as load:
        load.wait_sent(RATE)
        for issuer, trusted in ((old, [old, new]), (new, [old, new]), (new, [new])):
            before = updates(platform)
            put(platform, issuer, trusted)
            for pod in pods(platform):
                expected = [True, old in trusted]

                def believes(pod: Any = pod, issuer: Authority = issuer, expected: list[bool] = expected) -> bool:
                    return [answered(platform, pod, own, issuer) for own in (theirs, ours)] == expected

                wait_until(believes, "the pod has the new files", within=WITHIN_S, every=0.5)
            wait_until(lambda: updates(platform) > before, "gateways have the new files", within=WITHIN_S, every=0.5)  # noqa: B023
            load.wait_sent(load.progress.sent + 5 * RATE)
        # The open connections of before end, and those of new pods begin with the new certificates on both sides.
        platform.kube("rollout", "restart", "deployments", "--selector", f"fairlead.dev/model={NAME}")
        platform.kube("rollout", "status", "deployments", "--selector", f"fairlead.dev/model={NAME}", timeout=300)
        load.wait_sent(load.progress.sent + 5 * RATE)
        load.stop()
        summary = load.result()
    found = pods(platform)
    return Rotated(
        summary,
        old_is_answered=[answered(platform, pod, ours, new) for pod in found],
        new_is_answered=[answered(platform, pod, theirs, new) for pod in found],
    )


def test_no_request_fails_while_certificates_and_their_authority_are_replaced(
    rotated: Rotated, findings: Findings
) -> None:
    what = f"certificates and authority replaced at {RATE} requests/s: requests that failed"
    findings.claim(*no_failed_requests(what, rotated.summary))
    findings.numbers["rotation"] = rotated.summary.to_json()
    assert rotated.summary.failures == {}, rotated.summary.samples
    assert set(rotated.summary.by_version) == {"1.0.0", "1.1.0"}


def test_clients_of_the_old_authority_are_refused_afterwards(rotated: Rotated) -> None:
    assert set(rotated.new_is_answered) == {True}
    assert set(rotated.old_is_answered) == {False}
