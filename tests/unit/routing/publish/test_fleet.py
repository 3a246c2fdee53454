"""Many gateways, one of which hangs, is gone, or has only started."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from fairlead.contracts.gateway import GatewaySite
from fairlead.routing.publish.admin import AdminClient, Sample
from fairlead.routing.publish.fleet import LOST_AFTER_S, Fleet
from fairlead.routing.publish.resource_sets import KINDS, Kind


class Page(AdminClient):
    """An admin page that a test writes."""

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


class Known:
    def __init__(self, *names: str) -> None:
        self.sites = [GatewaySite(name, "127.0.0.1", 9) for name in names]

    def gateways(self) -> Sequence[GatewaySite]:
        return self.sites

    def refusal(self, name: str) -> str | None:
        return f"{name} says no"


@contextmanager
def fleet(known: Known, pages: dict[str, Page]) -> Iterator[Fleet]:
    made = Fleet(known, connect=lambda site: pages[site.name])
    try:
        yield made
    finally:
        for page in pages.values():
            page.hangs.set()
        made.close()


def look(made: Fleet, now: float, *, patient: bool = True) -> None:
    made.look({}, now, every_s=0.0, patient=patient)


SERVING: dict[Kind, str] = {"cds": "1.a-0123456789", "rds": "1.b-0123456789"}


def test_one_that_hangs_holds_up_nobody() -> None:
    known, pages = Known("a", "b"), {"a": Page(SERVING), "b": Page(SERVING)}
    with fleet(known, pages) as made:
        look(made, 0.0)
        pages["a"].hangs.clear()
        began = time.monotonic()
        for step in range(5):
            look(made, 1.0 + step, patient=False)
        assert time.monotonic() - began < 5
        assert [heard.name for heard in made.heard()] == ["a", "b"]


def test_one_that_has_only_started_decides_nothing() -> None:
    with fleet(Known("a", "b"), {"a": Page(SERVING), "b": Page({})}) as made:
        look(made, 0.0)
        assert [heard.name for heard in made.deciding(0.0)] == ["a"]
        assert [heard.reachable for heard in made.heard()] == [True, True]


def test_one_that_was_never_heard_decides_nothing() -> None:
    with fleet(Known("a"), {"a": Page(None)}) as made:
        look(made, 0.0)
        assert made.deciding(0.0) == []
        assert [heard.reachable for heard in made.heard()] == [False]


def test_one_that_is_lost_counts_for_a_while_with_what_it_had() -> None:
    page = Page(SERVING)
    with fleet(Known("a"), {"a": page}) as made:
        look(made, 0.0)
        page.versions = None
        look(made, 1.0)
        [heard] = made.deciding(LOST_AFTER_S - 0.1)
        assert not heard.reachable
        assert heard.versions == SERVING
        assert made.deciding(LOST_AFTER_S) == []


def test_one_that_is_no_more_listed_is_forgotten() -> None:
    known = Known("a", "b")
    with fleet(known, {"a": Page(SERVING), "b": Page(SERVING)}) as made:
        look(made, 0.0)
        known.sites = known.sites[:1]
        look(made, 1.0)
        assert [heard.name for heard in made.heard()] == ["a"]
