"""Statuses of different routes are written at the same time, those of one route in their order, and never too many."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fairlead import errors
from fairlead.control.parallel_writes import WRITES, ParallelWrites

PATIENCE_S = 20.0


@pytest.fixture
def writes() -> Iterator[ParallelWrites]:
    made = ParallelWrites()
    yield made
    made.close()


@contextmanager
def held() -> Iterator[Callable[[], None]]:
    """A write that lasts until the block ends."""
    let_go = threading.Event()
    try:
        yield lambda: _is_true(let_go.wait(PATIENCE_S))
    finally:
        let_go.set()


def _is_true(found: bool) -> None:
    assert found


def test_the_statuses_of_two_routes_are_written_at_the_same_time(writes: ParallelWrites) -> None:
    both = threading.Barrier(2, timeout=PATIENCE_S)
    for route in ("iris", "flats"):
        writes.start(route, lambda: _is_true(both.wait() >= 0))
    writes.finish_all()


def test_two_writes_of_one_route_keep_their_order(writes: ParallelWrites) -> None:
    seen: list[int] = []
    for number in range(50):
        writes.start("iris", lambda number=number: seen.append(number))  # type: ignore[misc]
    writes.finish("iris")
    assert seen == list(range(50))


def test_finish_returns_when_the_write_of_that_route_has_ended_and_not_later(writes: ParallelWrites) -> None:
    done: list[str] = []
    with held() as write:
        writes.start("slow", write)
        writes.start("iris", lambda: done.append("iris"))
        writes.finish("iris")
        writes.finish("a route without a write")
        assert done == ["iris"]
    writes.finish_all()


def test_no_more_are_under_way_than_the_api_server_should_get(writes: ParallelWrites) -> None:
    lock, counts = threading.Lock(), [0, 0]

    def write() -> None:
        with lock:
            counts[0] += 1
            counts[1] = max(counts)
        threading.Event().wait(0.001)
        with lock:
            counts[0] -= 1

    for number in range(60):
        writes.start(f"route-{number}", write)
        assert len(writes._running) <= WRITES
    writes.finish_all()
    assert counts[0] == 0
    assert 1 <= counts[1] <= WRITES


def _unavailable() -> None:
    raise errors.Unavailable("the API server does not answer")


def test_without_an_answer_of_the_api_server_the_tick_ends_at_the_first_write_that_failed(
    writes: ParallelWrites,
) -> None:
    for number in range(WRITES):
        writes.start(f"route-{number}", _unavailable)
    with pytest.raises(errors.Unavailable):
        writes.start("one more", _unavailable)
    with pytest.raises(errors.Unavailable):
        writes.finish_all()
    writes.finish_all()


def test_one_error_does_not_leave_the_other_writes_unwatched(writes: ParallelWrites) -> None:
    seen: list[str] = []
    writes.start("bad", _unavailable)
    writes.start("good", lambda: seen.append("good"))
    with pytest.raises(errors.Unavailable):
        writes.finish_all()
    assert seen == ["good"]
    assert not writes._running
