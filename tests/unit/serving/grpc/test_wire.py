from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.serving.grpc import wire
from fairlead.serving.grpc.definitions import message

RAW = 7
Request = message("ModelInferRequest")


@given(st.lists(st.binary(max_size=300), max_size=5), st.text(max_size=40), st.lists(st.text(max_size=9), max_size=3))
def test_the_elements_are_cut_out_and_the_rest_stays_as_it_is(raw: list[bytes], text: str, names: list[str]) -> None:
    request = Request(model_name=text, id=text)
    for name in names:
        request.inputs.add(name=name, shape=[1, -1])
    without = request.SerializeToString()
    request.raw_input_contents.extend(raw)
    head, values = wire.divided(request.SerializeToString(), RAW, 100)
    assert Request.FromString(head).SerializeToString() == without
    assert [bytes(one) for one in values] == raw
    assert wire.joined(without, RAW, raw) == request.SerializeToString()


def test_the_elements_are_views_of_the_message() -> None:
    body = Request(model_name="m", raw_input_contents=[b"x" * 1000]).SerializeToString()
    (value,) = wire.divided(body, RAW, 10)[1]
    assert value.obj is body


@given(st.binary(max_size=60))
def test_any_bytes_are_divided_or_invalid(body: bytes) -> None:
    try:
        head, values = wire.divided(body, RAW, 100)
    except errors.Invalid:
        return
    assert len(head) + sum(map(len, values)) <= len(body)


def test_a_message_of_very_many_fields_is_refused_before_it_needs_memory() -> None:
    with pytest.raises(errors.Invalid, match="more than 100 fields"):
        wire.divided(b"\x3a\x00" * 2_000_000, RAW, 100)


@pytest.mark.parametrize("body", [b"\x3a\x05ab", b"\x3a", b"\xff" * 11, b"\x0b\x0c", b"\x09abc"])
def test_a_message_that_ends_too_early_or_has_groups_is_refused(body: bytes) -> None:
    with pytest.raises(errors.Invalid, match="cannot be read"):
        wire.divided(body, RAW, 100)
