from __future__ import annotations

import tracemalloc

import pytest
from pydantic import BaseModel

from fairlead.serving.inference.cache.store import ENTRY_BYTES, Store
from fairlead.serving.inference.process.codec import Codec


class Answer(BaseModel):
    values: list[float]


CODEC = Codec("test_store", Answer)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_answer_is_kept_for_its_time(clock: Clock) -> None:
    store = Store(10**6, 5, CODEC, clock)
    store.put(b"k", [Answer(values=[1.0])])
    clock.now = 4.9
    assert store.get(b"k") == [Answer(values=[1.0])]
    clock.now = 5.0
    assert (store.get(b"k"), store.bytes) == (None, 0)


def test_what_was_not_asked_for_the_longest_goes_first(clock: Clock) -> None:
    store = Store(10 * (ENTRY_BYTES + 100), 5, CODEC, clock)
    for number in range(5):
        store.put(b"%d" % number, [Answer(values=[0.0])])
    assert store.get(b"0")
    for number in range(5, 20):
        store.put(b"%d" % number, [Answer(values=[0.0])])
        assert store.get(b"0")
    assert store.get(b"1") is None


def test_the_memory_of_a_full_store_is_below_its_limit(clock: Clock) -> None:
    limit = 4_000_000
    store = Store(limit, 5, CODEC, clock)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(20_000):
        store.put(b"%d" % number, [Answer(values=[float(number)] * (number % 7))])
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert limit * 0.5 < used < limit
    assert limit * 0.99 < store.bytes <= limit


def test_an_answer_that_would_displace_too_many_is_not_kept(clock: Clock) -> None:
    store = Store(100_000, 5, CODEC, clock)
    store.put(b"k", [Answer(values=[0.5 + n for n in range(5_000)])])
    assert store.get(b"k") is None


def test_an_answer_that_cannot_be_written_is_not_kept(clock: Clock) -> None:
    store = Store(100_000, 5, CODEC, clock)
    store.put(b"k", [lambda: 1])
    assert store.get(b"k") is None


def test_what_a_caller_does_to_an_answer_does_not_change_the_kept_one(clock: Clock) -> None:
    store = Store(100_000, 5, CODEC, clock)
    given = Answer(values=[1.0])
    store.put(b"k", [given])
    given.values.append(2.0)
    got = store.get(b"k")
    assert got == [Answer(values=[1.0])]
    got[0].values.append(3.0)
    assert store.get(b"k") == [Answer(values=[1.0])]


def test_an_answer_that_is_kept_again_takes_its_place_once(clock: Clock) -> None:
    store = Store(100_000, 5, CODEC, clock)
    for value in (1.0, 2.0):
        store.put(b"k", [Answer(values=[value])])
    once = store.bytes
    assert store.get(b"k") == [Answer(values=[2.0])]
    clock.now = 6
    assert (once > 0, store.get(b"k"), store.bytes) == (True, None, 0)
