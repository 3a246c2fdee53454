"""What a model prints is shown once, in order, and in a bounded number of lines."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from fairlead.serving.check.printed import MOST_LINES, Printed


def printed(*pieces: str) -> list[str]:
    found = Printed()
    for piece in pieces:
        found.write(piece)
    return found.shown()


def test_nothing_is_said_of_a_model_that_prints_nothing() -> None:
    assert printed("", "\n", "  \n") == []


def test_equal_lines_are_one_with_their_number() -> None:
    assert printed("loading\n", "row\nrow\n", "row\n") == [
        "the model printed 4 lines:",
        "  | loading",
        "  | row  (3 times)",
    ]


def test_of_many_different_lines_the_last_are_shown() -> None:
    first, *lines = printed("".join(f"line {number}\n" for number in range(5000)))
    assert first == f"the model printed 5,000 lines, the last {MOST_LINES} different ones:"
    assert lines == [f"  | line {number}" for number in range(5000 - MOST_LINES, 5000)]


def test_of_a_bar_of_progress_its_end_is_shown() -> None:
    assert printed("\r 1%", "\r 50%", "\r100% done\n")[1:] == ["  | 100% done"]


def test_a_line_without_an_end_is_shown_and_a_long_one_is_cut() -> None:
    assert printed("no newline")[1:] == ["  | no newline"]
    assert len(printed("x" * 1_000_000)[1]) < 220


@given(st.text(alphabet="ab\n", max_size=40), st.integers(1, 7))
def test_the_pieces_in_which_it_comes_make_no_difference(text: str, size: int) -> None:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert printed(*pieces) == printed(text)


def test_the_bytes_of_a_pipe_are_taken_until_it_ends() -> None:
    reading, writing = os.pipe()
    os.write(writing, "one\nhalf of \u00e4: ".encode() + b"\xc3\n")
    os.close(writing)
    found = Printed()
    found.take(reading)
    assert found.shown()[1:] == ["  | one", "  | half of \u00e4: \ufffd"]
