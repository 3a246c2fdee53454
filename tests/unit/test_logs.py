from __future__ import annotations

import io
import json
import logging
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import logs
from fairlead.logs import JsonLines, TextLines, as_text

TIME = r"\d\d:\d\d:\d\d\.\d\d\d"


def record(**changes: object) -> logging.LogRecord:
    return logging.makeLogRecord({"name": "n", "levelname": "ERROR", "msg": "a %s", "args": ("b",)} | changes)


def line(**changes: object) -> dict[str, object]:
    text = JsonLines().format(record(**changes))
    assert "\n" not in text
    parsed: dict[str, object] = json.loads(text)
    return parsed


def text(**changes: object) -> str:
    return TextLines(colours=False).format(record(**changes))


def test_a_record_is_one_json_line_with_its_extra_fields() -> None:
    assert (
        line(request_id="r").items()
        >= {
            "level": "error",
            "logger": "n",
            "message": "a b",
            "request_id": "r",
        }.items()
    )


def test_a_traceback_and_a_value_that_is_not_json_are_logged_on_one_line() -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError as error:
        parsed = line(exc_info=(ValueError, error, error.__traceback__), path=object())
    assert "ValueError: first\nsecond" in str(parsed["traceback"])
    assert "object" in str(parsed["path"])


def test_for_people_a_record_is_one_short_line() -> None:
    assert re.fullmatch(
        rf'{TIME} error   a b  request_id=r  why="two words"  n=3', text(request_id="r", why="two words", n=3)
    )


def test_a_request_reads_as_a_sentence_with_its_reason() -> None:
    fields = {"method": "GET", "path": "/x", "status": 404, "ms": 0.4, "request_id": "r", "reason": "no such path"}
    shown = text(msg="request", args=(), levelname="DEBUG", **fields)
    assert shown[12:] == ' debug   GET /x 404 in 0.4 ms  request_id=r  reason="no such path"'


def test_a_line_without_the_fields_of_its_sentence_is_shown_as_it_is() -> None:
    assert text(msg="listening", args=(), model="iris")[12:] == " error   listening  model=iris"


def test_a_traceback_is_that_of_the_first_cause_and_is_indented() -> None:
    try:
        try:
            raise KeyError("cause")
        except KeyError as cause:
            raise ValueError("effect") from cause
    except ValueError as error:
        shown = text(exc_info=(ValueError, error, error.__traceback__)).splitlines()
    assert shown[1] == "    Traceback (most recent call last):"
    assert shown[-1] == "    KeyError: 'cause'"
    assert "ValueError: effect" not in "\n".join(shown)


@given(
    st.dictionaries(
        st.sampled_from(["message", "time", "level", "path", "traceback", *string.ascii_letters]),
        st.text() | st.integers() | st.none(),
    )
)
def test_no_line_raises_and_no_control_character_reaches_the_terminal(fields: dict[str, Any]) -> None:
    shown = as_text(fields)
    assert all(character.isprintable() for line in shown.split("\n") for character in line)


class Stream(io.StringIO):
    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.fixture
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    logging.captureWarnings(False)


@pytest.mark.usefixtures("restored")
@pytest.mark.parametrize(
    ("log_format", "terminal", "is_json"),
    [("auto", True, False), ("auto", False, True), ("json", True, True), ("text", False, False)],
)
def test_the_format_follows_the_terminal_unless_it_is_chosen(
    log_format: logs.LogFormat, terminal: bool, is_json: bool
) -> None:
    stream = Stream(terminal=terminal)
    logs.configure("info", stream, log_format)
    logging.getLogger("x").info("hello")
    assert stream.getvalue().startswith("{") == is_json


def test_the_stack_of_a_call_that_hangs_is_shown_as_lines_from_the_model_s_code_on() -> None:
    ours = f'  File "{Path(logs.__file__).parent}/serving/inference/batch.py", line 1, in run\n    self._call(rows)\n'
    threads = '  File "/lib/threading.py", line 1, in run\n    self._target()\n'
    author = '  File "/model/model.py", line 16, in predict\n    time.sleep(1)\n'
    shown = logs.as_text({"message": "a call of the model hangs", "stack": [threads + ours + author]}).splitlines()
    assert shown[1:] == [f"    {one}" for one in author.splitlines()]
    assert "stack=" not in shown[0]


def test_a_stack_of_nothing_but_our_own_code_is_shown_whole() -> None:
    ours = f'  File "{Path(logs.__file__).parent}/model.py", line 1, in run\n    pass\n'
    assert len(logs.as_text({"message": "x", "stack": [ours]}).splitlines()) == 3
