from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import errors
from fairlead.serving.inference import batching
from fairlead.serving.inference.answer_limit import SLICE_ROWS
from fairlead.serving.inference.cache.front import Front, Hit
from fairlead.serving.inference.cache.keys import Keys
from fairlead.serving.inference.cache.store import Store
from fairlead.serving.inference.lines import ranked
from fairlead.serving.inference.process.codec import Codec
from unit.serving.inference.test_batching import POISON, Harness
from unit.serving.inference.test_lines import LEVELS, Ordered

NOT_ENCODABLE = 7
CODEC = Codec("test_front")


class Cached(Harness):
    """A front with a batcher behind it. `kept` has what it gave to be counted."""

    def __init__(self, ttl_s: float = 5.0, **limits: Any) -> None:
        super().__init__(**limits)
        self.kept: list[Any] = []
        self.front = Front(
            self.batcher,
            Keys("m", "1"),
            Store(10**6, ttl_s, CODEC, lambda: self.loop.now),
            encodable=self._encodable,
            loop=self.loop,
            clock=lambda: self.loop.now,
            meter=self.meter,
            keep=self.kept.append,
        )

    def _encodable(self, answers: list[int]) -> None:
        if NOT_ENCODABLE * 10 in answers:
            raise errors.ModelFailed("no JSON")

    def ask(self, *rows: int, deadline: float | None = None, spilled: bool = False) -> batching.Ticket:
        ticket = self.front.submit(list(rows), 1, deadline, spilled)
        self.loop.settle()
        return ticket

    def asked(self, outcome: str) -> float:
        return self.metric(f'fairlead_model_cache_requests_total{{model="m",outcome="{outcome}"')

    def rows(self, outcome: str) -> float:
        return self.metric(f'fairlead_model_rows_total{{model="m",outcome="{outcome}"')


@pytest.fixture
def cached() -> Cached:
    return Cached()


def test_a_request_that_was_asked_before_is_answered_without_the_model_and_the_queue(cached: Cached) -> None:
    cached.ask(1, 2)
    cached.work()
    for row in range(3, 9):
        cached.ask(row)  # the model is busy, and the queue is not empty
    hit = cached.ask(1, 2)
    assert isinstance(hit, Hit)
    assert (hit.future.result(), cached.calls) == ([10, 20], [[1, 2]])
    assert [cached.asked(one) for one in ("hit", "shared", "miss", "bypassed")] == [1, 0, 7, 0]


def test_equal_requests_at_the_same_moment_are_one_call(cached: Cached) -> None:
    tickets = [cached.ask(3) for _ in range(100)]
    cached.work()
    assert (cached.calls, {tuple(one.future.result()) for one in tickets}) == ([[3]], {(30,)})
    assert (cached.asked("miss"), cached.asked("shared"), cached.rows("answered")) == (1, 99, 100)


def test_an_answer_is_asked_again_when_its_time_is_over(cached: Cached) -> None:
    for _ in range(2):
        cached.ask(1)
        cached.work()
        cached.loop.pass_time(5.0)
    assert cached.calls == [[1], [1]]


def test_an_error_reaches_all_who_wait_and_is_not_kept(cached: Cached) -> None:
    tickets = [cached.ask(POISON) for _ in range(3)]
    cached.work()
    assert {type(one.future.exception()) for one in tickets} == {errors.ModelFailed}
    cached.ask(POISON)
    cached.work()
    assert cached.calls == [[POISON], [POISON]]


def test_an_answer_that_no_client_can_get_is_not_kept(cached: Cached) -> None:
    for _ in range(2):
        cached.ask(NOT_ENCODABLE)
        cached.work()
    assert len(cached.calls) == 2


def test_a_client_that_leaves_takes_no_answer_from_others(cached: Cached) -> None:
    cached.ask(99)  # keeps the model busy
    first, second = cached.ask(1), cached.ask(1)
    cached.front.give_up(first, "disconnected")
    cached.work()
    assert (first.future.cancelled(), second.future.result()) == (True, [10])


def test_a_call_that_nobody_waits_for_is_not_made(cached: Cached) -> None:
    cached.ask(99)
    tickets = [cached.ask(1), cached.ask(1)]
    for ticket in tickets:
        cached.front.give_up(ticket, "disconnected")
    cached.work()
    assert (cached.calls, cached.batcher.queued_rows, cached.rows("dropped")) == ([[99]], 0, 1)
    cached.ask(1)
    cached.work()
    assert cached.calls == [[99], [1]]


def test_a_call_that_has_begun_is_kept_for_later_although_its_client_left(cached: Cached) -> None:
    cached.front.give_up(cached.ask(1), "disconnected")
    cached.work()
    assert isinstance(cached.ask(1), Hit)


def test_each_request_has_a_deadline_of_its_own(cached: Cached) -> None:
    cached.ask(99)
    hasty, patient = cached.ask(1, deadline=1.0), cached.ask(1, deadline=9.0)
    cached.loop.pass_time(2.0)
    assert isinstance(hasty.future.exception(), errors.DeadlineExceeded)
    cached.work()
    assert patient.future.result() == [10]


def test_a_deadline_that_has_passed_is_no_hit(cached: Cached) -> None:
    cached.ask(1)
    cached.work()
    cached.loop.pass_time(1.0)
    with pytest.raises(errors.DeadlineExceeded):
        cached.ask(1, deadline=0.5)


def test_spilled_and_large_requests_are_not_looked_up() -> None:
    cached = Cached(max_rows=SLICE_ROWS + 1, queue_rows=SLICE_ROWS + 1)
    for _ in range(2):
        cached.ask(1, spilled=True)
        cached.work()
        cached.ask(*range(SLICE_ROWS + 1))
        cached.work()
    assert (len(cached.calls), cached.asked("bypassed")) == (4, 4)


def test_a_full_queue_refuses_what_is_no_hit_and_leaves_no_flight(cached: Cached) -> None:
    cached.ask(1)
    cached.work()
    cached.ask(98)
    cached.ask(*[99] * 100)
    with pytest.raises(errors.Overloaded):
        cached.ask(2)
    assert cached.ask(1).future.result() == [10]
    cached.work()
    second = cached.ask(2)
    cached.work()
    assert second.future.result() == [20]


def test_a_hit_is_given_to_what_counts_drift(cached: Cached) -> None:
    cached.ask(1, 2)
    cached.work()
    cached.ask(1, 2)
    (hit,) = cached.kept
    assert (hit.parts[0].rows, hit.parts[0].start, hit.outcomes, hit.count) == ([1, 2], 0, ([10, 20],), 2)


class CachedInOrder(Cached, Ordered):
    """A front with a batcher of priorities behind it, which is busy with row 0."""

    def __init__(self) -> None:
        super().__init__(max_rows=1)
        self.ask(0)

    def ask(
        self, *rows: int, deadline: float | None = None, spilled: bool = False, priority: int | None = None
    ) -> batching.Ticket:
        ticket = self.front.submit(ranked(rows, priority, LEVELS), 1, deadline, spilled)
        self.loop.settle()
        return ticket


def test_with_a_cache_too_the_nearer_deadline_is_served_first() -> None:
    cached = CachedInOrder()
    cached.ask(1)
    cached.ask(2, deadline=9.0)
    cached.ask(3, deadline=5.0)
    cached.work()
    assert cached.calls == [[0], [3], [2], [1]]


def test_a_request_does_not_wait_for_an_equal_one_of_another_priority() -> None:
    cached = CachedInOrder()
    cached.ask(1)
    cached.ask(2)
    urgent, shared = cached.ask(2, priority=1), cached.ask(2, priority=1)
    cached.work()
    assert cached.calls == [[0], [2], [1], [2]]
    assert urgent.future.result() == shared.future.result() == [20]
    assert cached.front._flights == {}


class Colliding(bytes):
    """A key whose hash is that of every other."""

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return bytes.__eq__(self, other) is True


class CollidingKeys(Keys):
    def of(self, rows: Sequence[Any]) -> bytes | None:
        found = super().of(rows)
        return found and Colliding(found)


def test_keys_with_the_same_hash_are_no_hit(cached: Cached) -> None:
    cached.front._keys = CollidingKeys("m", "1")
    for row in (1, 2, 3, 1, 2, 3):
        ticket = cached.ask(row)
        cached.work()
        assert ticket.future.result() == [row * 10]
    assert cached.asked("hit") == 3


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.lists(st.sampled_from([1, 2, 3, POISON]), min_size=1, max_size=3), st.none()),
        st.tuples(st.just("ask"), st.lists(st.integers(1, 3), min_size=1, max_size=2), st.floats(0.1, 3)),
        st.tuples(st.just("leave"), st.integers(0, 20), st.none()),
        st.tuples(st.just("work"), st.none(), st.none()),
        st.tuples(st.just("pass"), st.floats(0.1, 3), st.none()),
    ),
    max_size=40,
)


@given(STEPS)
@settings(max_examples=150, deadline=None)
def test_cached_equals_uncached_for_every_order_of_requests_failures_and_departures(steps: list[Any]) -> None:
    cached = Cached(ttl_s=2.0, max_rows=3)
    tickets: list[tuple[list[int], batching.Ticket]] = []
    for step, what, limit in steps:
        if step == "ask":
            deadline = None if limit is None else cached.loop.now + limit
            tickets.append((what, cached.ask(*what, deadline=deadline)))
        elif step == "leave" and what < len(tickets) and not tickets[what][1].future.done():
            cached.front.give_up(tickets[what][1], "disconnected")
        elif step == "work" and cached.workers.jobs:
            cached.workers.work()
        elif step == "pass":
            cached.loop.pass_time(what)
        cached.loop.settle()
    cached.work()
    for rows, ticket in tickets:
        assert ticket.future.done()
        if ticket.future.cancelled():
            continue
        if error := ticket.future.exception():
            assert isinstance(error, errors.DeadlineExceeded) or POISON in rows
        else:
            assert ticket.future.result() == [row * 10 for row in rows]
    assert (cached.batcher.queued_rows, cached.batcher.queued_bytes, cached.front._flights) == (0, 0, {})
