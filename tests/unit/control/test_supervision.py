"""The rows of instances are current while the supervisor's note changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fairlead.contracts.health import STALE_AFTER_S
from fairlead.control.supervision import NOTE, SILENT, Supervision
from fairlead.local.state import StateFolder


class Clock:
    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watched(tmp_path: Path, clock: Clock) -> Supervision:
    (tmp_path / NOTE).touch()
    return Supervision(tmp_path, monotonic=clock)


def test_while_the_note_changes_the_rows_are_current(tmp_path: Path, clock: Clock, watched: Supervision) -> None:
    for number in range(10):
        os.utime(tmp_path / NOTE, (number, number))  # any other time is a sign of life: its clock may be set
        assert watched.why_unknown() == ""
        clock.s += STALE_AFTER_S


def test_a_note_that_stays_is_silence_until_it_changes(tmp_path: Path, clock: Clock, watched: Supervision) -> None:
    assert watched.why_unknown() == ""
    clock.s += STALE_AFTER_S + 1
    assert watched.why_unknown() == SILENT
    os.utime(tmp_path / NOTE, (1, 1))
    assert watched.why_unknown() == ""


def test_an_old_note_counts_from_the_start_of_the_control_plane(
    tmp_path: Path, clock: Clock, watched: Supervision
) -> None:
    os.utime(tmp_path / NOTE, (1, 1))
    assert watched.why_unknown() == ""


def test_without_a_note_nobody_is_silent(tmp_path: Path, clock: Clock) -> None:
    alone = Supervision(tmp_path, monotonic=clock)
    clock.s += STALE_AFTER_S + 1
    assert alone.why_unknown() == ""


def test_it_is_the_note_that_the_supervisor_writes(tmp_path: Path, clock: Clock) -> None:
    StateFolder(tmp_path).note_supervised()
    watching = Supervision(tmp_path, monotonic=clock)
    assert watching.why_unknown() == ""
    clock.s += STALE_AFTER_S + 1
    assert watching.why_unknown() == SILENT
