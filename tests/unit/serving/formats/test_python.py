from __future__ import annotations

from pathlib import Path

import pytest

from fairlead import errors
from fairlead.serving.formats.python import Python


def test_the_author_s_class_gets_the_path(tmp_path: Path) -> None:
    assert Python().read(tmp_path) == tmp_path


def test_bytes_files_and_folders_are_copied(tmp_path: Path) -> None:
    Python().write(b"abc", tmp_path / "file")
    Python().write(tmp_path / "file", tmp_path / "copy")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "leaf").write_bytes(b"leaf")
    Python().write(tmp_path / "tree", tmp_path / "trees")
    assert [(tmp_path / name).read_bytes() for name in ("copy", "trees/leaf")] == [b"abc", b"leaf"]


def test_any_other_object_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="a dict is neither"):
        Python().write({}, tmp_path / "file")
