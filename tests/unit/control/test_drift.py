"""Reading what instances have counted: real HTTP on loopback, and only while somebody looks."""

from __future__ import annotations

import contextlib
import http.server
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from fairlead import errors
from fairlead.contracts.instance import Instance
from fairlead.control import drift
from fairlead.control.drift import DriftReadings, counts_of, over_http
from fairlead.views.drift import State, version_drifts
from support.drift_texts import a_text
from support.processes import free_ports
from support.profiles import of_points
from unit.control.console.scene import CANDIDATE, STABLE, an_instance

LIVE = {"x": [0, 3, 4, 1, 0]}
TEXT = a_text(of_points(), LIVE)


@contextlib.contextmanager
def serving(text: str, status: int = 200) -> Iterator[int]:
    """The port of a service that answers every path with this text."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = text.encode() if self.path == "/metrics/drift" else b""
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(OSError):  # a reader that has enough leaves
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def sending(begin: bytes, drop: bytes = b"") -> Iterator[int]:
    """The port of a service that answers with `begin`, and then with a drop every 10 ms until the reader leaves."""
    stop = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                self.request.sendall(begin)
                while drop and not stop.wait(0.01):
                    self.request.sendall(drop)

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


def at(port: int, index: int = 0, **more: object) -> Instance:
    found = an_instance()
    return found.model_copy(update={"id": f"{found.id[:-1]}{index}", "port": port, **more})


def test_the_counts_of_all_instances_of_a_version_are_added() -> None:
    with serving(TEXT) as port, ThreadPoolExecutor(2) as pool:
        found = counts_of([at(port), at(port, 1), at(port, 2, ref=CANDIDATE)], over_http(), pool)
    assert {ref: one.counted.features[0].live.tolist() for ref, one in found.items() if one.counted} == {
        STABLE: [0, 6, 8, 2, 0], CANDIDATE: LIVE["x"]
    }  # fmt: skip


def test_an_instance_that_cannot_be_read_is_told_and_does_not_hide_the_others() -> None:
    (closed,) = free_ports(1)
    with (
        serving(TEXT) as port,
        serving("no metrics") as strange,
        serving(TEXT, 503) as failing,
        serving("#" * (drift.MAX_BYTES + 1)) as large,
        ThreadPoolExecutor(2) as pool,
    ):
        instances = [at(one, index) for index, one in enumerate((port, closed, strange, failing, large))]
        (asked,) = counts_of(instances, over_http(), pool).values()
    assert asked.counted is not None
    assert asked.counted.features[0].live.tolist() == LIVE["x"]
    said = ["refused", "whether it has a profile", "status 503", "more than 4 MiB"]
    assert [word in problem for word, problem in zip(said, asked.problems, strict=True)] == [True] * 4


@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4000000\r\n\r\n", b"#"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"#"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\n#\r\n"),
    ],
    ids=["status line", "headers", "body", "body without a length", "chunks"],
)
def test_an_answer_that_comes_drop_by_drop_ends_in_time(begin: bytes, drop: bytes) -> None:
    with sending(begin, drop) as slow, serving(TEXT) as port, ThreadPoolExecutor(1) as pool:
        (asked,) = counts_of([at(slow), at(port, 1)], over_http(answer_s=0.3), pool).values()
    assert asked.counted is not None
    assert asked.problems == ("instance 0: it did not answer: it takes longer than 0.3 s",)


def test_an_answer_that_ends_early_is_not_half_of_the_numbers() -> None:
    lines = TEXT.encode()
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(lines) + 1}\r\nconnection: close\r\n\r\n".encode()
    with sending(head + lines) as port, ThreadPoolExecutor(1) as pool:
        (asked,) = counts_of([at(port)], over_http(), pool).values()
    assert (asked.counted, "IncompleteRead" in asked.problems[0]) == (None, True)


def test_a_text_that_cannot_be_read_is_told_and_not_asked_for_ever() -> None:
    with serving("fairlead_model_profile_info{} 1\n") as port:
        readings = DriftReadings(lambda: [at(port)])
        (asked,) = readings.of("iris", wait_s=5).versions.values()
        readings.close()
    assert asked.problems == (
        "instance 0: what it says cannot be read: fairlead_model_profile_info has no label profile",
    )


def test_instances_with_other_profiles_are_unavailable_and_not_half_of_the_numbers() -> None:
    other = a_text(of_points(data="other.csv"), LIVE)
    with serving(TEXT) as port, serving(other) as second, ThreadPoolExecutor(2) as pool:
        found = counts_of([at(port), at(second, 1)], over_http(), pool)
    (version,) = version_drifts(None, found)
    assert version.state is State.UNAVAILABLE
    assert "different profiles" in version.summary


def test_more_instances_than_are_asked_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "MAX_INSTANCES", 2)
    with serving(TEXT) as port, ThreadPoolExecutor(2) as pool:
        (asked,) = counts_of([at(port, index) for index in range(5)], over_http(), pool).values()
    assert (asked.instances, len(asked.problems)) == (5, 3)


class Asked:
    """Counts how often instances are asked; each waits for `go`."""

    def __init__(self) -> None:
        self.times, self.go = 0, threading.Event()
        self.go.set()

    def __call__(self, instance: Instance) -> str:
        self.times += 1
        if not self.go.wait(5):
            raise errors.Unavailable("nobody let it go")
        return TEXT


def test_an_instance_is_asked_once_for_all_that_look_and_again_when_that_is_old() -> None:
    fetch, now = Asked(), [100.0]
    readings = DriftReadings(lambda: [at(1)], fetch, monotonic=lambda: now[0])
    first = readings.of("iris", wait_s=5)
    assert readings.of("iris", wait_s=5) == first
    assert (first.number, fetch.times) == (1, 1)
    now[0] += drift.EVERY_S
    assert readings.of("iris", wait_s=5).number == 2
    assert fetch.times == 2
    readings.close()


def test_who_does_not_wait_gets_the_last_reading_while_an_instance_hangs() -> None:
    fetch, now = Asked(), [100.0]
    readings = DriftReadings(lambda: [at(1)], fetch, monotonic=lambda: now[0])
    fetch.go.clear()
    nothing = readings.of("iris")
    assert (nothing.number, dict(nothing.versions)) == (0, {})
    fetch.go.set()
    assert readings.of("iris", wait_s=5).number == 1
    readings.close()


def test_only_instances_of_the_model_that_are_not_ending_are_asked() -> None:
    fetch = Asked()
    others = [at(1, ending=True), at(1, 1, model="rose"), at(1, 2)]
    readings = DriftReadings(lambda: others, fetch)
    (asked,) = readings.of("iris", wait_s=5).versions.values()
    assert (asked.instances, fetch.times) == (1, 1)
    readings.close()


def test_a_store_that_cannot_be_read_ends_the_reading_and_the_next_one_begins() -> None:
    broken = [True]

    def instances() -> list[Instance]:
        if broken[0]:
            raise errors.Unavailable("the store is away")
        return [at(1)]

    readings = DriftReadings(instances, Asked())
    assert readings.of("iris", wait_s=5).number == 0
    broken[0] = False
    assert readings.of("iris", wait_s=5).number == 1
    readings.close()
