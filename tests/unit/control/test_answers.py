"""Reading answer rings over HTTP: no answer twice, losses counted, no delay by an instance that does not answer."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import BaseModel

from fairlead.contracts.route import VersionSpec
from fairlead.control.answers import MIN_INTERVAL_S, SUBSCRIPTION_TIMEOUT_S, TARGET_ANSWERS, AnswerRings
from fairlead.rollout.ports import CollectedAnswers, InstanceAddress
from fairlead.serving.observe.answers import PAGE_SIZE, RECORD, AnswerRecords
from fairlead.serving.observe.compared_fields import Reader
from support.background import serve_in_background
from support.processes import free_port, wait_until

REF = VersionSpec().ref("1.0.0")


class Result(BaseModel):
    label: str


class Service:
    """An answer ring behind an HTTP server."""

    def __init__(self, room: int = 10_000) -> None:
        self.room = room
        self.status = 200
        self.dripping = threading.Event()
        """While it is set, responses come byte by byte."""
        self.restart()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet: apart, each response waits 40 ms for a delayed ACK

            def do_GET(self) -> None:
                asked = parse_qs(urlsplit(self.path).query)
                page = service.ring.page(asked.get("epoch", [""])[0], int(asked["after"][0]))
                body = json.dumps(page.to_json()).encode() if service.status == 200 else b"{}"
                self.send_response(service.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    while body and service.dripping.is_set():
                        self.wfile.write(body[:1])
                        self.wfile.flush()
                        body = body[1:]
                        time.sleep(0.01)
                    self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.instance = InstanceAddress("one", REF, "127.0.0.1", self.server.server_address[1])

    def restart(self) -> None:
        self.ring, self.number = AnswerRecords(Reader(Result), self.room * RECORD.size), 0

    def answer(self, count: int = 1, label: str = "a") -> None:
        for _ in range(count):
            self.number += 1
            name = str(uuid.UUID(int=self.number)).encode()
            self.ring.add(name, 200, [Result(label=label)], shadow=False, record=True)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@contextlib.contextmanager
def a_service(room: int = 10_000) -> Iterator[Service]:
    service = Service(room)
    with serve_in_background(service.server):
        yield service


@pytest.fixture
def service() -> Iterator[Service]:
    with a_service() as service:
        yield service


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rings(clock: Clock) -> Iterator[AnswerRings]:
    """The tests call turn(); the interval is too long for the thread to do so. There is time on a busy machine."""
    rings = AnswerRings(logging.getLogger("test"), every_s=3600, turn_s=60, wait_s=120, monotonic=clock)
    yield rings
    rings.close()


def collect(rings: AnswerRings, *instances: InstanceAddress) -> CollectedAnswers:
    wanted: Mapping[str, Sequence[InstanceAddress]] = {"iris": instances}
    rings.subscribe(wanted)
    rings.turn()
    return rings.collect().get("iris", CollectedAnswers())


def test_answers_before_listening_are_left_out_and_later_ones_returned_once(
    rings: AnswerRings, service: Service
) -> None:
    service.answer(5)
    assert collect(rings, service.instance).answers == []
    service.answer(3, "b")
    collected = collect(rings, service.instance)
    assert [one.label for one in collected.answers] == ["b"] * 3
    assert collected.answers[0].fields == {"label": "string"}
    assert collected.classes == {REF: {"b": 3}}
    assert collect(rings, service.instance).answers == []


def test_overwritten_answers_are_counted_as_lost(rings: AnswerRings) -> None:
    with a_service(room=4) as service:
        collect(rings, service.instance)
        service.answer(10)
        collected = collect(rings, service.instance)
        assert (len(collected.answers), collected.lost) == (4, 6)
        assert collected.classes == {REF: {"a": 10}}


def test_a_restarted_service_is_read_from_its_beginning_and_its_classes_are_left_out_once(
    rings: AnswerRings, service: Service
) -> None:
    collect(rings, service.instance)
    service.restart()
    service.answer(2)
    collected = collect(rings, service.instance)
    assert (len(collected.answers), collected.classes) == (2, {REF: {}})
    service.answer(1)
    assert collect(rings, service.instance).classes == {REF: {"a": 1}}


def test_many_answers_are_read_page_by_page(rings: AnswerRings, service: Service) -> None:
    collect(rings, service.instance)
    service.answer(2 * PAGE_SIZE + 1)
    assert len(collect(rings, service.instance).answers) == 2 * PAGE_SIZE + 1


def test_an_instance_that_does_not_answer_is_named_and_read_again_when_it_does(
    rings: AnswerRings, service: Service
) -> None:
    gone = InstanceAddress("gone", REF, "127.0.0.1", free_port())
    collect(rings, service.instance, gone)
    service.answer(1)
    service.status = 503
    assert collect(rings, service.instance, gone).silent == ("gone", "one")
    service.status = 200
    collected = collect(rings, service.instance, gone)
    assert (len(collected.answers), collected.silent) == (1, ("gone",))


def test_an_instance_that_answers_byte_by_byte_is_named_when_its_time_is_up(clock: Clock) -> None:
    rings = AnswerRings(logging.getLogger("test"), every_s=3600, turn_s=0.2, wait_s=120, monotonic=clock)
    with contextlib.closing(rings), a_service() as slow:
        slow.dripping.set()
        slow.answer(PAGE_SIZE)
        assert collect(rings, slow.instance).silent == ("one",)


def test_while_an_instance_answers_byte_by_byte_turns_go_on_with_the_others(clock: Clock) -> None:
    rings = AnswerRings(logging.getLogger("test"), every_s=3600, turn_s=60, wait_s=0.05, monotonic=clock)
    with contextlib.closing(rings), a_service() as slow, a_service() as fast:
        other = InstanceAddress("two", REF, "127.0.0.1", fast.instance.port)
        found: list[str | None] = []

        def turn() -> None:
            collected = collect(rings, slow.instance, other)
            assert collected.silent == ()
            found.extend(one.label for one in collected.answers)

        def both_are_read() -> bool:
            slow.answer(1, "first of slow")
            fast.answer(1, "first of fast")
            turn()
            return {"first of slow", "first of fast"} <= set(found)

        def all_are_read(label: str, count: int) -> bool:
            turn()
            return found.count(label) == count

        wait_until(both_are_read, "both are read", within=60)
        slow.dripping.set()
        slow.answer(500, "slow")
        for due in (7, 14, 21):
            fast.answer(7, "fast")
            wait_until(partial(all_are_read, "fast", due), "the others are read", within=60)
        assert "slow" not in found
        slow.dripping.clear()
        wait_until(partial(all_are_read, "slow", 500), "the slow one is read too", within=60)


def test_after_a_time_without_listening_earlier_answers_are_dropped(
    rings: AnswerRings, service: Service, clock: Clock
) -> None:
    collect(rings, service.instance)
    service.answer(1)
    clock.now += SUBSCRIPTION_TIMEOUT_S + 1
    rings.turn()
    assert collect(rings, service.instance).answers == []
    service.answer(1)
    assert len(collect(rings, service.instance).answers) == 1


def test_nothing_is_read_when_no_instance_is_requested(rings: AnswerRings) -> None:
    assert collect(rings) == CollectedAnswers()


def test_rings_with_many_answers_are_read_more_often(rings: AnswerRings, service: Service) -> None:
    collect(rings, service.instance)
    assert rings.pause_s == MIN_INTERVAL_S, "the rate of a new ring is not known yet"
    collect(rings, service.instance)
    before = rings.pause_s
    assert before > MIN_INTERVAL_S
    service.answer(10 * TARGET_ANSWERS)
    collect(rings, service.instance)
    assert rings.pause_s == pytest.approx(before / 10)
    for _ in range(2):
        service.answer(20 * TARGET_ANSWERS)
        collect(rings, service.instance)
    assert rings.pause_s == MIN_INTERVAL_S


def test_problems_since_the_last_read_are_returned_by_version(rings: AnswerRings, service: Service) -> None:
    service.ring.problems.add(422, "body.x: Field required")
    assert collect(rings, service.instance).problems == {}, "from before it was listened to"
    service.ring.problems.add(422, "body.x: Field required")
    service.ring.problems.add(500, "ZeroDivisionError")
    assert collect(rings, service.instance).problems == {
        REF: {"422 body.x: Field required": 1, "500 ZeroDivisionError": 1}
    }
    assert collect(rings, service.instance).problems == {}
