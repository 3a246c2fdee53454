"""TLS between gateway and services: who reaches whom, and certificates and authorities replaced under load."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from fairlead.contracts.labels import service_host
from fairlead.contracts.table import Table
from fairlead.routing.envoy import clusters
from fairlead.routing.envoy.tls import secret_files
from fairlead.routing.snapshot import Endpoint, Routed
from integration.routing.backends import Backends
from integration.routing.edge import V1, V2, Edge, an_edge, iris, serving, until
from support import folders
from support.cluster.certificates import Authority
from support.load.open_loop import OpenLoop
from support.load.prebuilt import Users
from support.mounted_secret import MountedSecret
from support.nameserver import running_nameserver
from support.processes import PATIENCE_S, free_port
from support.service import Service

HERE = "127.0.0.1"
RATE = 300


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("old")).create()


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("new")).create()


def described(mounted: MountedSecret) -> str:
    """The folder that tells a gateway where these files are."""
    folder = mounted.folder.with_name(f"{mounted.folder.name}-secrets")
    folder.mkdir()
    for name, content in secret_files(str(mounted.folder)).items():
        (folder / name).write_text(json.dumps(content))
    return str(folder)


def gateways_certificates(old: Authority, new: Authority) -> Mapping[str, tuple[Path, Path]]:
    """What a gateway may have in place of its certificate."""
    return {
        "right": old.issue("gateway", usages="clientAuth"),
        "foreign": new.issue("gateway", usages="clientAuth"),
        "expired": old.issue("late", usages="clientAuth", days="-1"),
        "of-a-model": old.issue("model", usages="serverAuth"),
    }


def services_certificates(old: Authority, new: Authority) -> Mapping[str, tuple[Path, Path]]:
    """What a service may have in place of its certificate."""
    return {
        "right": old.issue("service", hosts=[HERE], usages="serverAuth"),
        "foreign": new.issue("service", hosts=[HERE], usages="serverAuth"),
        "expired": old.issue("old", hosts=[HERE], usages="serverAuth", days="-1"),
        "other-name": old.issue("other", hosts=["127.0.0.9", "iris.models"], usages="serverAuth"),
        "of-a-gateway": old.issue("client", hosts=[HERE], usages="clientAuth"),
    }


def context(own: tuple[Path, Path], trusted: Authority) -> ssl.SSLContext:
    """TLS of a service that asks for the certificate of its client."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*own)
    made.load_verify_locations(trusted.certificate)
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def test_only_the_right_gateway_reaches_only_the_right_service(
    tmp_path: Path, backends: Backends, old: Authority, new: Authority
) -> None:
    gateways, services = gateways_certificates(old, new), services_certificates(old, new)
    folder = {name: described(MountedSecret(tmp_path / name).put(own, [old])) for name, own in gateways.items()}
    behind: dict[tuple[str, str], Endpoint] = {}
    for name, own in services.items():
        port = backends.start("1.0.0", context=context(own, old)).port
        behind |= {(gateway, name): Endpoint(HERE, port, folder[gateway]) for gateway in gateways}
    plain = backends.start("1.0.0").port
    behind["right", "no-tls"] = Endpoint(HERE, plain, folder["right"])
    secured = behind["right", "right"]
    behind["no-tls", "right"] = Endpoint(HERE, secured.port)
    (tmp_path / "edge").mkdir()
    with an_edge(tmp_path / "edge") as edge:
        routed = []
        for gateway, service in behind:
            model = f"{gateway}-to-{service}"
            routed.append(Routed(model, 1, Table.model_validate({"model": model, "stable": V1, "pins": (V1,)})))
            edge.endpoints["default", model, V1] = [behind[gateway, service]]
        with serving(edge, *routed), edge.client() as client:
            answers = {pair: client.post(f"/models/{'-to-'.join(pair)}/predict").status_code for pair in behind}
    assert len(answers) == 22
    assert {pair for pair, status in answers.items() if status == 200} == {("right", "right")}
    assert set(answers.values()) == {200, 503}


class Scene:
    """A gateway and two versions of a model, which are real services, each with files of its own."""

    def __init__(self, home: Path, old: Authority) -> None:
        self.gateway = MountedSecret(home / "gateway")
        self.services = {ref: MountedSecret(home / ref.version) for ref in (V1, V2)}
        self.put(old, [old])

    def put(self, issuer: Authority, trusted: list[Authority]) -> None:
        """Replace all certificates by new ones of this authority, and the authorities."""
        self.gateway.put(issuer.issue("gateway", usages="clientAuth"), trusted)
        for ref, mounted in self.services.items():
            host = service_host("iris", ref, "models").removesuffix(".")
            mounted.put(issuer.issue("service", hosts=[host, HERE], usages="serverAuth"), trusted)


@pytest.fixture
def running(tmp_path: Path, old: Authority) -> Iterator[tuple[Scene, dict[str, int]]]:
    scene = Scene(tmp_path, old)
    with ExitStack() as stack:
        ports = {}
        for ref, mounted in scene.services.items():
            folder = folders.make(tmp_path / f"model-{ref.version}", name="iris", version=ref.version)
            ports[ref.version] = free_port()
            flags = ["--tls-cert", mounted.certificate, "--tls-key", mounted.key, "--tls-client-ca"]
            flags += [mounted.authorities, "--tls-port", ports[ref.version], "--drain-s", "0"]
            log = tmp_path / f"{ref.version}.log"
            stack.enter_context(Service(folder, log=log, flags=[str(flag) for flag in flags]))
        yield scene, ports


def test_certificates_and_authorities_are_replaced_under_load_without_a_failed_request(
    running: tuple[Scene, dict[str, int]],
    tmp_path: Path,
    old: Authority,
    new: Authority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene, ports = running
    ours, theirs = (one.issue("gateway", usages="clientAuth") for one in (old, new))
    monkeypatch.setattr(clusters, "TLS_REQUESTS", 30)  # so the load shows what new connections begin with
    (tmp_path / "edge").mkdir()
    with running_nameserver(HERE) as names, an_edge(tmp_path / "edge", names=names) as edge:
        secrets = described(scene.gateway)
        for ref in (V1, V2):
            host = service_host("iris", ref, "models")
            names.known[host.removesuffix(".")] = (HERE,)
            edge.endpoints["default", "iris", ref] = [Endpoint(host, ports[ref.version], secrets)]
        half = iris(1, 5000)
        with serving(edge, half):
            body = Users("/models/iris/predict", body=b'{"value": 2.0}')
            with OpenLoop(edge.url, rate=RATE, seconds=120, request=body) as load:
                # What each step waits for is what the next one needs.
                for number, (issuer, trusted, trusts_new, trusts_old) in enumerate(
                    ((old, [old, new], True, True), (new, [old, new], True, True), (new, [new], True, False)), start=1
                ):
                    scene.put(issuer, trusted)
                    until(lambda: fewest(edge, "ssl_context_update_by_sds") >= number, timeout_s=PATIENCE_S)  # noqa: B023
                    for port in ports.values():
                        until(lambda: reached(port, theirs, issuer) == trusts_new, timeout_s=PATIENCE_S)  # noqa: B023
                        until(lambda: reached(port, ours, issuer) == trusts_old, timeout_s=PATIENCE_S)  # noqa: B023
                    begun = fewest(edge, "ssl.handshake")
                    load.wait_sent(load.progress.sent + RATE)
                    # So these certificates were used, by both versions.
                    until(lambda: fewest(edge, "ssl.handshake") > begun, timeout_s=PATIENCE_S)  # noqa: B023
                load.stop()
            summary = load.result()
    assert (summary.failed, set(summary.versions)) == (0, {"1.0.0", "1.1.0"})
    assert summary.sent > 3 * RATE


def fewest(edge: Edge, counter: str) -> int:
    """The least of these counters of the clusters that get requests."""
    url = f"http://{HERE}:{edge.admin_port}/stats?filter=^cluster.split.*{counter}$"
    return min(int(line.rsplit(": ", 1)[1]) for line in httpx.get(url, trust_env=False).text.splitlines())


def reached(port: int, own: tuple[Path, Path], trusted: Authority) -> bool:
    """Whether a client with this certificate gets an answer."""
    client = ssl.create_default_context(cafile=trusted.certificate)
    client.load_cert_chain(*own)
    try:
        return httpx.get(f"https://{HERE}:{port}/readyz", verify=client, trust_env=False).is_success
    except httpx.TransportError:
        return False
