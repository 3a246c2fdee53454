"""Quotas: when gateways are read, what is kept, and what happens if something of it does not work."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.contracts.access import Access
from fairlead.contracts.quota_use import QuotaUse, Reading, Spent, Used
from fairlead.control.kept_quotas import QuotaFile, read_entry
from fairlead.control.quotas import READ_EVERY_S, RELOAD_AFTER_S, SAVE_EVERY_S, MemoryKeep, Quotas

NOW = datetime(2026, 11, 30, 19, 0, tzinfo=UTC)
SHOP = Access.model_validate({"clients": {"shop": {"quota": {"day": 10}}}})


NO_QUOTA = Access.model_validate({"clients": {"shop": {}}})


class Scene:
    """One gateway, and a clock that moves by hand."""

    def __init__(self, keep: MemoryKeep | None = None, access: Access = SHOP) -> None:
        self.count, self.readings, self.now = 0, 0, 100.0
        self.answers, self.access = True, access
        self.keep = keep or MemoryKeep()
        self.quotas = Quotas(
            self,
            self.keep,
            lambda: self.access,
            log=logging.getLogger("test"),
            clock=lambda: NOW,
            monotonic=lambda: self.now,
        )

    def read(self) -> Mapping[str, Reading | None]:
        self.readings += 1
        return {"a": Reading(uptime_s=int(self.now), clients={"shop": self.count}) if self.answers else None}

    def close(self) -> None:
        """Nothing is open."""

    def turn(self, count: int, after_s: float = READ_EVERY_S) -> None:
        self.count, self.now = count, self.now + after_s
        self.quotas.turn()


class Broken(MemoryKeep):
    def save(self, use: QuotaUse) -> None:  # noqa: ARG002
        raise errors.Unavailable("the disk is full")


class Versioned(MemoryKeep):
    """As an API server keeps it: who has not seen the last version cannot replace it."""

    version = seen = saved = 0
    loses_answers = False

    def load(self) -> QuotaUse:
        self.seen = self.version
        return super().load()

    def save(self, use: QuotaUse) -> None:
        if self.seen != self.version:
            raise errors.Conflict("the object has been modified")
        super().save(use)
        self.version, self.saved = self.version + 1, self.saved + 1
        if self.loses_answers:
            self.loses_answers = False
            raise errors.Unavailable("no answer")
        self.seen = self.version


def test_what_is_spent_is_told_after_the_first_reading() -> None:
    scene = Scene()
    assert list(scene.quotas.spent()) == []
    scene.turn(0)
    scene.turn(4)
    assert scene.quotas.spent() == [Spent("shop", "day", 4, 10)]
    scene.access = NO_QUOTA
    scene.turn(5)
    assert list(scene.quotas.spent()) == []


def test_without_a_quota_no_gateway_is_read() -> None:
    scene = Scene(access=NO_QUOTA)
    scene.turn(5)
    assert (scene.readings, scene.quotas.closed()) == (0, {})


def test_a_gateway_is_read_every_two_seconds_and_a_full_quota_closes_its_client() -> None:
    scene = Scene()
    scene.turn(0)
    scene.turn(9, 1.0)
    assert scene.readings == 1
    scene.turn(9, 1.0)
    assert scene.quotas.closed() == {}
    scene.turn(10)
    assert scene.quotas.closed() == {"shop": int(datetime(2026, 12, 1, tzinfo=UTC).timestamp())}


def test_the_use_is_written_now_and_then_and_when_a_client_is_closed() -> None:
    scene = Scene()
    scene.turn(0)
    scene.turn(5)
    assert scene.keep.load().clients["shop"].in_day == 0
    scene.turn(6, SAVE_EVERY_S)
    assert scene.keep.load().clients["shop"].in_day == 6
    scene.turn(10)
    assert scene.keep.load().clients["shop"].in_day == 10


def test_the_next_process_goes_on_also_from_counts_that_were_not_written() -> None:
    scene = Scene()
    scene.turn(0)
    scene.turn(5)  # not written, and the process is killed
    after = Scene(scene.keep)
    after.turn(10)
    assert after.quotas.closed()


def test_a_replica_that_did_not_count_for_a_while_reads_what_another_one_wrote() -> None:
    scene = Scene()
    scene.turn(0)
    read = {"a": Reading(uptime_s=200, clients={"shop": 0})}
    scene.keep.save(QuotaUse(clients={"shop": Used(day="2026-11-30", in_day=10, in_month=10)}, gateways=read))
    scene.turn(0, RELOAD_AFTER_S + 100)
    assert scene.quotas.closed()


def test_a_use_that_cannot_be_written_is_logged_once_and_clients_are_closed_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = Scene(Broken())
    for count in (0, 10, 11, 12):
        scene.turn(count)
    assert scene.quotas.closed()
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == [
        "the use of quotas: the disk is full"
    ]


@pytest.mark.parametrize("cause", ["somebody else wrote it", "the answer to a write was lost"])
def test_a_use_that_was_changed_meanwhile_is_read_again_and_written_on(
    cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    keep = Versioned()
    scene = Scene(keep)
    scene.turn(0)
    if cause == "somebody else wrote it":
        keep.version += 1
    else:
        keep.loses_answers = True
    for count in range(1, 8):
        scene.turn(count, SAVE_EVERY_S)
    assert keep.load().clients["shop"].in_day == 7
    assert [one.getMessage() for one in caplog.records if "read again" in one.getMessage()] == [
        "the use of quotas: the object has been modified; it is read again"
    ]


def test_a_quota_that_was_removed_and_comes_back_counts_nothing_of_the_time_between() -> None:
    scene = Scene()
    scene.turn(0)
    scene.turn(5)
    scene.access = NO_QUOTA
    scene.turn(7)
    assert scene.keep.load() == QuotaUse()
    scene.access = SHOP
    for count in (1000, 1009):
        scene.turn(count)
    assert scene.quotas.closed() == {}
    scene.turn(1010)
    assert scene.quotas.closed()


def test_a_quota_that_was_removed_while_no_control_plane_ran_is_forgotten_at_the_start_with_one_write() -> None:
    keep = Versioned()
    scene = Scene(keep)
    scene.turn(0)
    after = Scene(keep, NO_QUOTA)
    before = keep.saved
    for count in (5, 6, 7):
        after.turn(count, SAVE_EVERY_S)
    assert (keep.load(), keep.saved - before) == (QuotaUse(), 1)


def test_a_gateway_that_does_not_answer_changes_nothing() -> None:
    scene = Scene()
    scene.turn(0)
    scene.turn(5)
    scene.answers = False
    scene.turn(8)
    scene.answers = True
    scene.turn(9)
    assert scene.quotas.closed() == {}
    scene.turn(10)
    assert scene.quotas.closed()


def test_a_file_keeps_the_use_and_another_file_is_an_error(tmp_path: Path) -> None:
    keep = QuotaFile(tmp_path / "quotas.json")
    assert keep.load() == QuotaUse()
    use = QuotaUse(clients={"shop": Used(day="2026-11-30", in_day=1, in_month=2)}, gateways={"a": Reading(uptime_s=3)})
    keep.save(use)
    assert keep.load() == use
    (tmp_path / "quotas.json").write_text("{")
    with pytest.raises(errors.Invalid, match="is not the use of quotas") as caught:
        keep.load()
    assert caught.value.hint == "delete it: counting begins again"


def test_what_is_wrong_in_a_config_map_is_deleted_without_the_config_map() -> None:
    found = {"metadata": {"name": "models-quotas"}, "data": {"use.json": "{"}}
    with pytest.raises(errors.Invalid, match="ConfigMap models-quotas is not the use of quotas") as caught:
        read_entry(found)
    assert caught.value.hint == "delete its `data`: counting begins again"
    assert read_entry({"metadata": {"name": "models-quotas"}}) == QuotaUse()
