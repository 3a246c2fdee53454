"""How much all gateways use a version, and whether each of them has found it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from fairlead.contracts.gateway import ClusterKey, GatewaySite, Role, key_of
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.rollout.analysis.envoy_use import EnvoyUse, Use
from fairlead.rollout.analysis.fleet_use import FleetUse

STABLE = VersionRef(version="1.0.0", identity="0123456789")
OTHER = VersionRef(version="1.1.0", identity="abcdef0123")
TABLE = Table(model="iris", stable=STABLE, pins=(STABLE, OTHER), cold=(STABLE, OTHER))
SPLIT, DIRECT, OTHERS = (
    key_of(role, TABLE, ref) for role, ref in ((Role.SPLIT, STABLE), (Role.DIRECT, STABLE), (Role.DIRECT, OTHER))
)
A, B = GatewaySite("a", "10.0.0.1", 9901), GatewaySite("b", "10.0.0.2", 9901)


class Page(EnvoyUse):
    """One gateway's page, as the test says."""

    def __init__(self, pages: Mapping[GatewaySite, object], site: GatewaySite) -> None:
        super().__init__(site.host, site.admin_port)
        self._pages, self._site = pages, site

    def read(self) -> Mapping[ClusterKey, Use] | None:
        return self._pages[self._site]  # type: ignore[return-value]


class Gateways(dict[GatewaySite, "Mapping[ClusterKey, Use] | None"]):
    """What each gateway answers."""


@pytest.fixture
def pages() -> Gateways:
    warm = {SPLIT: Use(total=7, open=1, hosts=1), DIRECT: Use(hosts=1)}
    return Gateways({A: warm, B: {SPLIT: Use(total=3, open=2, hosts=1), DIRECT: Use(hosts=1)}})


@pytest.fixture
def use(pages: Gateways) -> Iterator[FleetUse]:
    found = FleetUse(lambda: list(pages), connect=lambda site: Page(pages, site))
    yield found
    found.close()


def test_a_request_through_any_gateway_is_seen_also_while_another_one_restarts(pages: Gateways, use: FleetUse) -> None:
    first = use.requests()
    assert first is not None
    assert first[SPLIT][1] == 3
    assert use.requests() == first
    pages[A], pages[B] = {SPLIT: Use(total=2)}, {SPLIT: Use(total=8)}  # the sum is the same
    second = use.requests()
    assert second is not None
    assert second[SPLIT][0] != first[SPLIT][0]


def test_without_the_answer_of_every_gateway_nothing_is_known(pages: Gateways, use: FleetUse) -> None:
    pages[B] = None
    assert use.requests() is None
    pages.clear()
    assert use.requests() is None


def test_a_cold_version_is_found_when_every_gateway_that_answers_has_an_instance_for_all_its_requests(
    pages: Gateways, use: FleetUse
) -> None:
    assert use.unfound(TABLE) == {STABLE, OTHER}, "nothing was read yet"
    use.requests()
    assert use.unfound(TABLE) == {OTHER}
    pages[B] = {SPLIT: Use(hosts=1), OTHERS: Use(hosts=1)}  # no host yet for requests that name stable
    use.requests()
    assert use.unfound(TABLE) == {STABLE, OTHER}
    pages[B] = None
    use.requests()
    assert use.unfound(TABLE) == {OTHER}


def test_a_gateway_that_has_only_just_started_is_not_waited_for(pages: Gateways, use: FleetUse) -> None:
    pages[B] = {}
    use.requests()
    assert use.unfound(TABLE) == {OTHER}


def test_a_version_that_is_not_cold_is_not_asked_about(use: FleetUse) -> None:
    assert use.unfound(TABLE.model_copy(update={"cold": ()})) == set()
