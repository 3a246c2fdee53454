"""A model service with TLS: who is answered at which port, and certificates that change while it serves."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.cli import exit_codes
from support import folders
from support.cluster.certificates import Authority
from support.processes import Child, free_port, wait_until
from support.service import FAIRLEAD, HOST, Service

NO_CONNECTION = (ssl.SSLError, ConnectionError)
ROW = b'{"value": 2.0}'
OPEN = ["/livez", "/startupz", "/readyz", "/metrics", "/metrics/drift", "/v2/health/live", "/v2/health/ready"]


@pytest.fixture(scope="module")
def doubler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.make(tmp_path_factory.mktemp("doubler") / "model")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority")).create()


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("foreign")).create()


class Secured(Service):
    """A service with TLS at `tls_port`, whose certificate can be replaced."""

    def __init__(self, folder: Path, home: Path, *authorities: Authority, flags: tuple[str, ...] = (), **env: str):
        self.home = home
        self.renew(*authorities)
        self.tls_port = free_port()
        files = {"cert": "tls.crt", "key": "tls.key", "client-ca": "ca.crt"}
        given = [text for name, file in files.items() for text in (f"--tls-{name}", str(home / file))]
        super().__init__(
            folder,
            log=home / "log",
            flags=[*given, "--tls-port", str(self.tls_port), "--drain-s", "0", *flags],
            env={**os.environ, **env},
        )

    def renew(self, issuer: Authority, *trusted: Authority) -> None:
        """Replace the files: a certificate of the first, for clients of all of these."""
        certificate, key = issuer.issue("model", hosts=[HOST], usages="serverAuth")
        known = "".join(one.certificate.read_text() for one in (issuer, *trusted))
        for name, text in (("tls.crt", certificate.read_text()), ("tls.key", key.read_text()), ("ca.crt", known)):
            (self.home / f"{name}.new").write_text(text)
            os.replace(self.home / f"{name}.new", self.home / name)

    def secure(self, trusted: Authority, own: tuple[Path, Path] | None, path: str = "/predict") -> int:
        """The status of a prediction with TLS. Raises OSError where no connection comes about."""
        context = ssl.create_default_context(cafile=trusted.certificate)
        if own:
            context.load_cert_chain(*own)
        connection = http.client.HTTPSConnection(HOST, self.tls_port, context=context, timeout=10)
        try:
            connection.request("POST", path, ROW, {"content-type": "application/json"})
            return connection.getresponse().status
        finally:
            connection.close()


@pytest.fixture(scope="module")
def service(doubler: Path, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with Secured(doubler, tmp_path_factory.mktemp("service"), authority) as running:
        yield running


def test_a_client_with_a_certificate_gets_predictions(service: Secured, authority: Authority) -> None:
    assert service.secure(authority, authority.issue("gateway", usages="clientAuth")) == 200


def test_a_client_without_a_certificate_gets_no_connection(service: Secured, authority: Authority) -> None:
    with pytest.raises(NO_CONNECTION):
        service.secure(authority, None)


@pytest.mark.parametrize(
    ("usages", "days"), [("clientAuth", "-1"), ("serverAuth", "7")], ids=["expired", "of another model"]
)
def test_a_client_with_a_certificate_that_is_none_for_clients_today_gets_no_connection(
    service: Secured, authority: Authority, usages: str, days: str
) -> None:
    with pytest.raises(NO_CONNECTION):
        service.secure(authority, authority.issue("odd", usages=usages, days=days))


def test_a_client_of_another_authority_gets_no_connection(
    service: Secured, authority: Authority, foreign: Authority
) -> None:
    with pytest.raises(NO_CONNECTION):
        service.secure(authority, foreign.issue("gateway", usages="clientAuth"))


@pytest.mark.parametrize("path", OPEN)
def test_probes_and_metrics_are_answered_without_tls(service: Secured, path: str) -> None:
    assert service.ask("GET", path).status == 200


@pytest.mark.parametrize(
    "path", ["/predict", "/golden", "/answers", "/docs", "/openapi.json", "/v2/models/doubler/infer", "/"]
)
def test_everything_else_is_refused_without_tls(service: Secured, path: str) -> None:
    reply = service.ask("POST", path, ROW)
    assert (reply.status, reply.headers["connection"]) == (403, "close")
    assert reply.json()["type"] == "urn:fairlead:problem:needs-tls"


def test_the_port_without_tls_answers_predictions_while_callers_change(
    doubler: Path, authority: Authority, tmp_path: Path
) -> None:
    with Secured(doubler, tmp_path, authority, FAIRLEAD_SERVING_TLS_ALSO_PLAIN="true") as service:
        assert service.predict({"value": 2.0}).status == 200
        assert service.secure(authority, authority.issue("gateway", usages="clientAuth")) == 200


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one process", "two workers"])
def test_a_replaced_authority_counts_for_new_connections_and_ends_none(
    doubler: Path, authority: Authority, foreign: Authority, tmp_path: Path, workers: tuple[str, ...]
) -> None:
    ours, theirs = (one.issue("gateway", usages="clientAuth") for one in (authority, foreign))
    with Secured(doubler, tmp_path, authority, flags=workers) as service:
        context = ssl.create_default_context(cafile=authority.certificate)
        context.load_cert_chain(*ours)
        kept = http.client.HTTPSConnection(HOST, service.tls_port, context=context, timeout=10)
        kept.request("POST", "/predict", ROW, {"content-type": "application/json"})
        assert kept.getresponse().read()
        service.renew(foreign)
        wait_until(lambda: asked(service, foreign, theirs) == {True}, "every worker uses the new certificate")
        wait_until(lambda: asked(service, authority, ours) == {False}, "no worker takes the old authority")
        kept.request("POST", "/predict", ROW, {"content-type": "application/json"})
        assert kept.getresponse().status == 200
        kept.close()


def asked(service: Secured, trusted: Authority, own: tuple[Path, Path]) -> set[bool]:
    """Whether new connections are answered; with several workers some of them reach each."""
    return {answered(service, trusted, own) for _ in range(4)}


def answered(service: Secured, trusted: Authority, own: tuple[Path, Path]) -> bool:
    try:
        return service.secure(trusted, own) == 200
    except NO_CONNECTION:
        return False


def test_a_certificate_that_has_expired_ends_the_start_with_a_sentence(
    doubler: Path, authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.issue("old", hosts=[HOST], days="-1")
    command = [str(FAIRLEAD), "serve", str(doubler), "--port", "0", "--tls-cert", str(certificate)]
    process = Child("serve", [*command, "--tls-key", str(key), "--tls-port", "0"], log=tmp_path / "log")
    process.start()
    assert process.wait() == exit_codes.USAGE
    assert f"the certificate {certificate} has expired" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["one process", "two workers"])
def test_refused_clients_are_no_errors_in_the_log(
    doubler: Path, authority: Authority, tmp_path: Path, workers: tuple[str, ...]
) -> None:
    with Secured(doubler, tmp_path, authority, flags=workers) as service:
        for _ in range(4):
            with pytest.raises(NO_CONNECTION):
                service.secure(authority, None)
    assert not [line for line in service.log_lines() if line["level"] not in ("info", "debug")]


def test_a_client_that_keeps_its_connection_does_not_delay_the_end(
    doubler: Path, authority: Authority, tmp_path: Path
) -> None:
    with Secured(doubler, tmp_path, authority) as service:
        context = ssl.create_default_context(cafile=authority.certificate)
        context.load_cert_chain(*authority.issue("gateway", usages="clientAuth"))
        kept = http.client.HTTPSConnection(HOST, service.tls_port, context=context, timeout=10)
        kept.request("GET", "/readyz")
        assert kept.getresponse().read()
        service.process.send(signal.SIGTERM)
        service.process.wait(within=10)
        kept.close()
    assert "timeout graceful shutdown" not in service.process.log.read_text()


def test_a_client_that_begins_no_handshake_delays_nobody(service: Secured, authority: Authority) -> None:
    with socket.create_connection((HOST, service.tls_port)):
        assert service.secure(authority, authority.issue("gateway", usages="clientAuth")) == 200
