from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import errors
from fairlead.serving.inference import batching
from fairlead.serving.observe.metrics import Metrics

POISON = -1


class StepLoop:
    """A simulated event loop: turns and time advance only when the test calls it."""

    def __init__(self) -> None:
        self.now = 0.0
        self._soon: list[tuple[asyncio.Handle, Callable[..., object], tuple[Any, ...]]] = []
        self._later: list[tuple[float, asyncio.Handle, Callable[..., object], tuple[Any, ...]]] = []

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Any = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self)  # type: ignore[arg-type]
        self._soon.append((handle, callback, args))
        return handle

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self)  # type: ignore[arg-type]
        self._later.append((self.now + delay, handle, callback, args))
        return handle

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)  # type: ignore[arg-type]

    def turn(self) -> None:
        soon, self._soon = self._soon, []
        for handle, callback, args in soon:
            if not handle.cancelled():
                callback(*args)

    def settle(self) -> None:
        while self._soon:
            self.turn()

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        due = [entry for entry in self._later if entry[0] <= self.now]
        self._later = [entry for entry in self._later if entry[0] > self.now]
        for _, handle, callback, args in due:
            if not handle.cancelled():
                callback(*args)
        self.settle()

    def get_debug(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Ignore failed futures whose exception a property test never reads."""


class StepWorkers:
    """Simulated worker threads: a job runs when the test calls `work`."""

    def __init__(self, loop: StepLoop, count: int = 1) -> None:
        self.count = count
        self._loop = loop
        self.jobs: list[tuple[Callable[[], Any], Callable[[Any], None]]] = []

    def submit(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        self.jobs.append((job, done))

    def work(self) -> None:
        job, done = self.jobs.pop(0)
        done(job())
        self._loop.settle()


class Harness:
    """A batcher with simulated loop and workers. `calls` has the batches that the model got."""

    def __init__(self, **limits: Any) -> None:
        self.loop = StepLoop()
        self.workers = StepWorkers(self.loop, limits.pop("threads", 1))
        self.calls: list[list[int]] = []
        self.meter = Metrics("m", "1")
        self.replacement_failure: BaseException | None = None
        self.told: list[tuple[str, str, bool]] = []
        defaults = {"max_rows": 8, "max_wait_s": 0.0, "queue_rows": 100, "queue_bytes": 1000}
        self.batcher = batching.Batcher(
            self.compute,
            self.workers,
            batching.Limits(**(defaults | limits)),
            loop=self.loop,
            clock=lambda: self.loop.now,
            meter=self.meter,
            owner=self,
        )

    def replace_process(self) -> BaseException | None:
        return self.replacement_failure

    def places_changed(self) -> None:
        self.told.append((self.batcher.hanging, self.batcher.replacing, self.batcher.has_place))

    def compute(self, rows: list[int]) -> list[int]:
        self.calls.append(rows)
        if POISON in rows:
            raise ValueError("poison")
        return [row * 10 for row in rows]

    def submit(self, *rows: int, deadline: float | None = None, size: int = 1) -> batching.Ticket:
        ticket = self.batcher.submit(rows, size, deadline)
        self.loop.settle()
        return ticket

    def work(self) -> None:
        while self.workers.jobs:
            self.workers.work()

    def metric(self, line: str) -> float:
        found = [text for text in self.meter.text().decode().splitlines() if text.startswith(line)]
        return float(found[0].rpartition(" ")[2])


@pytest.fixture
def harness() -> Harness:
    return Harness()


def test_an_idle_service_starts_a_batch_at_once(harness: Harness) -> None:
    ticket = harness.submit(1)
    assert len(harness.workers.jobs) == 1
    harness.work()
    assert ticket.future.result() == [10]


def test_requests_that_arrive_in_one_turn_share_a_call(harness: Harness) -> None:
    first = harness.batcher.submit([1], 1)
    second = harness.batcher.submit([2, 3], 1)
    harness.loop.settle()
    harness.work()
    assert harness.calls == [[1, 2, 3]]
    assert (first.future.result(), second.future.result()) == ([10], [20, 30])


def test_while_the_model_is_busy_requests_gather_into_the_next_call(harness: Harness) -> None:
    harness.submit(1)
    for row in (2, 3, 4):
        harness.submit(row)
    harness.work()
    assert harness.calls == [[1], [2, 3, 4]]


def test_a_batch_has_at_most_max_rows_and_does_not_split_a_request_that_fits_in_one() -> None:
    harness = Harness(max_rows=4)
    harness.submit(0)
    for start in (1, 4, 7):
        harness.submit(start, start + 1, start + 2)
    harness.work()
    assert harness.calls == [[0], [1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_a_request_above_max_rows_is_split_and_its_answers_are_joined_in_order() -> None:
    harness = Harness(max_rows=4)
    ticket = harness.submit(*range(10))
    harness.work()
    assert ticket.future.result() == [row * 10 for row in range(10)]
    assert max(len(call) for call in harness.calls) == 4


def test_a_large_request_does_not_block_a_small_one() -> None:
    harness = Harness(max_rows=4)
    large = harness.submit(*range(20))
    small = harness.submit(99)
    for _ in range(3):
        harness.workers.work()
    assert small.future.done()
    assert not large.future.done()
    harness.work()
    assert large.future.result() == [row * 10 for row in range(20)]


def test_a_bad_row_fails_only_its_own_request(harness: Harness) -> None:
    harness.submit(0)
    good, bad, other = harness.submit(1), harness.submit(2, POISON), harness.submit(3)
    harness.work()
    assert (good.future.result(), other.future.result()) == ([10], [30])
    with pytest.raises(errors.ModelFailed) as failure:
        bad.future.result()
    assert isinstance(failure.value.__cause__, ValueError)


def test_a_failed_part_of_a_split_request_drops_the_rest_of_it() -> None:
    harness = Harness(max_rows=2)
    ticket = harness.submit(POISON, 1, 2, 3, 4, 5)
    harness.work()
    assert isinstance(ticket.future.exception(), errors.ModelFailed)
    assert harness.calls == [[POISON, 1]]
    assert (harness.batcher.queued_rows, harness.batcher.queued_bytes) == (0, 0)


def test_even_an_exit_in_the_model_fails_the_request_and_not_the_thread() -> None:
    harness = Harness()
    harness.batcher._compute = lambda rows: exit(1)
    ticket = harness.submit(1)
    harness.work()
    assert isinstance(ticket.future.exception(), errors.ModelFailed)


@pytest.mark.parametrize("limits", [{"queue_rows": 3}, {"queue_bytes": 30}])
def test_a_full_queue_raises_overloaded_with_retry_after(limits: dict[str, int]) -> None:
    harness = Harness(**limits)
    harness.submit(0, size=10)
    harness.submit(1, 2, 3, size=30)
    with pytest.raises(errors.Overloaded) as caught:
        harness.submit(4, size=10)
    assert 1 <= caught.value.retry_after_s <= 60
    assert harness.metric('fairlead_model_rejected_total{model="m",reason="queue_full"') == 1
    harness.work()
    harness.submit(4, size=10)


def test_a_request_whose_deadline_passes_in_the_queue_is_dropped_on_time(harness: Harness) -> None:
    harness.submit(0)
    late = harness.submit(1, deadline=0.5)
    harness.loop.pass_time(0.6)
    assert isinstance(late.future.exception(), errors.DeadlineExceeded)
    assert harness.batcher.queued_rows == 0
    harness.work()
    assert harness.calls == [[0]]
    assert harness.metric('fairlead_model_rejected_total{model="m",reason="deadline"') == 1


def test_a_request_whose_deadline_has_passed_is_not_queued(harness: Harness) -> None:
    harness.loop.now = 2.0
    with pytest.raises(errors.DeadlineExceeded):
        harness.submit(1, deadline=1.0)


def test_a_request_that_started_in_time_is_answered_after_its_deadline(harness: Harness) -> None:
    ticket = harness.submit(1, deadline=0.5)
    harness.loop.pass_time(1.0)
    harness.work()
    assert ticket.future.result() == [10]


def test_a_request_whose_client_has_disconnected_is_dropped_and_counted(harness: Harness) -> None:
    harness.submit(0)
    cancelled = harness.submit(1, 2)
    harness.batcher.give_up(cancelled, "disconnected")
    assert harness.batcher.queued_rows == 0
    harness.work()
    assert harness.calls == [[0]]
    assert harness.metric('fairlead_model_rejected_total{model="m",reason="disconnected"') == 1


def test_a_batch_starts_after_max_wait_or_when_it_is_full() -> None:
    harness = Harness(max_rows=3, max_wait_s=0.010)
    harness.submit(1)
    assert not harness.workers.jobs
    harness.loop.pass_time(0.009)
    assert not harness.workers.jobs
    harness.loop.pass_time(0.002)
    harness.work()
    assert harness.calls == [[1]]
    for row in (2, 3, 4):
        harness.submit(row)
    harness.work()
    assert harness.calls == [[1], [2, 3, 4]]


def test_two_threads_run_two_batches_at_a_time() -> None:
    harness = Harness(threads=2)
    harness.submit(1)
    harness.submit(2)
    harness.submit(3)
    assert len(harness.workers.jobs) == 2
    harness.work()
    assert harness.calls == [[1], [2], [3]]


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.integers(1, 12), st.booleans()),
        st.tuples(st.just("cancel"), st.integers(0, 30), st.booleans()),
        st.tuples(st.just("work"), st.just(0), st.booleans()),
        st.tuples(st.just("turn"), st.just(0), st.booleans()),
        st.tuples(st.just("time"), st.integers(1, 5), st.booleans()),
    ),
    max_size=40,
)


class RandomClients:
    """Clients that submit, cancel and wait at random; `check` compares what each of them got."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.tickets: list[tuple[list[int], batching.Ticket]] = []
        self.spilled: set[int] = set()
        self._next_row = 0

    def act(self, action: str, number: int, flag: bool) -> None:
        if action == "submit":
            self._submit(number, poisoned=flag)
        elif action == "cancel" and self.tickets:
            ticket = self.tickets[number % len(self.tickets)][1]
            if flag:
                ticket.future.cancel()
            else:
                self.harness.batcher.give_up(ticket, "disconnected")
        elif action == "work" and self.harness.workers.jobs:
            self.harness.workers.work()
        elif action == "turn":
            self.harness.loop.turn()
        elif action == "time":
            self.harness.loop.pass_time(number / 1000)

    def _submit(self, count: int, *, poisoned: bool) -> None:
        rows = list(range(self._next_row, self._next_row + count))
        self._next_row += count
        if poisoned:
            rows[count // 2] = POISON
        deadline = self.harness.loop.now + 0.003 if count % 4 == 0 else None
        spilled = count % 3 == 0
        self.spilled |= set(rows) - {POISON} if spilled else set()
        try:
            self.tickets.append((rows, self.harness.batcher.submit(rows, 1, deadline, spilled=spilled)))
        except errors.Overloaded:
            assert self.harness.batcher.queued_rows + count > QUEUE_ROWS

    def check(self) -> None:
        for rows, ticket in self.tickets:
            assert ticket.future.done(), "a request got no result"
            if ticket.future.cancelled():
                continue
            match ticket.future.exception():
                case None:
                    assert ticket.future.result() == [number * 10 for number in rows]
                case errors.ModelFailed():
                    assert POISON in rows
                case other:
                    assert isinstance(other, errors.DeadlineExceeded)


QUEUE_ROWS = 40


@settings(max_examples=150)
@given(actions=ACTIONS, max_rows=st.integers(1, 6), threads=st.integers(1, 3), wait=st.sampled_from([0.0, 0.002]))
def test_every_request_gets_its_own_answers_in_order_regardless_of_others(
    actions: list[tuple[str, int, bool]], max_rows: int, threads: int, wait: float
) -> None:
    harness = Harness(max_rows=max_rows, threads=threads, max_wait_s=wait, queue_rows=QUEUE_ROWS)
    clients = RandomClients(harness)
    for action, number, flag in actions:
        clients.act(action, number, flag)
    harness.loop.pass_time(1)
    harness.work()
    clients.check()
    assert (harness.batcher.queued_rows, harness.batcher.queued_bytes) == (0, 0)
    assert all(len(call) <= max_rows for call in harness.calls)
    of_whom = [{row in clients.spilled for row in call if row != POISON} for call in harness.calls]
    assert all(len(one) <= 1 for one in of_whom)
