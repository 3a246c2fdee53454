"""The service process: its port, artifacts that it must not load, its drain, and idle connections."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fairlead.cli import exit_codes
from fairlead.contracts.instance import CANNOT_BE_SERVED
from fairlead.serving.settings import FAILURE_FILE
from integration.serving.sleeper import Sleeper
from support import folders
from support.processes import PATIENCE_S, Child, ProcessFailed, free_port, free_ports, wait_until
from support.service import FAIRLEAD, HOST, Service

PORT_BY_DEFAULT = 8080


@pytest.fixture(scope="module")
def doubler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.make(tmp_path_factory.mktemp("doubler") / "model")


class Marker:
    """Creates a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (self.path, "w"))


UNPICKLES = """
import pickle
from pathlib import Path
from pydantic import BaseModel
import fairlead

class Row(BaseModel):
    x: float

class Unpickler(fairlead.Model[Row, Row]):
    def load(self, artifact: Path) -> None:
        self.value = pickle.loads(artifact.read_bytes())

    def predict(self, rows: list[Row]) -> list[Row]:
        return rows
"""


@pytest.mark.parametrize("is_tampered", [True, False], ids=["tampered", "as the manifest says"])
def test_an_artifact_with_another_digest_is_rejected_before_any_byte_of_it_is_unpickled(
    tmp_path: Path, is_tampered: bool
) -> None:
    mark = tmp_path / "unpickled"
    good, evil = pickle.dumps({"weights": [1.0]}), pickle.dumps(Marker(str(mark)))
    folder = folders.make(
        tmp_path / "model", code=UNPICKLES, artifact=evil, golden=[], name="unpickler", entry="model:Unpickler"
    )
    if not is_tampered:  # the control: with the right digest in the manifest, the same bytes do create the file
        with Service(folder, log=tmp_path / "log", flags=["--drain-s", "0"]):
            assert mark.exists()
        return
    manifest = folder / "fairlead.yaml"
    digests = [hashlib.sha256(data).hexdigest() for data in (good, evil)]
    manifest.write_text(manifest.read_text().replace(digests[1], digests[0]))
    service = Service(folder, log=tmp_path / "log", flags=["--drain-s", "0"])
    with service.start("/readyz", 503).process:
        wait_until(lambda: "sha256" in service.ask("GET", "/readyz").body.decode(), "it says why")
        reply = service.ask("GET", "/readyz")
        assert all(digest in reply.json()["detail"] for digest in digests)
        assert service.ask("GET", "/livez").status == 200
        assert service.predict({"x": 1.0}).status == 503
        (logged,) = [line for line in service.log_lines() if line["level"] == "error"]
        assert all(digest in json.dumps(logged) for digest in digests)
        assert "traceback" not in logged, "a rejected artifact is logged without a traceback"
    assert not mark.exists()


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_service_that_is_started_again_ends_with_a_sentence_when_its_model_cannot_be_loaded(
    tmp_path: Path, isolation: str
) -> None:
    folder = folders.make(tmp_path / "model", artifact=b"two", isolation=isolation)
    file = tmp_path / "failure"
    done = run("serve", str(folder), "--port", "0", env={FAILURE_FILE: str(file)})
    assert done.returncode == exit_codes.UNAVAILABLE
    why = "the model cannot be served: doubler 1.0.0: load failed: ValueError: could not convert string to float: 'two'"
    assert file.read_text() == why
    assert done.stderr.splitlines()[-1] == f"fairlead: {why}"


def test_a_service_that_is_started_again_ends_with_a_sentence_when_its_folder_cannot_be_read(tmp_path: Path) -> None:
    folder, file = folders.make(tmp_path / "model", entry="model:Tripler"), tmp_path / "failure"
    done = run("serve", str(folder), "--port", "0", env={FAILURE_FILE: str(file)})
    assert done.returncode == exit_codes.USAGE
    assert file.read_text().startswith("the model cannot be served: ")
    assert "Tripler" in file.read_text()


@pytest.mark.parametrize("is_missing", [True, False], ids=["missing", "another digest"])
def test_a_service_that_is_started_again_ends_with_a_sentence_when_its_artifact_is_not_the_one_of_the_manifest(
    tmp_path: Path, is_missing: bool
) -> None:
    """Before, it stayed up without being ready until it was killed, and whoever started it never had the sentence.

    It is no failure for good: the artifact may be restored before the next start.
    """
    folder, file = folders.make(tmp_path / "model"), tmp_path / "failure"
    if is_missing:
        (folder / "artifact.bin").unlink()
    else:
        (folder / "artifact.bin").write_bytes(b"3")
    done = run("serve", str(folder), "--port", "0", env={FAILURE_FILE: str(file)})
    assert done.returncode == exit_codes.UNAVAILABLE
    wanted = f"there is no 'artifact.bin' in {folder}" if is_missing else "artifact.bin is not the artifact that"
    assert wanted in file.read_text()
    assert not file.read_text().startswith(CANNOT_BE_SERVED)
    assert done.stderr.splitlines()[-1].endswith(file.read_text())


@pytest.mark.parametrize("workers", [(), ("--workers", "1")], ids=["one process", "a worker"])
def test_a_service_that_compares_its_folder_runs_no_code_of_another_one(
    tmp_path: Path, workers: tuple[str, ...]
) -> None:
    marker, file = tmp_path / "ran", tmp_path / "failure"
    folder = folders.make(tmp_path / "model", code=f"open({str(marker)!r}, 'w')\n{folders.DOUBLER}")
    variables = {"FAIRLEAD_SERVING_CHECK_FOLDER": "true", "FAIRLEAD_SERVING_FOLDER_SHA256": "ab" * 32}
    done = run("serve", str(folder), "--port", "0", *workers, env={FAILURE_FILE: str(file), **variables})
    assert done.returncode == exit_codes.USAGE
    assert file.read_text().startswith(f"{folder} is not the model folder that was released: its digest is ")
    assert not marker.exists()


def test_a_failure_that_cannot_be_written_ends_the_service_all_the_same(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "model", artifact=b"two")
    done = run("serve", str(folder), "--port", "0", env={FAILURE_FILE: str(tmp_path / "none" / "failure")})
    assert done.returncode == exit_codes.UNAVAILABLE


def test_on_sigterm_the_service_becomes_not_ready_and_finishes_the_requests_in_flight(tmp_path: Path) -> None:
    sleeper = Sleeper(tmp_path)
    with (
        Service(sleeper.folder, log=tmp_path / "log", flags=["--drain-s", "0.7"]) as service,
        ThreadPoolExecutor(3) as clients,
    ):
        running = clients.submit(service.predict, {"seconds": 1.5, "name": "running"})
        wait_until(lambda: "running" in sleeper.asked(), "the model has begun")
        queued = clients.submit(service.predict, {"seconds": 0, "name": "queued"})
        wait_until(lambda: service.metric("fairlead_model_queue_rows") == 1, "another waits")
        service.process.send(signal.SIGTERM)
        wait_until(lambda: service.answers("/readyz", 503), "not ready", within=0.6)
        draining = service.ask("GET", "/readyz")
        assert "draining" in draining.json()["detail"]
        assert draining.headers["connection"] == "close"
        late = clients.submit(service.predict, {"seconds": 0, "name": "late"})
        replies = [future.result() for future in (running, queued, late)]
        assert [reply.status for reply in replies] == [200, 200, 200]
        assert service.process.wait() == 0
    assert service.log_lines()[-1]["message"] == "stopped"
    assert sleeper.asked()[-3:] == ["running", "queued", "late"]


def test_a_second_signal_ends_the_drain_at_once(tmp_path: Path, doubler: Path) -> None:
    with Service(doubler, log=tmp_path / "log", flags=["--drain-s", "60"]) as service:
        service.process.send(signal.SIGTERM)
        wait_until(lambda: service.answers("/readyz", 503), "not ready")
        began = time.monotonic()
        service.process.send(signal.SIGTERM)
        assert service.process.wait() == 0
        assert time.monotonic() - began < 5


def listening_at(log: Path) -> str:
    """The URL in the service's `listening` log line; empty if there is none yet."""
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return next((line["url"] for line in lines if line["message"] == "listening"), "")


@pytest.mark.parametrize(
    ("variables", "flags", "used"),
    [
        (("PORT", "FAIRLEAD_SERVING_PORT"), ("--port",), "--port"),
        (("PORT",), (), "PORT"),
    ],
)
def test_the_port_flag_takes_precedence_over_the_variables(
    doubler: Path, tmp_path: Path, variables: tuple[str, ...], flags: tuple[str, ...], used: str
) -> None:
    ports = {name: str(port) for name, port in zip((*variables, *flags), free_ports(3), strict=False)}
    env = {"PORT": "", "FAIRLEAD_SERVING_PORT": ""} | {name: ports[name] for name in variables}
    command = [
        str(FAIRLEAD),
        "serve",
        str(doubler),
        *(part for flag in flags for part in (flag, ports[flag])),
        "--drain-s",
        "0",
    ]
    with Child("serve", command, log=tmp_path / "log", env=env) as process:
        process.wait_until(lambda: listening_at(tmp_path / "log") != "", "it says where it listens")
        assert listening_at(tmp_path / "log") == f"http://{HOST}:{ports[used]}"


@pytest.mark.skipif(sys.platform != "linux", reason="other loopback addresses need no setting up on Linux alone")
def test_without_a_flag_or_a_variable_the_port_is_8080(doubler: Path, tmp_path: Path) -> None:
    env = {"PORT": "", "FAIRLEAD_SERVING_PORT": ""}
    own = "127.83.17.5"  # a separate address, so that other listeners on 127.0.0.1 do not matter
    command = [str(FAIRLEAD), "serve", str(doubler), "--host", own, "--drain-s", "0"]
    with Child("serve", command, log=tmp_path / "log", env=env) as process:
        process.wait_until(lambda: listening_at(tmp_path / "log") != "", "it says where it listens")
        assert listening_at(tmp_path / "log") == f"http://{own}:{PORT_BY_DEFAULT}"


@pytest.fixture
def busy_port() -> Iterator[int]:
    port = free_port()
    with socket.create_server((HOST, port)):
        yield port


@pytest.mark.parametrize("by", ["--port", "PORT"])
def test_a_busy_port_is_one_error_line_and_the_documented_exit_code(doubler: Path, busy_port: int, by: str) -> None:
    flags, env = (["--port", str(busy_port)], None) if by == "--port" else ([], {"PORT": str(busy_port)})
    done = run("serve", str(doubler), *flags, env=env)
    assert done.returncode == exit_codes.CONFLICT
    first, hint = done.stderr.splitlines()
    assert first == f"fairlead: cannot listen on {HOST}, port {busy_port}: Address already in use"
    assert "--port" in hint


def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `fairlead` with these arguments until it exits."""
    clean = {"PORT": "", "FAIRLEAD_SERVING_PORT": ""} | (env or {})
    try:
        return subprocess.run(
            [FAIRLEAD, *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            env={**os.environ, **clean},
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise ProcessFailed(f"it did not end: {late}") from None


def test_an_idle_connection_is_closed_after_keep_alive_s_and_not_before(tmp_path: Path, doubler: Path) -> None:
    request = b"GET /livez HTTP/1.1\r\nhost: test\r\n\r\n"
    with (
        Service(doubler, log=tmp_path / "log", env={"FAIRLEAD_SERVING_KEEP_ALIVE_S": "1"}) as service,
        service.connect() as connection,
    ):
        for _ in range(3):  # a timer that started at the first response would close the connection before the last one
            connection.sendall(request)
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            time.sleep(0.4)
        connection.sendall(request)
        answered = time.monotonic()
        assert connection.recv(4096).startswith(b"HTTP/1.1 200")
        assert connection.recv(4096) == b""
        assert 0.9 < time.monotonic() - answered < 5
