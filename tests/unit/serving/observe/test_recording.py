"""What the thread of a recorder writes, counts and says, whatever goes wrong around it."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, field_serializer

from fairlead.contracts import recording
from fairlead.serving.observe import recording as recorders
from fairlead.serving.observe.hidden import Hidden
from fairlead.serving.observe.recording import Answered, Outcome, Recorder
from fairlead.serving.observe.ring import Ring
from fairlead.serving.settings import Settings


class Row(BaseModel):
    """A row with a serializer that fails on one name."""

    name: str = "Bob"

    @field_serializer("name")
    def written(self, name: str) -> str:
        """The name, with an error that repeats it."""
        if name == "Ada":
            raise ValueError(f"{name} is not written")
        return name


class Memory(NamedTuple):
    """What rows and tickets need."""

    row: int = 1
    per_byte: int = 1
    memory: int = 1
    size: int = 1
    has_files: bool = False
    rows: Sequence[Any] = ()


SMALL = Memory()


class Watched(Ring):
    """A ring that calls `before` each time that it is written."""

    def __init__(self, folder: Path, before: Callable[[], None] = lambda: None) -> None:
        super().__init__(folder, 65536, 3600.0, time.time)
        self.before, self.forgot = before, 0

    def write(self, lines: Sequence[bytes]) -> int:
        """Write lines."""
        self.before()
        return super().write(lines)

    def forget(self) -> None:
        """Count."""
        self.forgot += 1


COUNTED: Counter[Outcome] = Counter()


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorders, "PERIOD_S", 0.01)
    COUNTED.clear()


def recorder(ring: Ring, memory: Memory = SMALL, **settings: Any) -> Recorder:
    def count(outcomes: Mapping[Outcome, int]) -> None:
        COUNTED.update(outcomes)

    kept = Settings(record_share=1.0, record_dir=Path("elsewhere"), **settings)
    return Recorder("greeter", "1.0.0", kept, Hidden(Row, Row, [], []), ring, memory, lambda _: b"[]", count)


def answered(name: str = "Bob") -> Answered:
    return Answered(b"id", b"", b"", "predict", False, 200, 0.001, [Row(name=name)], [])


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_what_arrives_during_the_last_write_is_written_before_the_ring_is_closed(tmp_path: Path) -> None:
    began, goes_on = threading.Event(), threading.Event()

    def wait() -> None:
        began.set()
        goes_on.wait(10)

    one = recorder(Watched(tmp_path, wait))
    one.start()
    one.add(answered(), Memory())
    assert began.wait(10)
    one.add(answered(), Memory())
    closing = threading.Thread(target=one.close)
    closing.start()
    until(lambda: one._closing)
    goes_on.set()
    closing.join()
    assert COUNTED == {"written": 2}
    assert len(recording.read(tmp_path).requests) == 2


def test_an_error_that_nobody_foresaw_is_counted_and_does_not_end_the_recording(tmp_path: Path) -> None:
    def fail() -> None:
        if not COUNTED:
            raise ValueError("what is this?")

    one = recorder(Watched(tmp_path, fail))
    one.start()
    one.add(answered(), Memory())
    until(lambda: COUNTED["disk"] == 1)
    one.add(answered(), Memory())
    one.close()
    assert COUNTED == {"disk": 1, "written": 1}


def test_what_is_kept_for_less_than_a_minute_is_looked_for_more_often(tmp_path: Path) -> None:
    ring = Watched(tmp_path)
    one = recorder(ring, record_age_s=1.0)
    one.start()
    until(lambda: ring.forgot >= 2)
    one.close()


def test_the_log_does_not_repeat_a_value_that_an_authors_serializer_has_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    one = recorder(Watched(tmp_path))
    one.start()
    one.add(answered("Ada"), Memory())
    one.close()
    assert COUNTED == {"not_json": 1}
    [said] = [record for record in caplog.records if record.getMessage() == "a request cannot be recorded"]
    assert "Ada" not in str(said.__dict__)


@pytest.mark.parametrize("has_files", [True, False])
def test_as_many_large_rows_wait_as_the_bytes_allow_and_a_row_is_weighed_once(tmp_path: Path, has_files: bool) -> None:
    row = recorders.MAX_BYTES // 10
    # As a service admits it: the memory of the request is that of its row, with all that is in it.
    image = Memory(row=row, per_byte=4, memory=row, size=row if has_files else 0, has_files=has_files)
    one = recorder(Ring(tmp_path, 65536, 3600.0, time.time), image)
    for _ in range(12):
        one.add(answered(), image)
    assert COUNTED == {"queue_full": 2}
