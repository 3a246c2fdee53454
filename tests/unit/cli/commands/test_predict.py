"""`fairlead predict`: rows that are no JSON."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.cli.commands import predict


def refused(rows: str) -> errors.Invalid:
    with pytest.raises(errors.Invalid) as caught:
        predict.command("iris", rows, url="http://127.0.0.1:9")
    return caught.value


def test_the_name_of_a_file_is_no_row_and_the_way_to_read_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("held.csv").write_text("a,b\n1,2\n")
    error = refused("held.csv")
    assert error.message == "the rows are not JSON: held.csv is a file"
    assert str(error.hint).startswith("to read it: @held.csv; a file has one row as a JSON object, or a list of them")


def test_a_file_that_is_a_table_is_told_what_a_file_has(tmp_path: Path) -> None:
    file = tmp_path / "held.csv"
    file.write_text("a,b\n1,2\n")
    error = refused(f"@{file}")
    assert error.message.startswith(f"{file} has no JSON: ")
    assert "a table, such as a CSV, is not read" in str(error.hint)


def test_standard_input_that_is_no_json_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a,b")))
    assert refused("-").message.startswith("standard input has no JSON: ")


def test_a_row_that_the_shell_has_unquoted_is_told_how_to_quote_it() -> None:
    assert "quote it for the shell" in str(refused("{x: 1}").hint)


def test_what_is_no_key_is_refused_without_being_shown() -> None:
    with pytest.raises(errors.Invalid, match="characters that no key has") as caught:
        predict.command("iris", "{}", url="http://127.0.0.1:9", key="secret\nof mine")
    assert "secret" not in str(caught.value)
