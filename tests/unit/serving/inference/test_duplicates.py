"""Keys that occur twice in a JSON object."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

import fairlead
from fairlead import errors
from fairlead.serving.formats.strict import strict
from fairlead.serving.inference import contract


class Answer(BaseModel):
    """An answer; no test looks at it."""

    value: float


class Inner(BaseModel):
    """A nested object."""

    a: float


class Nested(BaseModel):
    """Text that may have colons, and a nested object."""

    text: str
    inner: Inner


class Flat(BaseModel):
    """Text without a nested object; b may be left out."""

    a: str
    b: str = ""


def terms(row_type: type[BaseModel]) -> contract.Contract:
    return contract.Contract(strict(row_type), Answer, 10)


class Complete(BaseModel):
    """Fields that must be given; text may have colons."""

    a: str
    b: str


TERMS, FLAT_TERMS, COMPLETE_TERMS = terms(Nested), terms(Flat), terms(Complete)
PIECES = st.sampled_from(["a", "b", ":", '"', "\\", '"a"', "x", "\u2028", "é"])
TEXTS_WITH_KEYS = st.lists(PIECES, max_size=4).map("".join)
KEYS = st.sampled_from(['"a"', '"b"', '"\\u0061"', '"\\u0062"'])


@given(row=st.lists(st.tuples(KEYS, TEXTS_WITH_KEYS), max_size=3), is_list=st.booleans())
def test_a_row_whose_fields_must_all_be_given_is_accepted_exactly_if_no_key_is_twice(
    row: list[tuple[str, str]], is_list: bool
) -> None:
    body = ("{" + ",".join(f"{key}: {json.dumps(text)}" for key, text in row) + "}").encode()
    decode = COMPLETE_TERMS.decode_many if is_list else COMPLETE_TERMS.decode_one
    if sorted(json.loads(key) for key, _ in row) == ["a", "b"]:
        assert len(decode(b"[%b]" % body if is_list else body)) == 1
    else:
        with pytest.raises(errors.Invalid):
            decode(b"[%b]" % body if is_list else body)


@given(rows=st.lists(st.lists(st.tuples(KEYS, TEXTS_WITH_KEYS), max_size=4), min_size=1, max_size=3))
def test_rows_of_text_are_accepted_exactly_if_no_key_is_twice(rows: list[list[tuple[str, str]]]) -> None:
    body = ",".join("{" + ",".join(f"{key}: {json.dumps(text)}" for key, text in row) + "}" for row in rows)
    names = [[json.loads(key) for key, _ in row] for row in rows]
    is_valid = all("a" in row for row in names) and all(len(set(row)) == len(row) for row in names)
    attempts: list[tuple[Callable[[bytes], list[BaseModel]], str]] = [
        (FLAT_TERMS.decode_many, f"[{body}]"),
        (FLAT_TERMS.decode_instances, f'{{"instances": [{body}]}}'),
    ]
    if len(rows) == 1:
        attempts.append((FLAT_TERMS.decode_one, body))
    for decode, document in attempts:
        if is_valid:
            assert [row.model_fields_set for row in decode(document.encode())] == [set(row) for row in names]
        else:
            with pytest.raises(fairlead.errors.Invalid):
                decode(document.encode())


@given(text=st.text(), twice=st.sampled_from(["", "text", "inner", "a"]))
def test_a_key_is_found_twice_exactly_if_it_is_twice(text: str, twice: str) -> None:
    extra = {"": "", "text": '"te\\u0078t": "a:b",', "inner": '"inner": {"a": 1},', "a": ""}[twice]
    inner = '{"a": 1, "a": 2}' if twice == "a" else '{"a": 1}'
    body = f'{{{extra} "text": {json.dumps(text)}, "inner": {inner}}}'.encode()
    if not twice:
        assert TERMS.decode_one(body)
        return
    with pytest.raises(fairlead.errors.Invalid, match=f"the key '{twice}' occurs twice") as caught:
        TERMS.decode_one(body)
    assert caught.value.details[0].loc == ("body", *(["inner", "a"] if twice == "a" else [twice]))


def test_validators_that_set_fields_do_not_hide_a_key_given_twice() -> None:
    class Helpful(BaseModel):
        x: float
        y: float = 0.0

        def model_post_init(self, context: Any) -> None:
            self.y = self.x

    with pytest.raises(fairlead.errors.Invalid, match="twice"):
        terms(Helpful).decode_one(b'{"x": 1, "x": 2}')


def test_another_name_of_a_field_does_not_hide_a_key_given_twice() -> None:
    class Aliased(BaseModel):
        model_config = ConfigDict(populate_by_name=True)
        x: str = Field(alias="ex")
        y: str = Field(alias="why")

    with pytest.raises(fairlead.errors.Invalid, match="twice"):
        terms(Aliased).decode_one(b'{"ex": ":", "ex": ":", "y": ":"}')


class Pair(BaseModel):
    """Two numbers."""

    a: float
    b: float = 0.0


@pytest.mark.parametrize("row", ['{"a": 1, "a": 2}', '{"a": 1, "\\u0061": 2}', '{"b": 1, "a": 1, "b": 1}'])
def test_a_row_that_is_a_list_does_not_hide_a_key_given_twice_in_another(row: str) -> None:
    pair = terms(Pair)
    attempts = ((pair.decode_many, f"[[1, 2], {row}]"), (pair.decode_instances, f'{{"instances": [[1, 2], {row}]}}'))
    for decode, body in attempts:
        with pytest.raises(fairlead.errors.Invalid, match="occurs twice"):
            decode(body.encode())
