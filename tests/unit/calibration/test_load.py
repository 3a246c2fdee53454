"""The load generator with a real server on loopback, whose answers a test decides."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fairlead.calibration.arrivals import plan
from fairlead.calibration.load import Load, request

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
Answer = Callable[[socket.socket, bytes], bool]
"""Answers one request; False ends the connection."""


@contextmanager
def serving(answer: Answer) -> Iterator[int]:
    """A server with a thread for each connection. Yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        ended = threading.Event()
        threads: list[threading.Thread] = []

        def serve(connection: socket.socket) -> None:
            with connection:
                try:
                    while (received := connection.recv(1 << 16)) and answer(connection, received):
                        pass
                except OSError:
                    return

        def accept() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except TimeoutError:
                    continue
                connection.settimeout(None)
                threads.append(threading.Thread(target=serve, args=(connection,), daemon=True))
                threads[-1].start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            accepting.join()


@contextmanager
def load_on(answer: Answer, bodies: int = 3) -> Iterator[Load]:
    """A generator of requests to such a server."""
    with serving(answer) as port:
        load = Load(port, [request(b'{"row": %d}' % number) for number in range(bodies)])
        try:
            yield load
        finally:
            load.close()


def always(reply: bytes) -> Answer:
    """Answers everything with these bytes."""

    def answer(connection: socket.socket, _: bytes) -> bool:
        connection.sendall(reply)
        return True

    return answer


def test_every_request_is_sent_when_it_is_due_and_answered() -> None:
    with load_on(always(OK)) as load:
        due = plan(200, 0.5, 1)
        window = load.run(200, due, 1.0)
    assert not window.failed
    assert not window.stopped_early
    assert all(a <= b <= c < math.inf for a, b, c in zip(window.due, window.sent, window.answered, strict=True))
    assert 0.0 < window.generator_cpu_s < window.seconds


def test_bodies_are_sent_in_turn() -> None:
    seen: list[bytes] = []

    def answer(connection: socket.socket, received: bytes) -> bool:
        seen.append(received.rpartition(b"\r\n\r\n")[2])
        connection.sendall(OK)
        return True

    with load_on(answer) as load:
        load.alone(5, 10.0)
    assert seen == [b'{"row": %d}' % number for number in (0, 1, 2, 0, 1)]


def test_an_answer_may_arrive_in_pieces() -> None:
    def answer(connection: socket.socket, _: bytes) -> bool:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(OK)):
            connection.sendall(OK[at : at + 1])
        return True

    with load_on(answer) as load:
        assert all(math.isfinite(one) for one in load.alone(3, 10.0))


def test_a_refusal_is_counted_and_kept() -> None:
    refusal = b'HTTP/1.1 422 Unprocessable Entity\r\ncontent-length: 15\r\n\r\n{"detail":"bad"}'[:-1]
    with load_on(always(refusal)) as load:
        window = load.run(100, plan(100, 0.2, 1), 1.0)
        assert window.failed == {"422": 20}
        assert set(window.answered) == {math.inf}
        assert load.refusal.startswith(b'{"detail":"bad"')


def test_a_connection_that_ends_is_no_answer_and_another_one_goes_on() -> None:
    count = 0

    def answer(connection: socket.socket, _: bytes) -> bool:
        nonlocal count
        count += 1
        if count == 3:
            return False
        connection.sendall(OK)
        return True

    with load_on(answer) as load:
        found = load.alone(6, 10.0)
    assert [math.isfinite(one) for one in found] == [True, True, False, True, True, True]


def test_a_server_that_closes_after_each_answer_gets_new_connections() -> None:
    def answer(connection: socket.socket, _: bytes) -> bool:
        connection.sendall(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
        return False

    with load_on(answer) as load:
        window = load.run(100, plan(100, 0.3, 1), 1.0)
    assert not window.failed
    assert all(map(math.isfinite, window.answered))


def test_a_window_ends_when_far_more_wait_than_a_good_service_would_have_in_flight() -> None:
    def never(_: socket.socket, received: bytes) -> bool:
        return bool(received)

    with load_on(never) as load:
        window = load.run(1000, plan(1000, 60.0, 1), 0.01)
    assert window.stopped_early
    assert window.seconds < 10
    assert set(window.answered) == {math.inf}


def test_a_request_larger_than_the_socket_takes_is_sent_in_parts() -> None:
    body = b"x" * (8 << 20)
    received = 0

    def answer(connection: socket.socket, first: bytes) -> bool:
        nonlocal received
        received = len(first)
        while received < len(request(body)):
            received += len(connection.recv(1 << 20))
        connection.sendall(OK)
        return True

    with serving(answer) as port:
        load = Load(port, [request(body)])
        assert math.isfinite(load.alone(1, 10.0)[0])
        load.close()
    assert received == len(request(body))


@pytest.mark.parametrize("count", [1, 4])
def test_requests_alone_are_at_least_one_and_at_most_so_many(count: int) -> None:
    with load_on(always(OK)) as load:
        assert len(load.alone(count, 10.0)) == count
        assert len(load.alone(5, 0.0)) == 1
