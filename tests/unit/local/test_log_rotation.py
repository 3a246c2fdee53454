"""Log files do not fill the disk, and no process has to open its file again."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.local.log_files import Follower
from fairlead.local.log_rotation import rotate


@pytest.mark.parametrize("name", ["gateway", "supervisor", "iris-1.0.0-0a1b-0"])
def test_a_log_that_is_too_large_is_moved_aside_and_its_process_goes_on_appending(tmp_path: Path, name: str) -> None:
    log = tmp_path / f"{name}.log"
    with log.open("ab", buffering=0) as process:
        process.write(b"old\n" * 10)
        assert rotate(tmp_path, max_bytes=39) == [name]
        process.write(b"new\n")
    assert log.read_text() == "new\n"
    assert (tmp_path / f"{name}.log.1").read_text() == "old\n" * 10


def test_only_the_last_one_is_kept(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / "gateway.log").write_text(f"{number}\n" * 10)
        rotate(tmp_path, max_bytes=10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gateway.log", "gateway.log.1"]
    assert (tmp_path / "gateway.log.1").read_text() == "2\n" * 10


def test_a_log_within_the_limit_stays(tmp_path: Path) -> None:
    (tmp_path / "gateway.log").write_text("x" * 10)
    assert rotate(tmp_path, max_bytes=10) == []


def test_the_log_with_every_revision_is_never_moved(tmp_path: Path) -> None:
    (tmp_path / "control-plane.log").write_text("x" * 100)
    assert rotate(tmp_path, max_bytes=10) == []
    assert (tmp_path / "control-plane.log").stat().st_size == 100


def test_who_follows_the_log_goes_on_with_its_new_lines(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    log.write_text("old\n" * 10)
    follower = Follower(lambda: {"gateway": log})
    follower.skip()
    rotate(tmp_path, max_bytes=10)
    with log.open("a") as process:
        process.write("new\n")
    assert [entry.fields["message"] for entry in follower.read()] == ["new"]
