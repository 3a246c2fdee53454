"""TLS between gateways and control plane: who reaches whom, and certificates replaced while tables are published."""

from __future__ import annotations

import http.client
import json
import logging
import re
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fairlead.local.probe import ask_socket
from fairlead.routing.envoy import bootstrap
from integration.routing.backends import Backends
from integration.routing.edge import V1, V2, iris, until
from integration.routing.replicas import LOOPBACK, Gateways, load, served, some_gateways
from support.cluster.certificates import Authority
from support.mounted_secret import MountedSecret
from support.platform_certificates import NAMES, VERIFIED, Certificate, described, of_control_plane, of_gateway
from support.processes import PATIENCE_S

MODELS = "*.models.svc.cluster.local"
"""The name in the certificate that all models of the namespace have."""


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("old")).create()


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("new")).create()


@pytest.fixture
def gateways(tmp_path: Path, backends: Backends) -> Iterator[Gateways]:
    with some_gateways(tmp_path) as made:
        for ref in (V1, V2):
            made.endpoints["default", "iris", ref] = [backends.start(ref.version).endpoint]
        yield made


def of_models(issuer: Authority, usages: str = "serverAuth") -> Certificate:
    return issuer.issue("models", hosts=[MODELS], usages=usages, file=f"models-{len(usages)}")


def asked(port: int, trusted: Authority, own: Certificate | None, *, newest: int = ssl.TLSVersion.TLSv1_3) -> int:
    """The status of a request for tables with this certificate; 0 if there is no answer."""
    context = ssl.create_default_context(cafile=trusted.certificate)
    context.check_hostname, context.maximum_version = False, ssl.TLSVersion(newest)
    if own is not None:
        context.load_cert_chain(*own)
    body = json.dumps({"node": {"id": "probe"}})  # not a gateway's: what it has would be taken for the gateway's
    try:
        url = f"https://{LOOPBACK}:{port}/v3/discovery:clusters"
        return httpx.post(url, content=body, verify=context, trust_env=False, timeout=10).status_code
    except httpx.TransportError:
        return 0


def test_only_a_gateway_gets_tables(gateways: Gateways, tmp_path: Path, old: Authority, new: Authority) -> None:
    mounted = MountedSecret(tmp_path / "control").put(of_control_plane(old), [old])
    port = gateways.replica(files=mounted.folder).port
    clients = {
        "the gateway": of_gateway(old),
        "nobody": None,
        "a stranger": new.issue("gateway", hosts=[NAMES["gateway"]], usages="clientAuth", file="stranger"),
        "late": old.issue("late", hosts=[NAMES["gateway"]], usages="clientAuth", days="-1"),
        "a model": of_models(old),
        "a model with a certificate for both sides": of_models(old, "clientAuth,serverAuth"),
        "the control plane": of_control_plane(old),
        "another gateway": old.issue("other", hosts=["edge-gateway.models.svc.cluster.local"], usages="clientAuth"),
        "no name": old.issue("unnamed", usages="clientAuth"),
    }
    answers = {client: asked(port, old, own) for client, own in clients.items()}
    answers["TLS 1.2"] = asked(port, old, clients["the gateway"], newest=ssl.TLSVersion.TLSv1_2)
    answers["no TLS"] = without_tls(port)
    # The replica has published nothing, so who is a gateway is told to ask again.
    assert answers == {
        **dict.fromkeys(answers, 0),
        "the gateway": 503,
        "a model with a certificate for both sides": 403,
        "the control plane": 403,
        "another gateway": 403,
        "no name": 403,
    }


def test_an_expired_certificate_of_a_gateway_is_in_the_log(
    gateways: Gateways, tmp_path: Path, old: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    mounted = MountedSecret(tmp_path / "control").put(of_control_plane(old), [old])
    port = gateways.replica(files=mounted.folder).port
    edge = MountedSecret(tmp_path / "edge").put(of_gateway(old, days="-1", file="expired"), [old])
    with caplog.at_level(logging.WARNING, "fairlead.control"):
        gateways.add("edge-1", port, wait=False, secrets=described(edge))
        until(lambda: "the client's certificate: certificate has expired" in caplog.text, timeout_s=PATIENCE_S)


def without_tls(port: int) -> int:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
    try:
        connection.request("POST", "/v3/discovery:clusters", body=b"{}")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def test_who_is_refused_is_told_the_names(gateways: Gateways, tmp_path: Path, old: Authority) -> None:
    mounted = MountedSecret(tmp_path / "control").put(of_control_plane(old), [old])
    port = gateways.replica(files=mounted.folder).port
    context = ssl.create_default_context(cafile=old.certificate)
    context.check_hostname = False
    context.load_cert_chain(*of_models(old, "clientAuth,serverAuth"))
    answer = httpx.get(f"https://{LOOPBACK}:{port}/models", verify=context, trust_env=False)
    said = f"the certificate of this client has the name {MODELS}, and only {NAMES['gateway']} is answered here"
    assert (answer.status_code, answer.json()["detail"]) == (403, said)


def test_a_gateway_takes_tables_only_from_the_control_plane(
    gateways: Gateways, tmp_path: Path, old: Authority, new: Authority
) -> None:
    """Envoys that ask somebody in the control plane's place, each with another certificate."""
    servers = {
        "right": (of_control_plane(old), VERIFIED),
        "stranger": (of_control_plane(new), VERIFIED),
        "models": (of_models(old, "clientAuth,serverAuth"), MODELS),
        "gateway": (old.issue("double", hosts=[NAMES["gateway"]]), NAMES["gateway"]),
    }
    secrets = described(MountedSecret(tmp_path / "edge").put(of_gateway(old), [old]))
    for name, (own, shown) in servers.items():
        mounted = MountedSecret(tmp_path / f"server-{name}").put(own, [old])
        replica = gateways.replica(files=mounted.folder, name=shown)
        replica.publisher.want(gateways.compiled(iris(1, 0)))
        replica.publisher.step()
        gateways.add(name, replica.port, wait=False, secrets=secrets)
    plain = gateways.replica()
    plain.publisher.step()
    gateways.add("plain", plain.port, wait=False, secrets=secrets)
    refused = {"stranger": "fail_verify_error", "models": "fail_verify_san", "gateway": "fail_verify_san"}
    for name, counter in refused.items():
        until(lambda: counted(gateways, name, f"cluster.xds.ssl.{counter}") > 1, timeout_s=PATIENCE_S)  # noqa: B023
    until(lambda: counted(gateways, "plain", "cluster.xds.ssl.connection_error") > 1, timeout_s=PATIENCE_S)
    until(lambda: gateways.envoys["right"].ready(), timeout_s=PATIENCE_S)
    assert {name for name, envoy in gateways.envoys.items() if envoy.ready()} == {"right"}


def counted(gateways: Gateways, name: str, stat: str) -> int:
    """A number of a gateway's statistics; 0 if it has not counted yet."""
    page = ask_socket(gateways.socket(name), "GET", f"/stats?filter=^{re.escape(stat)}$").body.decode()
    found = re.search(r": (\d+)", page)
    return int(found[1]) if found else 0


def test_certificates_and_authority_are_replaced_while_tables_are_published_and_nothing_fails(
    gateways: Gateways, tmp_path: Path, old: Authority, new: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "XDS_TLS_REQUESTS", 3)  # so tables show what new connections begin with
    control = MountedSecret(tmp_path / "control").put(of_control_plane(old), [old])
    edge = MountedSecret(tmp_path / "edge").put(of_gateway(old), [old])
    secrets = described(edge)
    ours, theirs = of_gateway(old, file="ours"), of_gateway(new, file="theirs")
    replica = gateways.replica(files=control.folder)
    replica.publisher.want(gateways.compiled(iris(1, 0)))
    replica.publisher.step()
    for name in ("edge-1", "edge-2"):
        gateways.add(name, replica.port, secrets=secrets)
    until(lambda: served(replica, 1))
    seq, longest = 1, 0.0

    def fewest(stat: str) -> int:
        return min(counted(gateways, name, f"cluster.xds.{stat}") for name in gateways.envoys)

    with load(gateways) as seen:
        steps = ((old, [old, new], True, True), (new, [old, new], True, True), (new, [new], True, False))
        for number, (issuer, trusted, trusts_new, trusts_old) in enumerate(steps, start=1):
            control.put(of_control_plane(issuer), trusted)
            edge.put(of_gateway(issuer), trusted)
            begun = fewest("ssl.handshake")
            stop = time.monotonic() + PATIENCE_S
            reached = False
            # Tables are published all the time, until both sides have used the files of this step.
            while not (reached and fewest("ssl.handshake") > begun + 1):
                assert time.monotonic() < stop, "did not happen in time"
                seq += 1
                replica.publisher.want(gateways.compiled(iris(seq, 100 * (seq % 100))))
                longest = max(longest, until(lambda: served(replica, seq), timeout_s=PATIENCE_S))  # noqa: B023
                reached = (
                    fewest("client_ssl_socket_factory.ssl_context_update_by_sds") > number
                    and bool(asked(replica.port, issuer, theirs)) == trusts_new
                    and bool(asked(replica.port, issuer, ours)) == trusts_old
                )
                if not reached:
                    begun = fewest("ssl.handshake")
    assert set(seen) == {200}
    assert seq > 6
    assert not [text for text in logs(gateways) if "rejected" in text]
    print(f"{seq - 1} tables, the slowest served after {longest:.2f} s; {seen[200]} requests")


def logs(gateways: Gateways) -> list[str]:
    return [(gateways.folder / name / "envoy.log").read_text() for name in gateways.envoys]
