"""From what an instance tells of itself to the increase between two readings."""

from __future__ import annotations

from fairlead.contracts.service_totals import Totals
from fairlead.control.service_increase import TotalsReader
from fairlead.rollout.ports import Increase


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Read:
    """A reader and its clock: each reading is a second after the one before."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.reader = TotalsReader(self.clock)

    def __call__(self, epoch: str = "a", **told: object) -> Increase | None:
        self.clock.now += 1
        return self.reader.increase(epoch, Totals.model_validate(told))


def test_what_was_counted_before_the_first_reading_is_left_out() -> None:
    read = Read()
    assert read(rows=100, cpu_s=9.0, labels=50, wrong=5) is None
    assert read(rows=103, cpu_s=9.5, labels=52, wrong=6) == Increase(labels=2, wrong=1, rows=3, cpu_s=0.5, seconds=1)


def test_a_process_that_started_anew_counts_from_its_first_reading_on() -> None:
    read = Read()
    read(rows=100, cpu_s=9.0)
    assert read(epoch="b", rows=4, cpu_s=1.0) is None
    assert read(epoch="b", rows=6, cpu_s=1.5) == Increase(rows=2, cpu_s=0.5, seconds=1)


def test_only_the_second_of_two_readings_without_rows_counts_as_idle() -> None:
    """What the last rows have cost may be told a reading later than the rows."""
    read = Read()
    found = [read(rows=rows, cpu_s=cpu_s) for rows, cpu_s in ((0, 1.0), (5, 2.0), (5, 2.5), (5, 2.75), (6, 3.0))]
    assert [(one.idle_s, one.idle_cpu_s) for one in found if one] == [(0, 0), (0, 0), (1, 0.25), (0, 0)]


def test_what_an_instance_does_not_know_the_version_does_not_know() -> None:
    known, unknown = Increase(labels=3, cpu_s=1.0, rows=1), Increase(rows=2)
    assert known.plus(unknown) == unknown.plus(known) == Increase(labels=None, cpu_s=None, rows=3)


def test_a_service_of_an_earlier_release_knows_nothing() -> None:
    assert TotalsReader(Clock()).increase("a", None) == Increase()


def test_every_bin_and_bound_rises_by_itself() -> None:
    read = Read()
    read(bins={"below 1": 4, "from 1": 0}, errors=(5, 2))
    found = read(bins={"below 1": 4, "from 1": 3}, errors=(6, 2))
    assert found is not None
    assert (found.bins, found.errors) == ({"below 1": 0, "from 1": 3}, (1, 0))
