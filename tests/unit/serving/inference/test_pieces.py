"""A large list of rows that is decoded in pieces means what it means as a whole, and has the same errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from fairlead.errors import Invalid
from fairlead.serving.formats.strict import strict
from fairlead.serving.http import json_protocols
from fairlead.serving.inference import contract, pieces

MAX_ROWS = 60


class Inner(BaseModel):
    """An object in a row."""

    text: str = ""
    lists: list[list[int]] = []


class Row(BaseModel):
    """A number, a text, and objects in a list."""

    n: int = Field(ge=0)
    text: str = ""
    inner: list[Inner] = []


class Pair(BaseModel):
    """Two numbers, which may be sent as a list."""

    a: float
    b: float


ROWS, PAIRS = (contract.Contract(strict(row), Row, MAX_ROWS) for row in (Row, Pair))
TEXTS = st.text(st.sampled_from('a"\\[]{},: \n\u00e9'), max_size=8)
INNER = st.fixed_dictionaries({"text": TEXTS, "lists": st.lists(st.lists(st.integers(0, 9), max_size=2), max_size=2)})
GOOD = st.fixed_dictionaries({"n": st.integers(0, 9), "text": TEXTS, "inner": st.lists(INNER, max_size=2)})
PUT = [*',"[]{}x\\', ""]
BAD = st.sampled_from([{"n": -1}, {"n": 1, "unknown": 1}, {}, 3, None, [1], {"n": 1, "inner": [{"text": 3}]}, []])


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "PIECE_BYTES", 40)


def decoders(terms: contract.Contract) -> Iterator[tuple[Any, Any, str]]:
    """For each protocol with rows: decoding in pieces, decoding as a whole, and what is around a list of rows."""
    yield lambda body: json_protocols.plain(terms)(body).rows, terms.decode_many, "%s"
    v1 = lambda body: json_protocols.kserve_v1(terms)(body).rows  # noqa: E731
    yield v1, terms.decode_instances, '{"instances": %s}'
    yield v1, terms.decode_instances, '{"signature_name": "a[{", "instances":%s }\n'


def outcome(decode: Any, body: bytes) -> Any:
    try:
        return decode(body)
    except Invalid as problem:
        first = problem.details[0]
        return first.loc, first.type, problem.message.partition(" (and ")[0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(GOOD, max_size=20), wrong=st.lists(BAD, max_size=1), indent=st.sampled_from([None, 1]))
def test_rows_and_their_first_error_are_those_of_the_whole(rows: list[Any], wrong: list[Any], indent: Any) -> None:
    place = len(rows) // 2
    text = json.dumps([*rows[:place], *wrong, *rows[place:]], indent=indent)
    for in_pieces, whole, around in decoders(ROWS):
        body = (around % text).encode()
        assert outcome(in_pieces, body) == outcome(whole, body)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(GOOD, min_size=5, max_size=12), cut=st.integers(1, 400), put=st.sampled_from(PUT))
def test_what_is_no_json_is_refused_at_the_same_place(rows: list[Any], cut: int, put: str) -> None:
    text = json.dumps(rows, indent=1)
    for in_pieces, whole, around in decoders(ROWS):
        body = around % text
        changed = (body[: cut % len(body)] + put + body[cut % len(body) + 1 :]).encode()
        found, wanted = outcome(in_pieces, changed), outcome(whole, changed)
        if isinstance(wanted, list) or found[1] == "json_invalid":
            assert found == wanted
        else:  # the whole is read first as JSON, and a piece before the wrong place has an error of its own
            assert isinstance(found, tuple)


def test_a_quote_too_many_is_refused_where_the_whole_body_refuses_it() -> None:
    rows = [{"n": 0, "text": "", "inner": []}] * 5 + [{"n": 0, "text": "]}", "inner": []}]
    text = json.dumps(rows, indent=1)
    changed = (text[:49] + '"' + text[50:]).encode()
    for in_pieces, whole, around in decoders(ROWS):
        if around == "%s":
            assert outcome(in_pieces, changed) == outcome(whole, changed)


def test_a_wrong_character_far_down_is_refused_at_its_line_and_column() -> None:
    text = json.dumps([{"n": 1, "text": "a [{ b"}] * 20, indent=1)
    for in_pieces, whole, around in decoders(ROWS):
        body = (around % text.replace('"n": 1', '"n": x', 18).replace('"n": x', '"n": 1', 17)).encode()
        found = outcome(in_pieces, body)
        assert found == outcome(whole, body)
        assert "expected value at line 71 column 8" in found[2]


def test_the_rows_may_be_lists_and_objects_by_turns() -> None:
    rows = [[1, 2], {"a": 3, "b": 4}, [5, 6]] * 10
    for in_pieces, whole, around in decoders(PAIRS):
        body = (around % json.dumps(rows)).encode()
        assert in_pieces(body) == whole(body)


def test_a_key_that_occurs_twice_is_found_in_the_last_row() -> None:
    rows = b'{"n": 1, "text": "a long text of a row"},' * 10
    for in_pieces, _, around in decoders(ROWS):
        body = around.encode() % (b"[%b" % rows + b'{"n": 1, "n": 2}]')
        loc, kind, _ = outcome(in_pieces, body)
        assert (loc[-2:], kind) == ((10, "n"), "duplicate_key")


def test_too_many_rows_are_refused_before_any_is_read() -> None:
    for in_pieces, _, around in decoders(ROWS):
        loc, kind, message = outcome(in_pieces, (around % json.dumps([3] * (MAX_ROWS + 1))).encode())
        assert (kind, message) == ("too_long", f"{'.'.join(loc)}: List should have at most 60 items, not 61")


def test_a_piece_is_not_longer_than_its_limit_unless_one_row_is() -> None:
    body = json.dumps([{"n": number, "text": "x" * (number % 7) * 10} for number in range(50)]).encode()
    rows = pieces.find_rows(body)
    assert rows is not None
    found = list(rows.pieces())
    assert b",".join(body[begin:end] for _, begin, end in found) == body[1:-1]
    for (first, begin, end), (after, _, _) in zip(found, found[1:], strict=False):
        assert end - begin <= pieces.PIECE_BYTES or after == first + 1
        assert len(json.loads(b"[" + body[begin:end] + b"]")) == after - first
