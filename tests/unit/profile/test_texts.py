from __future__ import annotations

import string

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.profile import TEXT_SHAPES
from fairlead.profile.texts import MOST_CHARS, lengths, shapes


def is_odd(character: str) -> bool:
    code = ord(character)
    control = (code < 32 and character not in "\t\n\r") or 0x7F <= code < 0xA0
    return control or code == 0xFFFD or 0xD800 <= code < 0xE000


def alone(text: str | None) -> list[float]:
    """The same for one text, character by character."""
    if text is None:
        return [np.nan] * 5
    part = text[:MOST_CHARS]
    tests = (string.digits.__contains__, string.ascii_uppercase.__contains__, lambda one: ord(one) > 127, is_odd)
    return [len(part.split()), *(sum(map(test, part)) / max(1, len(part)) for test in tests)]


@given(st.lists(st.none() | st.text() | st.text(st.characters(codec=None), max_size=5), max_size=8))
def test_the_shapes_of_many_texts_are_those_of_each_alone(texts: list[str | None]) -> None:
    expected = np.array([alone(text) for text in texts]).reshape(len(texts), len(TEXT_SHAPES))
    np.testing.assert_allclose(shapes(texts), expected)


def test_each_shape_sees_its_own_change() -> None:
    found = shapes(["two words", "4711", "LOUD", "größe", "\ufffd\x00ab", ""])
    assert dict(zip(TEXT_SHAPES, found[0], strict=True)) == {
        "words": 2, "digits": 0, "upper": 0, "non_ascii": 0, "odd": 0
    }  # fmt: skip
    assert (found[1, 1], found[2, 2], found[3, 3], found[4, 4]) == (1, 1, 0.4, 0.5)
    assert found[5].tolist() == [0] * 5


def test_only_the_beginning_of_a_long_text_is_looked_at_and_its_length_is_whole() -> None:
    text = "a" * MOST_CHARS + "1" * 9000
    assert shapes([text])[0, 1] == 0
    assert lengths([text, None]) == pytest.approx([10_000, np.nan], nan_ok=True)
