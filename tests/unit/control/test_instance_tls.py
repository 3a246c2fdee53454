"""The control plane reads an instance only if it has the name of its Service, and shows its own certificate."""

from __future__ import annotations

import http.server
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead.contracts.route import VersionRef
from fairlead.control.instance_tls import InstanceTls
from fairlead.errors import Invalid
from fairlead.rollout.ports import InstanceAddress
from support.background import serve_in_background
from support.cluster.certificates import Authority
from support.mounted_secret import MountedSecret

REF = VersionRef(version="1.0.0", identity="0123456789")
HERE = "127.0.0.1"


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers every GET."""

    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority")).create()


@pytest.fixture
def port(authority: Authority) -> Iterator[int]:
    """An instance of models in namespace ml: one certificate for all Services of the namespace."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("models", hosts=["*.ml.svc.cluster.local"], usages="serverAuth"))
    context.load_verify_locations(authority.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    server = http.server.ThreadingHTTPServer((HERE, 0), Answers)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with serve_in_background(server):
        yield server.server_address[1]


@pytest.fixture
def mounted(authority: Authority, tmp_path: Path) -> MountedSecret:
    return MountedSecret(tmp_path / "tls").put(authority.issue("control-plane", usages="clientAuth"), [authority])


def status(tls: InstanceTls, namespace: str) -> int:
    connection = tls(InstanceAddress("one", REF, HERE, 8080, namespace, "iris"), 5.0)
    try:
        connection.request("GET", "/answers")
        return connection.getresponse().status
    finally:
        connection.close()


def test_an_instance_with_the_name_of_its_service_is_read(port: int, mounted: MountedSecret) -> None:
    assert status(InstanceTls(mounted.folder, "cluster.local.", port=port), "ml") == 204


def test_an_instance_with_another_name_is_not_read(port: int, mounted: MountedSecret) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="iris-0123456789.other.svc.cluster.local"):
        status(InstanceTls(mounted.folder, "cluster.local", port=port), "other")


def test_a_missing_file_is_an_error_at_the_start(mounted: MountedSecret) -> None:
    mounted.authorities.unlink()
    with pytest.raises(Invalid, match="the file of authorities .*ca.crt cannot be read"):
        InstanceTls(mounted.folder, "cluster.local")
