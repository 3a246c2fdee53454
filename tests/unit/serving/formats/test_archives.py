"""The archive of a model is bounded in names and in size before a library reads it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fairlead.serving.formats import archives

DEFLATED = zipfile.ZIP_DEFLATED


def archive(path: Path, parts: Mapping[str, bytes], how: int = DEFLATED) -> Path:
    file = path / "model.zip"
    with zipfile.ZipFile(file, "w", how) as written:
        for name, data in parts.items():
            written.writestr(name, data)
    return file


def test_the_names_of_an_ordinary_archive_are_told(tmp_path: Path) -> None:
    assert archives.check(archive(tmp_path, {"a": b"1" * 9999, "b": b""})) == {"a", "b"}


@pytest.mark.parametrize("name", ["../a", "a/../../b", "/a", "a\\..\\b", "c:/a"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(archives.Broken, match="outside the archive"):
        archives.check(archive(tmp_path, {name: b""}))


def test_an_archive_that_becomes_too_large_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    with pytest.raises(archives.Broken, match="becomes 268435457 bytes when it is unpacked, more than 268435456"):
        archives.check(archive(tmp_path, {"a": b"\0" * (archives.USUAL_BYTES + 1)}))


def test_two_parts_of_one_name_are_refused(tmp_path: Path) -> None:
    file = archive(tmp_path, {"a": b"1"})
    with zipfile.ZipFile(file, "a") as written, pytest.warns(UserWarning, match="Duplicate name"):
        written.writestr("a", b"2")
    with pytest.raises(archives.Broken, match="under the name of another one"):
        archives.check(file)


@given(some.data())
def test_an_archive_with_a_changed_byte_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: some.DataObject
) -> None:
    file = archive(tmp_path_factory.mktemp("a"), {"a": b"some text" * 9, "b.npz": b"PK\3\4"})
    content = bytearray(file.read_bytes())
    place = data.draw(some.integers(0, len(content) - 1))
    content[place] = data.draw(some.integers(0, 255))
    file.write_bytes(content[: data.draw(some.integers(0, len(content)))])
    with pytest.raises(archives.Broken, match="^(is|has|becomes)"):
        archives.check(file)  # b.npz is no archive


def test_archives_inside_are_counted_together_with_what_they_are_in(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("data.npy", b"\0" * (archives.USUAL_BYTES // 2))
    file = archive(tmp_path, {f"{number}.npz": inner.getvalue() for number in range(3)})
    with pytest.raises(archives.Broken, match="becomes .* bytes when it is unpacked"):
        archives.check(file)
