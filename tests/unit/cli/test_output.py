"""What a terminal would obey is shown instead, wherever the text of others is printed."""

from __future__ import annotations

import ast
import io
import json
from pathlib import Path

import pydantic_core
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fairlead import errors
from fairlead.cli import main, output
from fairlead.logs import shown

HOSTILE = {
    "clears the screen": "\x1b[2J",
    "writes to the clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "overwrites the line": "fine\rEVIL",
    "takes back what was written": "EVIL\b\b\b\bfine",
    "is a control sequence in one character": "\x9b2J",
    "reorders the text": "gnp\u202ecod.exe",
    "hides in an isolate": "\u2066a\u2069",
    "is the delete character": "a\x7f",
}
CLI = Path(main.__file__).parent


def is_harmless(text: str) -> bool:
    return all(one.isprintable() or one == "\n" for one in text)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_a_terminal_would_obey_is_shown_as_an_escape(text: str) -> None:
    assert is_harmless(shown(text))
    assert "\\" in shown(text)


@given(st.text())
def test_any_text_is_harmless_and_printable_text_stays_as_it_is(text: str) -> None:
    assert is_harmless(shown(text))
    assert shown(shown(text)) == shown(text)
    assert (shown(text) == text) == is_harmless(text)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_a_cell_of_a_table_is_shown(text: str) -> None:
    out = io.StringIO()
    Console(file=out, width=200).print(output.make_table(("REASON",), [(text,)]))
    assert is_harmless(out.getvalue())


@given(st.dictionaries(st.text(), st.lists(st.text() | st.floats(allow_nan=False) | st.none())))
def test_json_is_harmless_and_says_the_same(data: dict[str, object]) -> None:
    for indent in (None, 2):
        written = output.as_json(data, indent)
        assert is_harmless(written)
        assert json.loads(written) == data


@given(st.dictionaries(st.text(), st.floats(allow_nan=False)))
def test_json_that_a_service_has_written_is_harmless_and_says_the_same(data: dict[str, float]) -> None:
    written = output.shown_json(pydantic_core.to_json(data).decode())
    assert is_harmless(written)
    assert json.loads(written) == data


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_an_error_its_details_and_its_hint_are_shown(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    details = [errors.Detail((text,), text, "type")] * 2
    main._print_error(errors.Invalid(text, details=details, hint=text))
    printed = capsys.readouterr().err
    assert is_harmless(printed)
    assert printed.count("\n") == 4


def test_the_name_of_a_folder_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output.say(f"there is no folder {tmp_path}/\x1b[2J")
    assert "/\\x1b[2J" in capsys.readouterr().out


HARMLESS = {"as_json", "as_text", "dumps", "draw", "line_of_json", "shown", "shown_json", "text_of"}
"""Calls whose result may be printed: JSON, log lines, pictures and scenarios, and what `shown` returns."""


def test_commands_print_text_of_others_only_through_what_shows_it() -> None:
    """`say`, `text` and `shown` are the only ways, so that a new command cannot forget it."""
    wrong = []
    for path in CLI.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            name = node.func.id if isinstance(node.func, ast.Name) else ""
            first = node.args[0]
            called = first.func if isinstance(first, ast.Call) else None
            how = getattr(called, "id", getattr(called, "attr", ""))
            if name == "Text" and how != "shown":
                wrong.append(f"{path.name}:{node.lineno}")
            if ast.unparse(node.func) == "typer.echo":
                wrong.append(f"{path.name}:{node.lineno}")
            if (
                name == "print"
                and how not in HARMLESS
                and not (path.name == "main.py" and ast.unparse(first) == "line")
            ):
                wrong.append(f"{path.name}:{node.lineno}")
    assert wrong == []
