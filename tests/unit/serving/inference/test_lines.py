from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.serving.inference import lines
from fairlead.serving.inference.batching import Limits, Ticket
from fairlead.serving.inference.lines import LINES, PATIENCE_S, OrderedBatcher, Ranked, ranked
from unit.serving.inference.test_batching import POISON, Harness

LEVELS = 3


class Ordered(Harness):
    """A row's shape is its number of tens. The model fails for rows of several shapes in one call."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(**limits)
        defaults = {"max_rows": 8, "max_wait_s": 0.0, "queue_rows": 100, "queue_bytes": 1000}
        limits.pop("threads", None)
        self.batcher = OrderedBatcher(
            self.compute,
            self.workers,
            Limits(**(defaults | limits)),
            loop=self.loop,
            clock=lambda: self.loop.now,
            meter=self.meter,
            owner=self,
            of=lambda rows: Counter(row // 10 for row in rows).most_common()[0][0] % LINES,
            levels=LEVELS,
        )

    def compute(self, rows: list[int]) -> list[int]:
        assert len({row // 10 for row in rows if row != POISON}) <= 1
        return super().compute(rows)

    def ask(self, *rows: int, priority: int | None = None, deadline: float | None = None) -> Ticket:
        given = list(rows) if priority is None else ranked(rows, priority, LEVELS)
        ticket = self.batcher.submit(given, 1, deadline)
        self.loop.settle()
        return ticket


@pytest.fixture
def harness() -> Ordered:
    """The model is busy with row 0."""
    harness = Ordered()
    harness.ask(0)
    return harness


def test_a_call_has_rows_of_one_shape_and_each_shape_is_full(harness: Ordered) -> None:
    tickets = [harness.ask(row) for row in (11, 21, 12, 22, 13, 31)]
    harness.work()
    assert harness.calls == [[0], [11, 12, 13], [21, 22], [31]]
    assert [one.future.result() for one in tickets] == [[110], [210], [120], [220], [130], [310]]


def test_a_rare_shape_waits_for_its_turn_and_not_for_all_of_another() -> None:
    harness = Ordered(max_rows=2)
    harness.ask(0)
    for row in (11, 12, 21, 13, 14, 15, 16):
        harness.ask(row)
    harness.work()
    assert harness.calls[1:3] == [[11, 12], [21]]


def test_the_better_priority_is_served_first_and_none_is_the_last(harness: Ordered) -> None:
    for row, priority in ((11, None), (21, 3), (31, 2), (41, 1), (51, 0)):
        harness.ask(row, priority=priority)
    harness.work()
    assert harness.calls == [[0], [41], [31], [11], [21], [51]]


def test_of_one_priority_the_first_deadline_is_served_first(harness: Ordered) -> None:
    for row, deadline in ((11, None), (21, 9.0), (31, 3.0), (41, PATIENCE_S + 1)):
        harness.ask(row, deadline=deadline)
    harness.work()
    assert harness.calls == [[0], [31], [21], [11], [41]]


def test_rows_of_a_better_priority_come_first_in_a_call_too() -> None:
    harness = Ordered(max_rows=2)
    harness.ask(0)
    for row, priority in ((1, 3), (2, 3), (3, 1)):
        harness.ask(row, priority=priority)
    harness.work()
    assert harness.calls == [[0], [3, 1], [2]]


def test_a_request_of_the_last_priority_is_not_kept_waiting_for_ever() -> None:
    harness = Ordered(max_rows=1)
    harness.ask(0)
    late = harness.ask(1, priority=3)
    for _ in range(30):  # as fast as the model
        harness.ask(2, priority=1)
        harness.loop.pass_time(1.0)
        if late.future.done():
            break
        harness.workers.work()
    assert late.future.done()
    assert PATIENCE_S <= harness.loop.now <= PATIENCE_S + 3


def test_the_rest_of_a_large_request_lets_small_ones_go_first() -> None:
    harness = Ordered(max_rows=2)
    harness.ask(0)
    large = harness.ask(1, 2, 3, 4, 5)
    harness.ask(6)
    harness.work()
    assert harness.calls == [[0], [1, 2], [6], [3, 4], [5]]
    assert large.future.result() == [10, 20, 30, 40, 50]


def test_requests_that_were_dropped_are_no_line(harness: Ordered) -> None:
    gone = [harness.ask(row) for row in (11, 21)]
    for ticket in gone:
        harness.batcher.give_up(ticket, "disconnected")
    harness.ask(31)
    harness.work()
    assert (harness.calls, harness.batcher.queued_rows) == ([[0], [31]], 0)


@pytest.mark.parametrize("asked", [-1, LEVELS + 1, 1.0, True, "1"])
def test_a_priority_that_there_is_not_is_invalid(asked: Any) -> None:
    with pytest.raises(errors.Invalid, match="from 1, which is served first, to 3"):
        ranked([1], asked, LEVELS)


def test_only_inputs_whose_size_may_differ_between_rows_have_lines() -> None:
    def of(*shapes: tuple[int, ...]) -> lines.LineOf | None:
        tensors = [{"name": f"t{n}", "datatype": "FP32", "shape": shape} for n, shape in enumerate(shapes)]
        artifact = {"path": "a.onnx", "sha256": "0" * 64}
        return lines.line_of(
            Manifest.model_validate(
                {
                    "name": "m",
                    "version": "1",
                    "format": "onnx",
                    "artifact": artifact,
                    "inputs": tensors,
                    "outputs": tensors,
                }
            )
        )

    class Row:
        def __init__(self, t0: Any, t1: Any = 0) -> None:
            self.t0, self.t1 = t0, t1

    assert of((-1,), (-1, 3)) is None
    by_shape = of((-1, -1, 2), (-1,))
    assert by_shape is not None
    short, long = Row([[1, 2]]), Row([[1, 2], [3, 4]], 5)
    assert by_shape([short]) == by_shape([Row([[7, 8]], 9)]) == by_shape([short, short])
    assert len({by_shape([short]), by_shape([long]), by_shape([short, long])}) == 3
    assert 0 <= by_shape([long]) < LINES


ASKED = st.tuples(
    st.lists(st.integers(0, 9), min_size=1, max_size=5),
    st.integers(0, 4),
    st.none() | st.integers(0, LEVELS),
    st.none() | st.floats(0.001, 0.01),
    st.booleans(),
)
STEPS = st.lists(
    st.one_of(
        ASKED.map(lambda asked: ("ask", asked)),
        st.tuples(st.just("leave"), st.integers(0, 30)),
        st.tuples(st.just("work"), st.none()),
        st.tuples(st.just("time"), st.floats(0.001, 6)),
    ),
    max_size=40,
)


class RandomClients:
    """Clients of random requests; `check` compares what each of them got."""

    def __init__(self, harness: Ordered) -> None:
        self._harness = harness
        self._asked: list[tuple[list[int], Ticket]] = []

    def act(self, step: str, what: Any) -> None:
        harness = self._harness
        match step:
            case "ask":
                self._ask(*what)
            case "leave" if what < len(self._asked) and not self._asked[what][1].future.done():
                harness.batcher.give_up(self._asked[what][1], "disconnected")
            case "work" if harness.workers.jobs:
                harness.workers.work()
            case "time":
                harness.loop.pass_time(what)

    def _ask(self, digits: list[int], shape: int, priority: int | None, left: float | None, is_poisoned: bool) -> None:
        rows = [10 * shape + digit for digit in digits]
        if is_poisoned:
            rows[0] = POISON
        deadline = None if left is None else self._harness.loop.now + left
        try:
            self._asked.append((rows, self._harness.ask(*rows, priority=priority, deadline=deadline)))
        except errors.Overloaded:
            assert self._harness.batcher.queued_rows + len(rows) > 100

    def check(self) -> None:
        for rows, ticket in self._asked:
            assert ticket.future.done()
            if ticket.future.cancelled():
                continue
            match ticket.future.exception():
                case None:
                    assert ticket.future.result() == [row * 10 for row in rows]
                case errors.ModelFailed():
                    assert POISON in rows
                case other:
                    assert isinstance(other, errors.DeadlineExceeded)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.integers(1, 5), st.sampled_from([0.0, 0.002]), st.integers(1, 3))
def test_batched_equals_unbatched_for_every_shape_priority_deadline_failure_and_departure(
    steps: list[tuple[str, Any]], max_rows: int, wait: float, threads: int
) -> None:
    harness = Ordered(max_rows=max_rows, max_wait_s=wait, threads=threads)
    clients = RandomClients(harness)
    for step, what in steps:
        clients.act(step, what)
    harness.loop.pass_time(1)
    harness.work()
    clients.check()
    assert (harness.batcher.queued_rows, harness.batcher.queued_bytes) == (0, 0)
    assert all(len(call) <= max_rows for call in harness.calls)


def test_rows_keep_their_priority() -> None:
    assert [ranked([1], asked, 3).priority for asked in (1, 2, 3, 0, None)] == [0, 1, 2, 2, 2]
    assert Ranked([1, 2]) == [1, 2]
