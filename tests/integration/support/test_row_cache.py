"""Tests of the row cache: a stopped run continues where it was, and never uses rows of other code."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.row_cache import Row, RowCache, digest_of


def test_a_cached_row_is_not_computed_again(tmp_path: Path) -> None:
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


def test_the_row_of_an_incomplete_line_is_computed_again(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    RowCache(file, fingerprint="x").collect("some", {"a": lambda: {"at": 1}})
    with file.open("a") as out:
        out.write('{"of": "x", "key": "some: b", "r\n')
    assert RowCache(file, fingerprint="x").collect("some", {"a": lambda: {"at": 2}, "b": lambda: {"at": 2}}) == [
        {"at": 1},
        {"at": 2},
    ]


def test_rows_with_another_fingerprint_are_ignored(tmp_path: Path) -> None:
    RowCache(tmp_path / "rows.jsonl", fingerprint="x").collect("some", {"a": lambda: {"at": 1}})
    assert RowCache(tmp_path / "rows.jsonl", fingerprint="y").collect("some", {"a": lambda: {"at": 2}}) == [{"at": 2}]


def test_the_digest_depends_on_every_file_and_every_other_argument(tmp_path: Path) -> None:
    one, other = tmp_path / "one.py", tmp_path / "other.py"
    one.write_text("1")
    other.write_text("2")
    digest = digest_of([one, other], "plan")
    assert digest == digest_of([other, one], "plan")
    assert digest != digest_of([one, other], "another plan")
    other.write_text("3")
    assert digest != digest_of([one, other], "plan")
