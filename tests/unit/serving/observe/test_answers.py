"""The ring of answer records: bounded, ordered, counts lost records, and holds no inputs."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from fairlead.contracts.answers import Page, checksum, checksum_label
from fairlead.serving.app import App
from fairlead.serving.observe.answers import MAX_CLASSES, MAX_LABELS, OTHER, PAGE_SIZE, RECORD, AnswerRecords
from fairlead.serving.observe.compared_fields import Reader
from support.small_models import ask, ask_fast_path, running

CAPACITY = 8
Send = Callable[[App, str, bytes, dict[str, str]], Awaitable[object]]


class Answer(BaseModel):
    label: str
    score: float | None = None


def ring(capacity: int = CAPACITY) -> AnswerRecords:
    return AnswerRecords(Reader(Answer), capacity * RECORD.size)


def request_id(number: int) -> bytes:
    """A request id in the form that the gateway makes."""
    return str(uuid.UUID(int=number)).encode()


def add(records: AnswerRecords, number: int, label: str = "a", score: float | None = 0.5) -> None:
    records.add(request_id(number), 200, [Answer(label=label, score=score)], shadow=False, record=True)


def first_page(records: AnswerRecords) -> Page:
    """The page that a reader gets on its first request."""
    return records.page("", 0)


def test_a_new_reader_starts_at_the_end_and_gets_later_answers() -> None:
    records = ring()
    add(records, 1)
    first = first_page(records)
    assert (first.answers, first.next, first.lost) == ([], 1, 0)
    add(records, 2, "b", None)
    page = records.page(first.epoch, first.next)
    assert page.answers == [(uuid.UUID(int=2).hex, "b", None, 200, False)]
    assert records.page(page.epoch, page.next).answers == []


@given(st.lists(st.integers(0, 3 * CAPACITY), max_size=12))
def test_every_answer_is_returned_once_or_counted_as_lost(bursts: list[int]) -> None:
    records = ring()
    page, seen, lost, number = first_page(records), list[str](), 0, 0
    for burst in bursts:
        for _ in range(burst):
            add(records, number)
            number += 1
        page = records.page(page.epoch, page.next)
        seen += [one[0] for one in page.answers]
        lost += page.lost
        assert records.size == CAPACITY * RECORD.size
    assert len(seen) == len(set(seen)) == number - lost
    assert seen == sorted(seen)
    assert lost == sum(max(0, burst - CAPACITY) for burst in bursts)


@given(st.text(max_size=40), st.integers(0, 10**6))
def test_a_cursor_with_another_epoch_starts_at_the_oldest_record_and_without_an_epoch_at_the_end(
    epoch: str, after: int
) -> None:
    records = ring()
    for number in range(20):
        add(records, number)
    page = records.page(epoch, after)
    assert page.epoch != epoch
    assert len(page.answers) == (CAPACITY if epoch else 0)
    assert page.lost == (20 - CAPACITY if epoch else 0)


def test_a_cursor_beyond_the_end_gets_an_empty_page_and_the_end() -> None:
    records = ring()
    add(records, 1)
    page = records.page(first_page(records).epoch, 99)
    assert (page.answers, page.next, page.lost) == ([], 1, 0)


def test_a_long_ring_is_returned_in_pages() -> None:
    records = ring(PAGE_SIZE + 10)
    epoch = first_page(records).epoch
    for number in range(PAGE_SIZE + 5):
        add(records, number)
    first = records.page(epoch, 0)
    last = records.page(epoch, first.next)
    assert (len(first.answers), first.more, len(last.answers), last.more) == (PAGE_SIZE, True, 5, False)


@pytest.mark.parametrize(
    "bad", [b"", b"one", b"0" * 32, b"g" * 36, b"-" * 36, b"00000000-0000-4000-8000-00000000000\xff"]
)
def test_an_id_that_the_gateway_did_not_make_is_ignored(bad: bytes) -> None:
    records = ring()
    records.add(bad, 200, [Answer(label="a")], shadow=False, record=True)
    assert first_page(records).next == 0
    assert first_page(records).classes == {}


def test_classes_are_counted_for_live_requests_and_not_for_mirrored_ones() -> None:
    records = ring()
    for number, shadow in ((1, False), (2, False), (3, True)):
        records.add(request_id(number), 200, [Answer(label="a")], shadow=shadow, record=False)
    assert first_page(records).classes == {"a": 2}
    assert first_page(records).next == 0  # counted, not recorded


def test_classes_beyond_the_maximum_are_counted_as_other() -> None:
    records = ring()
    for number in range(MAX_CLASSES + 5):
        add(records, number, f"class {number}")
    classes = first_page(records).classes
    assert len(classes) == MAX_CLASSES + 1
    assert classes[OTHER] == 5


def test_labels_beyond_the_maximum_are_returned_as_checksums() -> None:
    records = ring()
    for number in range(MAX_LABELS + 1):
        add(records, number, f"label {number}")
    labels = records.page(first_page(records).epoch, MAX_LABELS - 1).answers
    assert [one[1] for one in labels] == [f"label {MAX_LABELS - 1}", checksum_label(checksum(f"label {MAX_LABELS}"))]


@given(st.integers(0, 2**128 - 1), st.integers(1, 50))
def test_of_several_rows_every_version_records_the_same_one(number: int, count: int) -> None:
    records, other = ring(), ring()
    rows = [Answer(label=str(at)) for at in range(count)]
    for each in (records, other):
        each.add(request_id(number), 200, rows, shadow=False, record=True)
    labels = [each.page(first_page(each).epoch, 0).answers[0][1] for each in (records, other)]
    assert labels[0] == labels[1]


def test_an_answer_without_rows_is_recorded_with_its_status() -> None:
    records = ring()
    records.add(request_id(1), 500, [], shadow=True, record=True)
    assert records.page(first_page(records).epoch, 0).answers == [(uuid.UUID(int=1).hex, None, None, 500, True)]


def test_a_ring_of_size_0_records_nothing_but_counts_classes() -> None:
    records = ring(0)
    add(records, 1)
    page = first_page(records)
    assert (page.next, page.classes) == (0, {"a": 1})


def test_the_fast_path_and_the_asgi_path_write_to_the_same_ring() -> None:
    body, bad = b'{"x": 1.0, "kind": "b"}', b'{"x": 13.0}'

    async def check(app: App) -> None:
        paths: tuple[Send, ...] = (ask_fast_path, _by_asgi)
        for number, send in enumerate(paths):
            for at, sent in enumerate((body, bad, b'{"y": 1}')):
                headers = {"x-request-id": request_id(10 * number + at).decode(), "x-keep-answer": "record"}
                await send(app, "/predict", sent, headers)
        records = app.answers.page(first_page(app.answers).epoch, 0).answers
        assert [one[1:] for one in records] == [
            (None, 2.0, 200, False),
            (None, None, 500, False),
            (None, None, 422, False),
        ] * 2

    async def inside() -> None:
        async with running() as app:
            await check(app)

    asyncio.run(inside())


def test_only_requests_with_the_keep_header_are_recorded_and_mirrored_ones_are_marked() -> None:
    async def inside() -> None:
        async with running() as app:
            await ask_fast_path(app, "/predict", b'{"x": 1.0}', {"x-request-id": request_id(1).decode()})
            assert first_page(app.answers).next == 0
            copy = {"x-request-id": request_id(2).decode(), "x-keep-answer": "record", "x-shadow-of": "adder"}
            await ask_fast_path(app, "/predict", b'{"x": 1.0}', copy)
            reply = await ask(app, "GET", "/answers")
            page = Page.model_validate_json(reply.body)
            assert page.next == 1
            assert page.classes == {}
            assert app.answers.page(page.epoch, 0).answers[0][4] is True

    asyncio.run(inside())


async def _by_asgi(app: App, path: str, body: bytes, headers: dict[str, str]) -> None:
    await ask(app, "POST", path, body, headers)
