"""Memory and numbers that several workers share. In these tests all workers are in one process."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from fairlead.serving.observe.answers import RECORD, AnswerRecords, memory_for
from fairlead.serving.observe.board import Board
from fairlead.serving.observe.compared_fields import Reader
from fairlead.serving.observe.counts import Counts
from fairlead.serving.observe.metrics import Metrics
from fairlead.serving.observe.process_metrics import ProcessMetrics
from fairlead.serving.observe.shared_memory import WORKER_BYTES, SharedMemory, Text

WORKERS = 3


def of_each(memory: SharedMemory) -> list[SharedMemory]:
    """The memory as each worker has it after the fork."""
    found = []
    for number in range(memory.workers):
        one = copy.copy(memory)
        one.own = number
        found.append(one)
    return found


def of_one(memory: SharedMemory, number: int) -> SharedMemory:
    return of_each(memory)[number]


EVENTS = st.lists(st.tuples(st.integers(0, WORKERS - 1), st.sampled_from(["a", "b", "", "ä\0"]), st.integers(0, 9)))


@given(EVENTS, st.sets(st.integers(0, 50)))
def test_totals_are_the_sums_over_workers_also_when_workers_are_replaced(
    events: Sequence[tuple[int, str, int]], replaced_before: set[int]
) -> None:
    memory = SharedMemory(WORKERS)
    workers = [Counts(one, 8, 10) for one in of_each(memory)]
    expected: dict[str, float] = {}
    for at, (worker, name, more) in enumerate(events):
        if at in replaced_before:
            workers[worker] = Counts(of_one(memory, worker), 8, 10)
        workers[worker].add(name, more)
        expected[name] = expected.get(name, 0) + more
        assert {name: count for name, count in workers[(worker + 1) % WORKERS].totals().items()} == expected


def test_a_name_is_cut_to_its_bytes() -> None:
    counts = Counts(SharedMemory(), 2, 6)
    counts.add("äöüß and more")
    assert counts.totals() == {"äöü": 1}


def test_no_more_names_than_there_are_places_are_counted() -> None:
    counts = Counts(SharedMemory(), 1, 6)
    counts.add("one")
    with pytest.raises(IndexError, match="only 1 places"):
        counts.add("two")


def test_more_than_the_memory_of_a_worker_is_refused() -> None:
    with pytest.raises(MemoryError, match=f"has {WORKER_BYTES} bytes"):
        SharedMemory().array(WORKER_BYTES)


def test_what_a_forked_process_has_written_is_there_after_it_has_ended() -> None:
    memory = SharedMemory(2)
    text = Text(of_one(memory, 0).array(8)[1])
    pid = os.fork()
    if pid == 0:
        text.value = "from the child"
        os._exit(0)
    os.waitpid(pid, 0)
    assert text.value == "from the child"


def value(meter: Metrics, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(meter.text().decode())
    samples = (sample for family in families for sample in family.samples)
    return sum(one.value for one in samples if one.name == name and labels.items() <= one.labels.items())


def test_every_worker_reports_the_counters_histograms_and_levels_of_all() -> None:
    meters = [Metrics("m", "1", Board(one)) for one in of_each(SharedMemory(WORKERS))]
    for number, meter in enumerate(meters, 1):
        meter.in_flight.set_function(lambda number=number: number)  # type: ignore[misc]
        meter.request_answered("predict", 200 + number, number)
        meter.batch_computed(number, 0.1)
        meter.publish()
    for meter in meters:
        assert value(meter, "fairlead_model_requests_total") == WORKERS
        assert value(meter, "fairlead_model_requests_total", code="202") == 1
        assert value(meter, "fairlead_model_request_seconds_sum") == 6
        assert value(meter, "fairlead_model_request_seconds_bucket", le="2.5") == 2
        assert value(meter, "fairlead_model_batch_rows_count") == WORKERS
        assert value(meter, "fairlead_model_in_flight_requests") == 6
        assert meter.totals().batches == WORKERS


def test_the_processor_time_of_an_ended_worker_stays_in_the_sum() -> None:
    memory = SharedMemory(2)
    counts = [Counts(one, 64, 100) for one in of_each(memory)]
    for _ in range(3):  # three workers one after the other, each with the time of this process
        ProcessMetrics(counts[0], shares=True).publish()
    total = counts[1].totals()["process_cpu_seconds_total"]
    assert total > 0
    last = ProcessMetrics(counts[0], shares=True)
    last.publish()
    last.publish()  # not counted twice
    after = counts[1].totals()["process_cpu_seconds_total"]
    assert 4 / 3 * total <= after < 2 * total


class Answer(BaseModel):
    label: str


def test_the_ring_of_all_workers_is_read_from_any_of_them() -> None:
    memory = memory_for(8 * RECORD.size, WORKERS)
    rings = [AnswerRecords(Reader(Answer), 8 * RECORD.size, one) for one in of_each(memory)]
    for number in range(12):
        answer, request = Answer(label=f"class {number % WORKERS}"), f"00000000-0000-0000-0000-{number:012}".encode()
        rings[number % WORKERS].add(request, 200, [answer], shadow=False, record=True)
    pages = [ring.page(memory.epoch, 0) for ring in rings]
    assert pages[0] == pages[1] == pages[2]
    assert (pages[0].lost, pages[0].next) == (4, 12)
    assert [one[1] for one in pages[0].answers] == [f"class {number % WORKERS}" for number in range(4, 12)]
    assert pages[0].classes == {f"class {number}": 4 for number in range(WORKERS)}
