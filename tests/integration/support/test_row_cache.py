"""RowCache of a long run: a run that was stopped goes on where it was, and never with rows of other code."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.row_cache import Row, RowCache, digest_of


def test_a_row_that_is_kept_is_not_made_again(tmp_path: Path) -> None:
    made: list[str] = []

    def make(name: str) -> Row:
        made.append(name)
        if made == ["a", "b"]:
            raise KeyboardInterrupt
        return {"name": name}

    wanted = {"a": lambda: make("a"), "b": lambda: make("b")}
    with pytest.raises(KeyboardInterrupt):
        RowCache(tmp_path / "rows.jsonl", fingerprint="x").collect("some", wanted)
    assert RowCache(tmp_path / "rows.jsonl", fingerprint="x").collect("some", wanted) == [{"name": "a"}, {"name": "b"}]
    assert made == ["a", "b", "b"]


def test_a_line_that_was_cut_off_is_made_again(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    RowCache(file, fingerprint="x").collect("some", {"a": lambda: {"at": 1}})
    with file.open("a") as out:
        out.write('{"of": "x", "key": "some: b", "r\n')
    assert RowCache(file, fingerprint="x").collect("some", {"a": lambda: {"at": 2}, "b": lambda: {"at": 2}}) == [
        {"at": 1},
        {"at": 2},
    ]


def test_rows_of_other_code_are_passed_over(tmp_path: Path) -> None:
    RowCache(tmp_path / "rows.jsonl", fingerprint="x").collect("some", {"a": lambda: {"at": 1}})
    assert RowCache(tmp_path / "rows.jsonl", fingerprint="y").collect("some", {"a": lambda: {"at": 2}}) == [{"at": 2}]


def test_the_digest_is_of_every_file_and_of_what_else_matters(tmp_path: Path) -> None:
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("1")
    other.write_text("2")
    digest = digest_of([one, other], "plan")
    assert digest == digest_of([other, one], "plan")
    assert digest != digest_of([one, other], "another plan")
    other.write_text("3")
    assert digest != digest_of([one, other], "plan")
