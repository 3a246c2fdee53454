"""`fairlead serve --workers N`: metrics that add up, killed workers, a model that cannot be loaded, drain, answers."""

from __future__ import annotations

import collections
import contextlib
import importlib.util
import itertools
import json
import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor

from fairlead.cli import exit_codes
from fairlead.contracts.answers import KEEP_HEADER, RECORD
from fairlead.contracts.instance import CANNOT_BE_SERVED
from fairlead.serving.formats.writer import write_folder
from fairlead.serving.reference.build import write_profile
from fairlead.serving.settings import FAILURE_FILE
from support import folders
from support.missing import skip_or_fail
from support.processes import wait_until
from support.profiles import samples
from support.service import Service, read, request

SAYS_ITS_PROCESS = """
import os
import signal
import time
from pathlib import Path
from typing import Literal
from pydantic import BaseModel
import fairlead

class Asked(BaseModel):
    seconds: float = 0

class Process(BaseModel):
    label: Literal["odd", "even"]
    pid: int

HERE = Path(__file__).parent

class SaysItsProcess(fairlead.Model[Asked, Process]):
    def load(self, artifact: Path) -> None:
        if (HERE / "fails").exists():
            raise RuntimeError("the weights are gone")
        if (HERE / "ends").exists():
            os.kill(os.getpid(), signal.SIGKILL)
        while (HERE / "waits").exists():
            time.sleep(0.01)

    def predict(self, rows: list[Asked]) -> list[Process]:
        time.sleep(sum(row.seconds for row in rows))
        pid = os.getpid()
        return [Process(label="odd" if pid % 2 else "even", pid=pid) for _ in rows]
"""
REQUESTS = 30
ROWS = 200_000
"""Of 16 numbers: 25.6 MB."""


@pytest.fixture(scope="module", autouse=True)
def gunicorn() -> None:
    if importlib.util.find_spec("gunicorn") is None:
        raise skip_or_fail("gunicorn is not installed: ci/setup dev installs it")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folders.make(
        tmp_path / "model",
        code=SAYS_ITS_PROCESS,
        artifact=None,
        golden=(),
        entry="model:SaysItsProcess",
        batching={"max_rows": 1},
    )


def service_of(folder: Path, workers: int, env: Mapping[str, str] | None = None, *, drain_s: float = 0) -> Service:
    flags = ["--workers", str(workers), "--drain-s", str(drain_s)]
    return Service(folder, log=folder.parent / "log", flags=flags, env=env)


def ask(service: Service, seconds: float = 0) -> int:
    """The process that answered."""
    reply = service.predict({"seconds": seconds})
    assert reply.status == 200, reply.body
    pid: int = reply.json()["pid"]
    return pid


def children_of(pid: int) -> set[int]:
    """The processes that a process has started."""
    return {int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def answered(service: Service) -> float:
    return service.metric("fairlead_model_requests_total", protocol="predict", code="200")


def ready_lines(service: Service) -> int:
    return sum(line["message"] == "ready" for line in service.log_lines())


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_any_worker_reports_exactly_the_requests_of_all_before_and_after_one_is_killed(
    folder: Path, workers: int
) -> None:
    with service_of(folder, workers) as service:
        for _ in range(REQUESTS):
            killed = ask(service)
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: ready_lines(service) == workers + 1, "another worker is ready")
        for _ in range(2 * workers):  # of different workers: each request has its own connection
            assert answered(service) == REQUESTS
        later = {ask(service) for _ in range(REQUESTS)}
        assert killed not in later
        for _ in range(2 * workers):
            assert answered(service) == 2 * REQUESTS
            assert service.metric("fairlead_model_request_seconds_count", protocol="predict") == 2 * REQUESTS
            assert service.metric("fairlead_model_rows_total", outcome="answered") == 2 * REQUESTS
        stats = service.ask("GET", "/v2/models/doubler/stats").json()["model_stats"][0]
        assert stats["inference_stats"]["success"]["count"] == 2 * REQUESTS
        assert len(children_of(service.process.pid)) == workers
        assert any("was ended by signal 9" in line["message"] for line in service.log_lines())


def test_connections_that_are_opened_together_are_shared_by_the_workers(folder: Path) -> None:
    with service_of(folder, 2) as service, contextlib.ExitStack() as stack:
        connections = [stack.enter_context(service.connect()) for _ in range(16)]
        shared = collections.Counter[int]()
        for connection in connections:
            connection.sendall(request("POST", "/predict", b"{}"))
            shared[read(connection).json()["pid"]] += 1
        assert len(shared) == 2
        assert min(shared.values()) >= 5, shared


def test_no_counter_falls_while_a_worker_is_killed_and_replaced(folder: Path) -> None:
    with service_of(folder, 2) as service:
        watched = ("fairlead_model_requests_total", "process_cpu_seconds_total", "fairlead_model_compute_seconds_count")
        before = dict.fromkeys(watched, 0.0)
        killed = ask(service)
        wait_until(lambda: service.metric("process_cpu_seconds_total") > 0, "the workers have reported their time")
        for turn in itertools.count():
            now = {name: service.metric(name) for name in watched}
            assert all(now[name] >= before[name] for name in watched), (before, now)
            before = now
            if turn == 0:
                os.kill(killed, signal.SIGKILL)
            if ready_lines(service) == 3:
                break


def test_only_the_requests_that_a_killed_worker_held_are_lost(folder: Path) -> None:
    with service_of(folder, 2) as service, ThreadPoolExecutor(8) as pool:
        stop = threading.Event()
        good, lost = [0], [0]

        def load() -> None:
            while not stop.is_set():
                try:
                    ask(service, 0.005)
                    good[0] += 1
                except OSError:
                    lost[0] += 1

        running = [pool.submit(load) for _ in range(4)]
        wait_until(lambda: good[0] > 20, "requests are answered")
        os.kill(ask(service), signal.SIGKILL)
        wait_until(lambda: ready_lines(service) == 3, "another worker is ready")
        stop.set()
        for one in running:
            one.result()
        assert lost[0] <= 4  # one of each client


def test_a_worker_that_replaces_another_takes_no_connection_before_it_is_ready(folder: Path) -> None:
    with service_of(folder, 2) as service:
        killed = ask(service)
        (folder / "waits").touch()
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: killed not in children_of(service.process.pid), "it has ended")
        assert len({ask(service) for _ in range(REQUESTS)}) == 1
        assert service.ask("GET", "/readyz").status == 200
        (folder / "waits").unlink()
        wait_until(lambda: ready_lines(service) == 3, "another worker is ready")
        wait_until(lambda: ask(service) not in (killed, 0), "requests are answered")


def test_the_service_is_ready_when_every_worker_is(folder: Path) -> None:
    (folder / "waits").touch()
    service = service_of(folder, 2)
    with service.start("/readyz", 503).process:
        assert service.ask("GET", "/livez").status == 200
        assert service.ask("GET", "/startupz").status == 503
        (folder / "waits").unlink()
        wait_until(lambda: service.answers("/readyz", 200), "/readyz answers 200")
        assert ready_lines(service) == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_that_cannot_load_ends_the_service_with_its_reason(folder: Path, tmp_path: Path, workers: int) -> None:
    (folder / "fails").touch()
    reason = tmp_path / "reason"
    service = service_of(folder, workers, {FAILURE_FILE: str(reason)})
    service.process.start()
    assert service.process.wait() == exit_codes.UNAVAILABLE
    assert reason.read_text() == f"{CANNOT_BE_SERVED}doubler 1.0.0: load failed: RuntimeError: the weights are gone"
    assert "the weights are gone" in service.process.log.read_text().splitlines()[-1]
    assert "Traceback" not in service.process.log.read_text().splitlines()[-1]


def test_a_worker_that_ends_three_times_while_it_loads_ends_the_service(folder: Path) -> None:
    (folder / "ends").touch()
    service = service_of(folder, 1)
    service.process.start()
    assert service.process.wait() == exit_codes.UNAVAILABLE
    last = service.process.log.read_text().splitlines()[-1]
    assert last.endswith("worker 1 was ended by signal 9 (SIGKILL) while it loaded the model, 3 times in a row")


def test_sigterm_drains_all_workers_without_a_lost_request(folder: Path) -> None:
    service = service_of(folder, 2, drain_s=1)
    with service, ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(ask, service, 0.5) for _ in range(4)]
        wait_until(lambda: service.metric("fairlead_model_in_flight_requests") == 4, "all are in flight")
        os.kill(service.process.pid, signal.SIGTERM)
        wait_until(lambda: service.answers("/readyz", 503), "it drains")
        more = [pool.submit(ask, service) for _ in range(10)]
        assert all(one.result() for one in (*waiting, *more))
        assert service.process.wait() == 0


def test_workers_drain_and_end_when_their_master_is_killed(folder: Path) -> None:
    service = service_of(folder, 2)
    service.start()
    workers = children_of(service.process.pid)
    os.kill(service.process.pid, signal.SIGKILL)
    service.process.wait()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "the workers have ended")


def test_one_worker_returns_the_answer_records_of_all_with_their_classes_and_labels(folder: Path) -> None:
    with service_of(folder, 2) as service:
        page = service.ask("GET", "/answers").json()
        sent: dict[str, str] = {}
        while len(set(sent.values())) < 2 or len(sent) < REQUESTS:
            number = uuid.uuid4()
            reply = service.predict({}, {"x-request-id": str(number), KEEP_HEADER: RECORD})
            sent[number.hex] = reply.json()["label"] + str(reply.json()["pid"])
        for _ in range(4):
            found = service.ask("GET", f"/answers?epoch={page['epoch']}&after={page['next']}").json()
            assert (found["lost"], found["next"]) == (0, len(sent))
            assert [one[0] for one in found["answers"]] == list(sent)
            assert [one[1] for one in found["answers"]] == [said.rstrip("0123456789") for said in sent.values()]
            assert sum(found["classes"].values()) == len(sent)


def test_problems_are_counted_over_all_workers(folder: Path) -> None:
    with service_of(folder, 2) as service:
        for _ in range(REQUESTS):
            assert service.predict({"seconds": "x"}).status == 422
        counted: dict[str, Any] = service.ask("GET", "/answers?problems=true").json()["problems"]
        assert list(counted.values()) == [REQUESTS]


@pytest.fixture
def hung(folder: Path) -> Iterator[tuple[Service, int]]:
    service = service_of(folder, 2, {"FAIRLEAD_SERVING_CALL_TIMEOUT_S": "0.5"})
    with service, ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        late = pool.submit(service.predict, {"seconds": 3})
        yield service, late.result().status
        assert time.monotonic() - began < 60


def test_while_a_call_hangs_in_one_worker_the_service_is_not_ready_but_alive(hung: tuple[Service, int]) -> None:
    service, status = hung
    assert status == 504
    replies = [service.ask("GET", "/readyz") for _ in range(6)]
    assert {reply.status for reply in replies} == {503}
    assert all("has not returned within" in json.loads(reply.body)["detail"] for reply in replies)
    assert {service.ask("GET", "/livez").status for _ in range(6)} == {200}
    wait_until(lambda: service.answers("/readyz", 200), "the call returns")


def test_any_worker_reports_the_rows_that_all_have_counted_for_drift_also_after_one_is_killed(folder: Path) -> None:
    write_profile(folder, [{"seconds": 0.0}, {"seconds": 0.001}] * 20)

    def counted(service: Service) -> float:
        found = samples(service.ask("GET", "/metrics/drift").body.decode())
        assert sum(value for (name, _), value in found.items() if name == "drift_values_total") % 2 == 0  # two features
        return found["drift_rows_total", ()]

    with service_of(folder, 2) as service:
        pids = [ask(service) for _ in range(REQUESTS)]
        assert len(set(pids)) == 2
        for _ in range(4):  # each on a connection of its own, so by any of the workers
            wait_until(lambda: counted(service) == REQUESTS, "a worker reports all rows")
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: ready_lines(service) == 3, "another worker takes its place")
        assert {counted(service) for _ in range(8)} == {REQUESTS}
        for _ in range(REQUESTS):
            ask(service)
        wait_until(lambda: counted(service) == 2 * REQUESTS, "the rows after it are counted too")


def test_workers_have_the_arrays_of_a_model_in_memory_once(tmp_path: Path) -> None:
    values = np.arange(ROWS * 16, dtype=np.float64).reshape(ROWS, 16)
    estimator = KNeighborsRegressor(n_neighbors=1, algorithm="brute").fit(values, values[:, 0])
    tensor = {"datatype": "FP64", "shape": [-1]}
    inputs = [{"name": "x", "datatype": "FP64", "shape": [-1, 16]}]
    manifest = {"name": "near", "version": "1", "format": "sklearn", "inputs": inputs}
    manifest["outputs"] = [{"name": "first", **tensor}]
    made = write_folder(tmp_path / "near", manifest, estimator, golden_inputs=[{"x": values[0].tolist()}])
    with service_of(made.folder, 2) as service:
        maps = [mapped(pid) for pid in children_of(service.process.pid)]
    assert len(maps) == 2
    assert all(one["Rss"] > values.nbytes * 0.9 for one in maps)
    assert all(one["Private_Dirty"] == 0 for one in maps)
    assert sum(one["Pss"] for one in maps) < values.nbytes * 1.2


def mapped(pid: int) -> Mapping[str, int]:
    """What a process has in memory of the checked copy of its artifact, in bytes."""
    found: collections.Counter[str] = collections.Counter()
    is_copy = False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        key, _, value = line.partition(":")
        if line[0] in "0123456789abcdef" and "-" in line.split(" ", 1)[0]:
            is_copy = "fairlead-artifact-" in line
        elif is_copy and value.endswith("kB"):
            found[key] += int(value.split()[0]) * 1024
    return found


def test_a_worker_that_replaces_another_serves_the_bytes_that_were_checked(tmp_path: Path) -> None:
    made = folders.make(tmp_path / "model")
    with service_of(made, 1) as service:
        (victim,) = children_of(service.process.pid)
        (made / "artifact.bin").write_bytes(b"3")
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: ready_lines(service) == 2, "another worker is ready")
        assert service.predict({"value": 1.5}).json() == {"value": 3.0}


def test_an_artifact_that_is_not_the_stated_one_is_refused_before_a_worker_starts(tmp_path: Path) -> None:
    made = folders.make(tmp_path / "model")
    (made / "artifact.bin").write_bytes(b"3")
    service = service_of(made, 2)
    service.process.start()
    assert service.process.wait() == exit_codes.UNAVAILABLE
    lines = service.process.log.read_text().splitlines()
    assert "artifact.bin is not the artifact that fairlead.yaml names" in lines[-2]
    assert [json.loads(line)["message"] for line in lines[:-2]] == ["listening"]
