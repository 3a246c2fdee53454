"""TLS of the gateway's entry: who gets an answer, what the port without TLS does, and replaced certificates."""

from __future__ import annotations

import asyncio
import http.client
import json
import re
import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import httpx
import pytest

from fairlead.contracts.access import key_hash
from fairlead.contracts.gateway import PASS_HEADER, PlainPort
from fairlead.routing.envoy.tls import entry_files
from fairlead.routing.snapshot import EntryTls
from fairlead.serving.grpc.definitions import SERVICE, message
from integration.routing.backends import Backends
from integration.routing.edge import V1, Edge, an_edge, iris, serving, until
from support.cluster.certificates import Authority
from support.load.over_tls import TlsLoad
from support.load.prebuilt import encode
from support.mounted_secret import MountedSecret
from support.processes import PATIENCE_S, free_port

HERE = "127.0.0.1"
OWN = "the platform's own key"
PATH = "/models/iris/predict"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours")).create()


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("foreign")).create()


def server(authority: Authority, file: str = "") -> tuple[Path, Path]:
    return authority.issue("models.example", hosts=["models.example", HERE], usages="serverAuth", file=file)


@contextmanager
def entry(
    home: Path,
    backends: Backends,
    mounted: MountedSecret,
    *,
    plain: PlainPort = "closed",
    mutual: bool = False,
    grpc: bool = False,
) -> Iterator[Edge]:
    """A gateway with one model behind it."""
    for name, content in entry_files(str(mounted.folder), str(mounted.folder)).items():
        (home / name).write_text(json.dumps(content))
    port = free_port()
    tls = EntryTls(port, str(home), port, asks_for_certificates=mutual, plain=plain, own_key=key_hash(OWN))
    with an_edge(home, entry=tls, grpc=grpc) as edge:
        edge.endpoints["default", "iris", V1] = [backends.start("1.0.0").endpoint]
        with serving(edge, iris(1, 0, candidate=None, pins=(V1,))):
            yield edge


def port_of(edge: Edge) -> int:
    assert edge.settings.entry is not None
    return edge.settings.entry.port


def context(
    trusted: Authority, own: tuple[Path, Path] | None = None, version: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """TLS of a client, with a certificate or without, and with one version of TLS or all."""
    made = ssl.create_default_context(cafile=trusted.certificate)
    if own is not None:
        made.load_cert_chain(*own)
    if version is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            made.minimum_version = made.maximum_version = version
        made.set_ciphers("DEFAULT:@SECLEVEL=0")  # else this side would refuse 1.1 by itself
    return made


def over_tls(edge: Edge, client: ssl.SSLContext) -> str:
    """The version that answered and the version of TLS, or that there was no answer."""
    connection = http.client.HTTPSConnection(HERE, port_of(edge), timeout=10, context=client)
    try:
        connection.request("POST", PATH, b"{}")
        negotiated = connection.sock.version()
        answer = connection.getresponse()
        return f"{json.loads(answer.read())['version']} {negotiated}" if answer.status == 200 else str(answer.status)
    except (OSError, http.client.HTTPException) as error:
        return "not believed" if isinstance(error, ssl.SSLCertVerificationError) else "refused"
    finally:
        connection.close()


def test_who_gets_an_answer_with_tls_and_with_certificates_of_clients(
    tmp_path: Path, backends: Backends, ours: Authority, foreign: Authority
) -> None:
    certificates = {
        "none": None,
        "right": ours.issue("shop", usages="clientAuth"),
        "foreign": foreign.issue("shop", usages="clientAuth"),
        "expired": ours.issue("late", usages="clientAuth", days="-1"),
        "of a server": server(ours, "a-server"),
    }
    versions = {"1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
    mounted = MountedSecret(tmp_path / "mounted").put(server(ours), [ours])
    seen: dict[tuple[bool, str], str] = {}
    for mutual in (False, True):
        home = tmp_path / f"edge-{mutual}"
        home.mkdir()
        with entry(home, backends, mounted, mutual=mutual) as edge:
            seen |= {(mutual, name): over_tls(edge, context(ours, own)) for name, own in certificates.items()}
            own = certificates["right"]
            seen |= {(mutual, name): over_tls(edge, context(ours, own, one)) for name, one in versions.items()}
            seen[mutual, "trusts another authority"] = over_tls(edge, context(foreign, own))
            with httpx.Client(trust_env=False) as client, pytest.raises(httpx.TransportError):
                client.post(f"http://{HERE}:{port_of(edge)}{PATH}", content=b"{}")  # without TLS
    answered = "1.0.0 TLSv1.3"
    always = {"right": answered, "1.1": "refused", "1.2": "1.0.0 TLSv1.2", "1.3": answered}
    always["trusts another authority"] = "not believed"
    others = ("none", "foreign", "expired", "of a server")
    assert seen == {
        **{(mutual, name): said for mutual in (False, True) for name, said in always.items()},
        **{(False, name): answered for name in others},
        **{(True, name): "refused" for name in others},
    }


def test_the_port_without_tls_answers_only_probes_and_the_platform_itself(
    tmp_path: Path, backends: Backends, ours: Authority
) -> None:
    mounted = MountedSecret(tmp_path / "mounted").put(server(ours), [ours])
    (tmp_path / "edge").mkdir()
    with entry(tmp_path / "edge", backends, mounted) as edge, edge.client() as client:
        refused = client.post(PATH, content=b"{}")
        guessed = client.post(PATH, content=b"{}", headers={PASS_HEADER: "a guess"})
        passed = client.post(PATH, content=b"{}", headers={PASS_HEADER: OWN})
        probes = {path: client.get(path).status_code for path in ("/v2/health/live", "/v2/health/ready", "/models")}
        with httpx.Client(verify=context(ours), trust_env=False) as other:
            sent = other.post(f"https://{HERE}:{port_of(edge)}{PATH}", content=b"{}", headers={PASS_HEADER: "mine"})
    assert (refused.status_code, guessed.status_code) == (403, 403)
    assert refused.headers["content-type"] == "application/problem+json"
    assert (refused.json()["code"], refused.json()["title"]) == ("needs-tls", "Forbidden")
    assert "https" in refused.json()["detail"]
    assert (passed.status_code, passed.headers["x-route-revision"]) == (200, "iris.1")
    # No model sees the platform's key, nor what others send in its place.
    assert PASS_HEADER not in passed.json()["headers"]
    assert PASS_HEADER not in sent.json()["headers"]
    assert probes == {"/v2/health/live": 200, "/v2/health/ready": 200, "/models": 403}


def test_the_port_without_tls_can_send_clients_to_the_one_with_tls(
    tmp_path: Path, backends: Backends, ours: Authority
) -> None:
    mounted = MountedSecret(tmp_path / "mounted").put(server(ours), [ours])
    (tmp_path / "edge").mkdir()
    with entry(tmp_path / "edge", backends, mounted, plain="redirect") as edge, edge.client() as client:
        sent = client.post(f"{PATH}?a=b", content=b"{}")
        with httpx.Client(verify=context(ours), trust_env=False, follow_redirects=True) as follows:
            followed = follows.post(f"{edge.url}{PATH}?a=b", content=b'{"a": 1}')
        ipv6 = client.get("/models", headers={"host": "[::1]:80"})
    assert (sent.status_code, sent.headers["location"]) == (308, f"https://{HERE}:{port_of(edge)}{PATH}?a=b")
    assert (followed.status_code, followed.json()["version"]) == (200, "1.0.0")
    assert ipv6.headers["location"] == f"https://[::1]:{port_of(edge)}/models"


def test_an_open_port_without_tls_answers_as_before(tmp_path: Path, backends: Backends, ours: Authority) -> None:
    mounted = MountedSecret(tmp_path / "mounted").put(server(ours), [ours])
    (tmp_path / "edge").mkdir()
    with entry(tmp_path / "edge", backends, mounted, plain="open") as edge, edge.client() as client:
        assert client.post(PATH, content=b"{}", headers={PASS_HEADER: OWN}).status_code == 200
        assert over_tls(edge, context(ours)) == "1.0.0 TLSv1.3"


def test_a_client_of_grpc_negotiates_http_2_over_tls(tmp_path: Path, backends: Backends, ours: Authority) -> None:
    mounted = MountedSecret(tmp_path / "mounted").put(server(ours), [ours])
    (tmp_path / "edge").mkdir()
    own = ours.issue("shop", usages="clientAuth")
    credentials = grpc.ssl_channel_credentials(ours.certificate.read_bytes(), own[1].read_bytes(), own[0].read_bytes())
    with entry(tmp_path / "edge", backends, mounted, mutual=True, grpc=True) as edge:
        at = f"{HERE}:{port_of(edge)}"
        with grpc.secure_channel(at, credentials) as channel:
            answer = channel.unary_unary(f"/{SERVICE}/ServerLive")(b"", timeout=10)
        with grpc.insecure_channel(f"{HERE}:{edge.settings.port}") as plain, pytest.raises(grpc.RpcError) as refused:
            plain.unary_unary(f"/{SERVICE}/ServerLive")(b"", timeout=10)
    assert message("ServerLiveResponse").FromString(answer).live
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_certificate_and_authority_are_replaced_under_load_without_a_failed_request(
    tmp_path: Path, backends: Backends, ours: Authority, foreign: Authority
) -> None:
    own = ours.issue("shop", usages="clientAuth")
    mounted = MountedSecret(tmp_path / "mounted").put(server(ours), [ours])
    (tmp_path / "edge").mkdir()
    with entry(tmp_path / "edge", backends, mounted, mutual=True) as edge:
        load = TlsLoad(port_of(edge), context(ours, own), encode("POST", PATH, body=b"{}"), rate=300)

        async def replacing() -> None:
            ended = asyncio.Event()
            running = asyncio.create_task(load.run(ended))
            for number in range(3):
                # The last time clients of another authority are believed too.
                mounted.put(server(ours, f"renewed-{number}"), [ours, foreign] if number == 2 else [ours])
                known = len(load.serials)
                await asyncio.to_thread(until, lambda: len(load.serials) > known, timeout_s=PATIENCE_S)  # noqa: B023
            before = load.sent
            await asyncio.to_thread(until, lambda: load.sent >= before + 300, timeout_s=PATIENCE_S)
            ended.set()
            await running

        asyncio.run(replacing())
        assert over_tls(edge, context(ours, foreign.issue("new", usages="clientAuth"))) == "1.0.0 TLSv1.3"
    assert set(load.outcomes) == {"200"}
    assert len(load.serials) >= 3
    assert load.sent > 300


def test_a_certificate_whose_key_does_not_fit_is_not_used_and_the_next_one_is(
    tmp_path: Path, backends: Backends, ours: Authority
) -> None:
    first, other, mended = (server(ours, name) for name in ("first", "other", "mended"))
    mounted = MountedSecret(tmp_path / "mounted").put(first, [ours])
    (tmp_path / "edge").mkdir()
    with entry(tmp_path / "edge", backends, mounted) as edge:
        mounted.put((other[0], first[1]), [ours])
        read = "could not be read|Failed to load|rejected"
        until(lambda: re.search(read, (tmp_path / "edge" / "envoy.log").read_text()), timeout_s=PATIENCE_S)
        before = shown(edge, ours)
        mounted.put(mended, [ours])
        until(lambda: shown(edge, ours) != before, timeout_s=PATIENCE_S)


def shown(edge: Edge, trusted: Authority) -> str:
    """The serial number of the certificate that a client sees. Raises OSError if it is not believed."""
    with (
        socket.create_connection((HERE, port_of(edge)), timeout=10) as opened,
        context(trusted).wrap_socket(opened, server_hostname=HERE) as secured,
    ):
        certificate = secured.getpeercert()
    assert certificate is not None
    return str(certificate["serialNumber"])
