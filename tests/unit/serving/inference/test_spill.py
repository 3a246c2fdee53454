"""Requests that were routed to another version: they never share a call with own ones, and their time is limited."""

from __future__ import annotations

import itertools
import random

import pytest

from fairlead import errors
from fairlead.serving.inference import batching
from unit.serving.inference.test_batching import Harness

OWN_MS, SLOW_MS = 2, 5000
SHARE = 0.1


class Timed(Harness):
    """A row is the number of milliseconds that the model takes for it. `started` has when each call began."""

    def __init__(self, **limits: object) -> None:
        self.started: list[float] = []
        super().__init__(**{"spill_share": SHARE, "max_rows": 1, **limits})

    def compute(self, rows: list[int]) -> list[int]:
        self.started.append(self.loop.now)
        self.loop.now += sum(rows) / 1000
        return super().compute(rows)

    def spill(self, *rows: int) -> batching.Ticket:
        self.batcher.check_spill()
        ticket = self.batcher.submit(rows, 1, None, spilled=True)
        self.loop.settle()
        return ticket

    def is_refused(self) -> bool:
        try:
            self.batcher.check_spill()
        except errors.SpillRefused:
            return True
        return False

    def own_calls(self) -> None:
        for _ in range(20):
            self.submit(OWN_MS)
            self.work()


@pytest.fixture
def timed() -> Timed:
    harness = Timed()
    harness.own_calls()
    return harness


def test_rows_of_own_and_of_spilled_requests_are_never_in_one_call() -> None:
    harness = Harness()
    harness.submit(0)
    for row in range(1, 7):
        harness.batcher.submit([row], 1, None, spilled=row % 2 == 0)
    harness.loop.settle()
    harness.work()
    assert harness.calls == [[0], [1, 3, 5], [2], [4, 6]]


def test_slow_bodies_that_arrive_together_are_not_in_one_call() -> None:
    harness = Timed(max_rows=64)
    harness.own_calls()
    tickets = [harness.batcher.submit([SLOW_MS], 1, None, spilled=True) for _ in range(8)]
    harness.loop.settle()
    harness.work()
    assert harness.calls[20:] == [[SLOW_MS]]
    assert all(isinstance(one.future.exception(), errors.SpillRefused) for one in tickets[1:])


def test_calls_of_ordinary_spill_become_as_large_as_those_of_own_requests() -> None:
    harness = Timed(max_rows=64, queue_rows=200)
    harness.own_calls()
    for _ in range(200):
        harness.batcher.submit([OWN_MS], 1, None, spilled=True)
    harness.loop.settle()
    harness.work()
    assert [len(call) for call in harness.calls[20:]] == [1, 2, 4, 8, 16, 32, 64, 64, 9]


def test_own_and_spilled_requests_are_answered_in_the_order_in_which_the_oldest_came() -> None:
    harness = Harness(max_rows=1)
    harness.submit(0)
    for row in range(1, 5):
        harness.loop.now += 1
        harness.batcher.submit([row], 1, None, spilled=row in (1, 4))
    harness.loop.settle()
    harness.work()
    assert harness.calls == [[0], [1], [2], [3], [4]]


def test_spill_that_takes_as_long_as_own_requests_is_never_refused(timed: Timed) -> None:
    for _ in range(5000):
        timed.spill(OWN_MS)
        timed.work()
    assert not timed.is_refused()


@pytest.mark.parametrize("usual_ms", [2, 50, 1000])
def test_spill_whose_time_varies_as_that_of_own_requests_is_hardly_ever_refused(usual_ms: int) -> None:
    harness, refused, draw = Timed(), 0, random.Random(1)
    for _ in range(5000):
        harness.submit(1 + int(draw.expovariate(1 / usual_ms)))
        harness.work()
        if harness.is_refused():
            refused += 1
        else:
            harness.spill(1 + int(draw.expovariate(1 / usual_ms)))
            harness.work()
    assert refused <= 25


def test_after_a_slow_call_spill_is_refused_until_its_share_of_the_time_has_made_up_for_it(timed: Timed) -> None:
    timed.spill(SLOW_MS)
    timed.work()
    with pytest.raises(errors.SpillRefused, match="did not answer it") as refused:
        timed.batcher.check_spill()
    overdrawn_s = SLOW_MS / 1000 - 1
    assert refused.value.retry_after_s == pytest.approx(overdrawn_s / SHARE, abs=1)
    timed.loop.pass_time(overdrawn_s / SHARE - 0.5)
    assert timed.is_refused()
    timed.loop.pass_time(1)
    assert not timed.is_refused()
    assert timed.metric('fairlead_model_rejected_total{model="m",reason="spill"') == 2


def test_a_slow_call_counts_while_it_runs(timed: Timed) -> None:
    timed.spill(SLOW_MS)
    timed.loop.pass_time(0.9)
    assert not timed.is_refused()
    timed.loop.pass_time(0.2)
    assert timed.is_refused()


def test_slow_calls_take_no_more_than_the_share_and_one_call(timed: Timed) -> None:
    began = timed.loop.now
    for _ in range(3000):
        timed.loop.pass_time(0.1)
        if not timed.is_refused():
            timed.spill(SLOW_MS)
        timed.work()
    took = sum(itertools.chain(*timed.calls[20:])) / 1000
    assert took <= SHARE * (timed.loop.now - began) + SLOW_MS / 1000 + 1


def test_requests_that_wait_behind_a_slow_one_are_refused_and_own_ones_answered(timed: Timed) -> None:
    slow, behind = timed.spill(SLOW_MS), timed.spill(SLOW_MS)
    own = timed.submit(OWN_MS)
    timed.work()
    assert (slow.future.result(), own.future.result()) == ([10 * SLOW_MS], [10 * OWN_MS])
    assert isinstance(behind.future.exception(), errors.SpillRefused)
    assert (timed.batcher.queued_rows, timed.batcher.queued_bytes) == (0, 0)


def test_requests_that_wait_behind_a_slow_one_are_refused_while_it_still_runs(timed: Timed) -> None:
    timed.spill(SLOW_MS)
    behind, own = timed.spill(OWN_MS), timed.submit(OWN_MS)
    timed.loop.pass_time(2)
    timed.batcher.check_calls()
    assert isinstance(behind.future.exception(), errors.SpillRefused)
    assert not own.future.done()


def test_spilled_rows_of_a_large_request_cost_what_own_rows_cost() -> None:
    harness = Timed(max_rows=64, queue_rows=200)
    harness.own_calls()
    for _ in range(200):
        harness.spill(*[OWN_MS] * 64)
        harness.work()
    assert not harness.is_refused()


def test_before_the_first_own_call_nothing_is_slow() -> None:
    harness = Timed()
    harness.spill(SLOW_MS)
    harness.work()
    assert not harness.is_refused()


def test_with_a_share_of_one_nothing_is_refused() -> None:
    harness = Timed(spill_share=1.0)
    harness.own_calls()
    for _ in range(3):
        harness.spill(SLOW_MS)
        harness.work()


def test_with_more_threads_the_budget_is_a_share_of_the_time_of_all(timed: Timed) -> None:
    several = Timed(threads=4)
    several.own_calls()
    for harness in (timed, several):
        harness.spill(SLOW_MS)
        harness.work()
    several.loop.pass_time(1 / SHARE)
    assert not several.is_refused()
    timed.loop.pass_time(1 / SHARE)
    assert timed.is_refused()


def test_while_the_model_hangs_spilled_requests_get_the_same_error_as_own_ones() -> None:
    harness = Timed(call_s=60)
    harness.submit(1)
    behind = harness.spill(1)
    harness.loop.pass_time(61)
    harness.batcher.check_calls()
    assert isinstance(behind.future.exception(), errors.NotReady)
