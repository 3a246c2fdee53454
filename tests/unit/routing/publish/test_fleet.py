"""Polling several gateways, one of which hangs, is gone, or has only just started."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fairlead.contracts.gateway import GatewaySite
from fairlead.routing.publish.admin import AdminClient, Sample
from fairlead.routing.publish.fleet import LOST_AFTER_S, Fleet
from fairlead.routing.publish.resource_sets import KINDS, Kind


class SimulatedAdmin(AdminClient):
    """An admin interface with versions set by the test."""

    def __init__(self, versions: dict[Kind, str] | None) -> None:
        super().__init__("127.0.0.1", 9)
        self.versions = versions
        self.hangs = threading.Event()
        self.hangs.set()

    def read(self, *, counters: bool = True) -> Sample | None:
        self.hangs.wait(20)
        if self.versions is None:
            return None
        return Sample(1, self.versions, dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0), 0)


class Listed:
    def __init__(self, *names: str) -> None:
        self.sites = [GatewaySite(name, "127.0.0.1", 9) for name in names]

    def gateways(self) -> Sequence[GatewaySite]:
        return self.sites

    def rejection_reason(self, name: str) -> str | None:
        return f"{name} rejects it"


@contextmanager
def fleet(listed: Listed, admins: dict[str, SimulatedAdmin]) -> Iterator[Fleet]:
    made = Fleet(listed, connect=lambda site: admins[site.name])
    try:
        yield made
    finally:
        for admin in admins.values():
            admin.hangs.set()
        made.close()


def poll(made: Fleet, now: float, *, first: bool = True) -> None:
    made.poll({}, now, every_s=0.0, first=first)


SERVING: dict[Kind, str] = {"cds": "1.a-0123456789", "rds": "1.b-0123456789"}


def test_a_gateway_that_hangs_does_not_delay_the_others() -> None:
    listed, admins = Listed("a", "b"), {"a": SimulatedAdmin(SERVING), "b": SimulatedAdmin(SERVING)}
    with fleet(listed, admins) as made:
        poll(made, 0.0)
        admins["a"].hangs.clear()
        began = time.monotonic()
        for step in range(5):
            poll(made, 1.0 + step, first=False)
        assert time.monotonic() - began < 5
        assert [report.name for report in made.reports()] == ["a", "b"]


def test_updates_do_not_wait_for_a_gateway_that_has_just_started() -> None:
    with fleet(Listed("a", "b"), {"a": SimulatedAdmin(SERVING), "b": SimulatedAdmin({})}) as made:
        poll(made, 0.0)
        assert [report.name for report in made.serving_reports(0.0)] == ["a"]
        assert [report.reachable for report in made.reports()] == [True, True]


def test_updates_do_not_wait_for_a_gateway_that_never_answered() -> None:
    with fleet(Listed("a"), {"a": SimulatedAdmin(None)}) as made:
        poll(made, 0.0)
        assert made.serving_reports(0.0) == []
        assert [report.reachable for report in made.reports()] == [False]


def test_updates_wait_for_a_lost_gateway_for_a_while() -> None:
    admin = SimulatedAdmin(SERVING)
    with fleet(Listed("a"), {"a": admin}) as made:
        poll(made, 0.0)
        admin.versions = None
        poll(made, 1.0)
        [report] = made.serving_reports(LOST_AFTER_S - 0.1)
        assert not report.reachable
        assert report.versions == SERVING
        assert made.serving_reports(LOST_AFTER_S) == []


def test_a_gateway_that_is_no_longer_listed_is_dropped() -> None:
    listed = Listed("a", "b")
    with fleet(listed, {"a": SimulatedAdmin(SERVING), "b": SimulatedAdmin(SERVING)}) as made:
        poll(made, 0.0)
        listed.sites = listed.sites[:1]
        poll(made, 1.0)
        assert [report.name for report in made.reports()] == ["a"]
