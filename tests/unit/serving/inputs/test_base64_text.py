"""Base64 is read as clients write it, and nothing else is."""

from __future__ import annotations

import base64
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.serving.inputs import base64_text
from fairlead.serving.inputs.base64_text import decoded


@given(st.binary(max_size=200), st.sampled_from(["usual", "url-safe", "wrapped", "bare", "data"]))
def test_every_way_to_write_base64_is_read(data: bytes, way: str) -> None:
    text = base64.b64encode(data).decode()
    match way:
        case "url-safe":
            text = base64.urlsafe_b64encode(data).decode()
        case "wrapped":
            text = base64.encodebytes(data).decode()
        case "bare":
            text = text.rstrip("=")
        case "data":
            text = f"data:image/png;base64,{text}"
    assert decoded(text) == data


def test_a_text_longer_than_what_is_read_at_once_is_read_whole() -> None:
    data = bytes(range(256)) * 3000
    assert decoded(base64.b64encode(data).decode()) == data


@given(
    st.binary(max_size=90),
    st.sampled_from([2, 3, 4, 7]),
    st.sampled_from([base64.encodebytes, base64.urlsafe_b64encode]),
)
def test_where_parts_meet_does_not_matter(data: bytes, part: int, encode: Callable[[bytes], bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base64_text, "_PART", part)
        assert decoded(encode(data).decode()) == data


def test_padding_where_two_parts_meet_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base64_text, "_PART", 4)
    with pytest.raises(ValueError, match="padding is not at the end"):
        decoded("YQ==YWJj")


def test_a_text_of_padding_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="padding is not at the end"):
        decoded("=" * 5000)


@pytest.mark.parametrize("text", ["a", "ab=cd", "ab!d", "äbcd", "abcd====x", "data:image/png,abcd", "http://x/y.png"])
def test_what_is_no_base64_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        decoded(text)
