"""Snapshots and tables that are refused before any gateway gets them."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from fairlead.errors import Refused
from fairlead.routing.check import check_snapshot
from fairlead.routing.compile import compile
from fairlead.routing.references import routes_in
from fairlead.routing.snapshot import Snapshot
from unit.routing.tables import SETTINGS, V2, iris

CANARY = compile([iris(candidate=V2, weight=100)], {}, SETTINGS)


def without(name: str) -> Snapshot:
    return replace(CANARY, clusters={key: one for key, one in CANARY.clusters.items() if key != name})


@pytest.mark.parametrize("name", [name for name in CANARY.clusters])
def test_a_missing_cluster_is_named(name: str) -> None:
    with pytest.raises(Refused, match=f"cluster {name}, which does not exist"):
        check_snapshot(without(name))


def test_weights_that_do_not_sum_are_named_by_route() -> None:
    routes = copy.deepcopy(dict(CANARY.routes))
    for route in routes_in(routes["models"]):
        if route["name"] == "iris:split:predict":
            route["route"]["weighted_clusters"]["clusters"][0]["weight"] = 1
    with pytest.raises(Refused, match="weights of route iris:split:predict sum to 101, not 10000"):
        check_snapshot(replace(CANARY, routes=routes))


def test_a_direct_response_too_long_for_envoy_is_refused() -> None:
    routes = copy.deepcopy(dict(CANARY.routes))
    [live] = [route for route in routes_in(routes["models"]) if route["name"] == "live"]
    live["direct_response"]["body"]["inline_string"] = "ä" * 2100
    with pytest.raises(Refused, match="longer than 4096 bytes"):
        check_snapshot(replace(CANARY, routes=routes))


def test_a_snapshot_without_listeners_is_refused_unless_allowed() -> None:
    empty = Snapshot({}, {}, {}, {})
    with pytest.raises(Refused, match="would close the gateway's port"):
        check_snapshot(empty)
    check_snapshot(empty, allow_empty=True)
