"""How many bytes and how old lines the files of a recording have, whatever is written and whoever writes beside."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.serving.observe.ring import FILES, Ring

SIZE = 64 * 1024
NOW = 1_800_000_000.0


class Clock:
    """A time of day that a test sets."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


def ring(folder: Path, clock: Clock | None = None, size: int = SIZE, age_s: float = 3600.0) -> Ring:
    return Ring(folder, size, age_s, clock or Clock())


def lines(folder: Path) -> list[bytes]:
    return [line for file in sorted(folder.glob("ring-*/*.jsonl")) for line in file.read_bytes().splitlines()]


def on_disk(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("ring-*/*.jsonl"))


def line(number: int, size: int = 20) -> bytes:
    return f"{number}".ljust(size - 1).encode() + b"\n"


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(10, SIZE // FILES), max_size=120))
def test_files_never_have_more_bytes_than_was_said_and_keep_the_newest_lines(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("ring")
    one = ring(folder)
    for number, size in enumerate(sizes):
        one.write([line(number, size)])
        assert on_disk(folder) <= SIZE
    one.close()
    kept = [int(found) for found in lines(folder)]
    assert kept == list(range(len(sizes) - len(kept), len(sizes)))
    least = min(sum(sizes), SIZE) if sum(sizes) <= SIZE else SIZE - 2 * SIZE // FILES
    assert on_disk(folder) >= least


def test_a_service_that_starts_again_goes_on_with_its_ring(tmp_path: Path) -> None:
    for number in range(3):
        one = ring(tmp_path)
        one.write([line(number)])
        one.close()
    assert [int(found) for found in lines(tmp_path)] == [0, 1, 2]
    assert [folder.name for folder in tmp_path.iterdir()] == ["ring-1"]


def test_two_processes_with_one_folder_have_rings_of_their_own(tmp_path: Path) -> None:
    first, second = ring(tmp_path), ring(tmp_path)
    first.write([line(1)])
    second.write([line(2)])
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["ring-1", "ring-2"]
    first.close()
    third = ring(tmp_path)
    third.write([line(3)])
    assert len(list(tmp_path.iterdir())) == 2
    second.close()
    third.close()


def test_lines_are_forgotten_when_they_are_too_old_also_those_of_a_process_that_has_ended(tmp_path: Path) -> None:
    clock = Clock()
    ended, one = ring(tmp_path, clock), ring(tmp_path, clock)
    ended.write([line(1)])
    one.write([line(2)])
    ended.close()
    clock.now += 3601
    one.write([line(3)])
    one.forget()
    assert [int(found) for found in lines(tmp_path)] == [3]
    clock.now += 3601
    one.forget()
    assert lines(tmp_path) == []
    one.write([line(4)])
    assert [int(found) for found in lines(tmp_path)] == [4]
    one.close()


def test_a_ring_that_another_process_holds_is_left_to_it_whose_requests_may_be_kept_for_longer(tmp_path: Path) -> None:
    clock = Clock()
    longer, one = ring(tmp_path, clock, age_s=86400.0), ring(tmp_path, clock)
    longer.write([line(1)])
    one.write([line(2)])
    clock.now += 3601
    one.forget()
    assert [int(found) for found in lines(tmp_path)] == [1]
    longer.write([line(3)])
    assert [int(found) for found in lines(tmp_path)] == [1, 3]
    longer.close()
    one.close()


@pytest.mark.parametrize("name", ["notes.jsonl", "0-backup.jsonl", "²³.jsonl"])
def test_a_file_that_no_service_has_written_is_no_part_of_its_ring_and_is_kept(tmp_path: Path, name: str) -> None:
    clock = Clock()
    foreign = tmp_path / "ring-1" / name
    foreign.parent.mkdir()
    foreign.write_bytes(line(0, SIZE))
    one = ring(tmp_path, clock)
    for number in range(40):
        one.write([line(number, SIZE // 16)])
    clock.now += 3601
    one.forget()
    one.close()
    assert [file.name for file in foreign.parent.glob("*.jsonl")] == [name]


def test_a_clock_that_is_set_back_does_not_mix_up_the_order(tmp_path: Path) -> None:
    clock = Clock()
    one = ring(tmp_path, clock)
    one.write([line(1)])
    one.close()
    clock.now -= 86400
    one.write([line(2)])
    assert [int(found) for found in lines(tmp_path)] == [1, 2]
    one.close()


def test_nobody_else_can_read_what_is_written(tmp_path: Path) -> None:
    one = ring(tmp_path / "new")
    one.write([line(1)])
    [file] = (tmp_path / "new").glob("ring-1/*.jsonl")
    assert [path.stat().st_mode & 0o777 for path in (file, file.parent, file.parent.parent)] == [0o600, 0o700, 0o700]
    one.close()


def test_a_folder_that_cannot_be_made_is_an_error_each_time_and_works_once_it_can(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    one = ring(blocked / "inside")
    for _ in range(2):
        with pytest.raises(OSError, match="Not a directory"):
            one.write([line(1)])
    blocked.unlink()
    one.write([line(1)])
    assert lines(blocked / "inside") == [line(1).rstrip(b"\n")]
    one.close()


@contextlib.contextmanager
def no_byte_more() -> Iterator[None]:
    """The system refuses every write to a file, as it does when a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_no_heap_of_empty_files(tmp_path: Path) -> None:
    one = ring(tmp_path)
    one.write([line(1)])
    with no_byte_more():
        for number in range(5):
            with pytest.raises(OSError, match="File too large"):
                one.write([line(number)])
    one.write([line(2)])
    assert [int(found) for found in lines(tmp_path)] == [1, 2]
    assert len(list(tmp_path.glob("ring-1/*.jsonl"))) == 2
    one.close()
