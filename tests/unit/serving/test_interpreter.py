"""Large texts are counted, searched and copied in parts, with the result of one call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.serving import interpreter

TEXTS = st.text("ab:", max_size=60).map(str.encode)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "_PART", 7)
    monkeypatch.setattr(interpreter, "_PAUSE_S", 0)


@given(TEXTS, st.sampled_from([b"a", b":"]))
def test_a_character_is_counted_as_in_one_call(text: bytes, character: bytes) -> None:
    assert interpreter.count(text, character) == text.count(character)


@given(TEXTS, st.text("ab", min_size=1, max_size=9).map(str.encode), st.integers(0, 70))
def test_words_are_found_also_where_two_parts_meet(text: bytes, words: bytes, start: int) -> None:
    assert interpreter.find(text, words, start) == text.find(words, start)


@given(TEXTS, st.integers(0, 60))
def test_a_copy_has_the_bytes_of_its_view(text: bytes, start: int) -> None:
    assert interpreter.copied(memoryview(text)[start:]) == text[start:]


def test_other_threads_get_the_interpreter_between_two_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    given_way: list[None] = []
    monkeypatch.setattr(interpreter, "give_way", lambda: given_way.append(None))
    interpreter.count(b"a" * 7 * 5, b"a")
    assert len(given_way) == 4
