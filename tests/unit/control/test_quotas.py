"""Quotas: when gateways are read, what is kept, and what happens if something of it does not work."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.contracts.access import Access
from fairlead.contracts.quota_use import QuotaUse, Reading, Used
from fairlead.control.kept_quotas import QuotaFile
from fairlead.control.quotas import READ_EVERY_S, RELOAD_AFTER_S, SAVE_EVERY_S, MemoryKeep, Quotas

NOW = datetime(2026, 11, 30, 19, 0, tzinfo=UTC)
SHOP = Access.model_validate({"clients": {"shop": {"quota": {"day": 10}}}})


class Scene:
    """One gateway, and a clock that moves by hand."""

    def __init__(self, keep: MemoryKeep | None = None, access: Access = SHOP) -> None:
        self.count, self.readings, self.now = 0, 0, 100.0
        self.answers = True
        self.keep = keep or MemoryKeep()
        self.quotas = Quotas(
            self,
            self.keep,
            lambda: access,
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
        raise errors.Conflict("another replica has saved")


def test_without_a_quota_no_gateway_is_read() -> None:
    scene = Scene(access=Access.model_validate({"clients": {"shop": {}}}))
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
        "the use of quotas: another replica has saved"
    ]


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
    with pytest.raises(errors.Invalid, match="is not the use of quotas"):
        keep.load()
