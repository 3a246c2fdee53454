"""The scripts in the charts, run as in a cluster, against real services and a real Envoy."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from integration.routing.backends import Backend, running_backends
from integration.routing.edge import V1, an_edge, iris, serving
from integration.routing.replicas import Gateways, some_gateways
from support.background import serve_in_background
from support.helm import CHARTS, ROOT
from support.platform import Platform, running_platform
from support.processes import free_ports

FETCH = CHARTS / "model/files/fetch.py"
ASK_MODEL = CHARTS / "model/files/ask.py"
ASK_PLATFORM = CHARTS / "platform/files/ask.py"
DRAIN = CHARTS / "platform/files/drain.sh"


def run(script: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a script as the Job does: its text after `python -c`."""
    return subprocess.run(
        [sys.executable, "-c", script.read_text(), *arguments],
        env={**os.environ, "NO_PROXY": "*", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


# fetch.py


def packed(files: dict[str, str]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return file.getvalue()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A web server that serves a folder: its URL and the folder."""
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(folder)))
    with serve_in_background(server):
        yield f"http://127.0.0.1:{server.server_port}", folder


def fetch(tmp_path: Path, source: str, content: bytes) -> subprocess.CompletedProcess[str]:
    return run(
        FETCH,
        FAIRLEAD_SOURCE=source,
        FAIRLEAD_ARCHIVE=str(tmp_path / "archive"),
        FAIRLEAD_FOLDER=str(tmp_path / "model"),
        FAIRLEAD_FAILURE_FILE=str(tmp_path / "termination-log"),
        FAIRLEAD_SHA256=hashlib.sha256(content).hexdigest(),
    )


@pytest.mark.parametrize("top", ["", "iris-1.2.0/"])
def test_an_archive_becomes_a_model_folder(tmp_path: Path, site: tuple[str, Path], top: str) -> None:
    url, folder = site
    content = packed({f"{top}fairlead.yaml": "name: iris\n", f"{top}artifact/model.joblib": "x"})
    (folder / "iris.tar.gz").write_bytes(content)
    for _ in range(2):  # a restarted container finds the files of its first run
        done = fetch(tmp_path, f"{url}/iris.tar.gz", content)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "model/fairlead.yaml").read_text() == "name: iris\n"
        assert (tmp_path / "model/artifact/model.joblib").read_text() == "x"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["model", "site"]


def test_the_archive_that_a_fetcher_wrote_is_verified_too(tmp_path: Path) -> None:
    content = packed({"fairlead.yaml": "name: iris\n"})
    missing = fetch(tmp_path, "", content)
    assert "the fetcher must write the archive to $FAIRLEAD_ARCHIVE" in missing.stderr
    (tmp_path / "archive").write_bytes(content)
    assert fetch(tmp_path, "", content).returncode == 0
    (tmp_path / "archive").write_bytes(content + b"x")
    assert "it is not the archive that was released" in fetch(tmp_path, "", content).stderr


def test_an_archive_that_is_not_there_or_another_one_leaves_its_sentence_with_the_pod(
    tmp_path: Path, site: tuple[str, Path]
) -> None:
    """Before, the sentence was in the container's log alone, and the route's status had only the exit code."""
    url, folder = site
    content = packed({"fairlead.yaml": "name: iris\n"})
    (folder / "iris.tar.gz").write_bytes(b"other")
    found = hashlib.sha256(b"other").hexdigest()
    for name, why in [
        ("none", "could not be fetched: HTTP Error 404: File not found"),
        ("iris", f"has the SHA-256 {found}"),
    ]:
        done = fetch(tmp_path, f"{url}/{name}.tar.gz?signature=0a1b", content)
        said = (tmp_path / "termination-log").read_text()
        assert (done.returncode, done.stderr.strip()) == (1, said)
        assert said.startswith(f"{url}/{name}.tar.gz {why}"), "and not the signature of the address"


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"readme.txt": "hello"}, "holds no fairlead.yaml"),
        ({"../outside": "x", "fairlead.yaml": ""}, "OutsideDestinationError"),
    ],
)
def test_a_bad_archive_leaves_no_folder(tmp_path: Path, files: dict[str, str], complaint: str) -> None:
    content = packed(files)
    (tmp_path / "archive").write_bytes(content)
    done = fetch(tmp_path, "", content)
    assert done.returncode != 0
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "termination-log").read_text() == done.stderr.strip()
    assert not (tmp_path / "model").exists()
    assert not (tmp_path.parent / "outside").exists()


# ask.py


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    source = str(ROOT / "build/models/iris/1.0.0")
    with running_platform(folder, {"iris": {"target": "1.0.0", "versions": {"1.0.0": {"source": source}}}}) as platform:
        yield platform


def ask(platform: Platform, version: str) -> subprocess.CompletedProcess[str]:
    return run(
        ASK_MODEL,
        FAIRLEAD_GATEWAY=platform.url,
        FAIRLEAD_MODEL="iris",
        FAIRLEAD_VERSION=version,
        FAIRLEAD_TIMEOUT_S="2",
    )


def test_helm_test_of_a_model_asks_a_golden_row_through_the_gateway(platform: Platform) -> None:
    done = ask(platform, "1.0.0")
    assert done.returncode == 0, done.stderr
    assert "iris 1.0.0: ready, the golden row is answered as expected, x-model-version is 1.0.0" in done.stdout


def test_helm_test_of_a_version_that_is_not_served_reports_the_gateways_error(platform: Platform) -> None:
    done = ask(platform, "9.9.9")
    assert done.returncode == 1
    assert "/versions/9.9.9/ready: 404" in done.stderr


def test_helm_test_of_the_platform_checks_control_plane_and_gateway(platform: Platform) -> None:
    addresses = [f"{platform.control_url}/readyz", f"{platform.url}/v2/health/ready"]
    done = run(ASK_PLATFORM, *addresses, FAIRLEAD_TIMEOUT_S="2")
    assert done.returncode == 0, done.stderr
    assert all(f"{address}: 200" in done.stdout for address in addresses)
    done = run(ASK_PLATFORM, "http://127.0.0.1:1/readyz", FAIRLEAD_TIMEOUT_S="0")
    assert done.returncode == 1
    assert "http://127.0.0.1:1/readyz: " in done.stderr


# drain.sh


@pytest.fixture
def slow_answer(tmp_path: Path) -> Iterator[tuple[Gateways, Backend]]:
    """A gateway as in a cluster, "edge-1", and the one backend of its model."""
    with some_gateways(tmp_path) as gateways, running_backends() as backends:
        backend = backends.start("1.0.0")
        gateways.endpoints["default", "iris", V1] = [backend.endpoint]
        replica = gateways.replica()
        replica.publisher.want(gateways.compiled(iris(1, 0, candidate=None, pins=(V1,))))
        replica.publisher.step()
        gateways.add("edge-1", replica.port)
        yield gateways, backend


def drain(gateways: Gateways, propagation: int, requests: int) -> subprocess.Popen[bytes]:
    [site] = gateways.discovery.sites
    ports = {"ADMIN_PORT": str(site.admin_port), "DRAIN_PORT": str(gateways.drain_ports["edge-1"])}
    return subprocess.Popen(["bash", DRAIN, str(propagation), str(requests)], env={**os.environ, **ports})


def test_a_draining_gateway_finishes_requests_in_flight_and_closes_connections(
    slow_answer: tuple[Gateways, Backend],
) -> None:
    gateways, backend = slow_answer
    url = f"http://127.0.0.1:{gateways.settings.port}"
    with ThreadPoolExecutor() as pool, httpx.Client(base_url=url, trust_env=False) as client:
        assert "connection" not in client.get("/models/iris/docs").headers
        backend.delay_s = 2.0
        slow = pool.submit(httpx.get, f"{url}/models/iris/docs", timeout=60, trust_env=False)
        time.sleep(0.3)
        begin = time.monotonic()
        draining = drain(gateways, 1, 60)
        time.sleep(0.5)
        during = client.get("/v2/health/ready")
        assert draining.wait() == 0
        assert 1.0 < time.monotonic() - begin < 30.0, "it ends when nothing is in flight, before the 60 s are over"
        assert slow.result().status_code == 200
        assert slow.result().headers["connection"] == "close"
        assert during.status_code == 503


def test_a_drain_ends_after_its_limit_while_a_request_is_in_flight(slow_answer: tuple[Gateways, Backend]) -> None:
    gateways, backend = slow_answer
    url = f"http://127.0.0.1:{gateways.settings.port}/models/iris/docs"
    with ThreadPoolExecutor() as pool:
        backend.delay_s = 8.0  # below the 10 s that a request may take
        slow = pool.submit(httpx.get, url, timeout=60, trust_env=False)
        time.sleep(0.3)
        begin = time.monotonic()
        assert drain(gateways, 0, 2).wait() == 0
        assert time.monotonic() - begin > 0.9
        assert not slow.done()
        assert slow.result().status_code == 200


def test_a_gateway_that_started_before_the_upgrade_drains_too(tmp_path: Path) -> None:
    """Kubernetes replaces the script in pods that run: there the admin page is still a port."""
    [closed] = free_ports(1)
    with an_edge(tmp_path) as edge, serving(edge), edge.client() as client:
        assert client.get("/v2/health/ready").status_code == 200
        ports = {"ADMIN_PORT": str(edge.admin_port), "DRAIN_PORT": str(closed)}
        subprocess.run(["bash", DRAIN, "0", "1"], env={**os.environ, **ports}, check=True, stderr=subprocess.DEVNULL)
        assert client.get("/v2/health/ready").status_code == 503
