"""Two routes whose tables have one model: one is published, and the models of all others stay as they are."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route, UnreadableRoute
from fairlead.control.desired_state import DesiredState
from fairlead.control.endpoints import ServiceNames
from fairlead.routing.snapshot import Settings
from unit.store.builders import NOW, a_spec, successor


class Routes:
    """Routes with the model of each spec, and the model of each table."""

    def __init__(self, specs: dict[str, str], tables: dict[str, str], unreadable: tuple[str, ...] = ()) -> None:
        self._specs, self._tables, self._unreadable = specs, tables, unreadable

    def routes(self) -> list[Route]:
        return [
            Route(name=name, spec=a_spec(model=model), created_at=NOW + timedelta(seconds=age))
            for age, (name, model) in enumerate(self._specs.items())
        ]

    def unreadable_routes(self) -> list[UnreadableRoute]:
        return [UnreadableRoute(name=name, message=f"route {name!r} cannot be read") for name in self._unreadable]

    def head(self, route: str) -> Revision | None:
        first = successor(None, route=route)
        return first.model_copy(update={"table": first.table.model_copy(update={"model": self._tables[route]})})


def published(store: Routes) -> set[str]:
    return set(DesiredState(store, ServiceNames(), Settings(port=8080)).snapshot().revisions)


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_the_older_of_two_tables_of_one_model_is_published_and_the_other_is_named_once(
    names: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    older, younger = names
    desired = DesiredState(
        Routes({older: "iris", younger: "iris", "other": "other"}, {"a": "iris", "b": "iris", "other": "other"}),
        ServiceNames(),
        Settings(port=8080),
    )
    with caplog.at_level(logging.ERROR, "fairlead.control"):
        found = {frozenset(desired.snapshot().revisions) for _ in range(2)}
    assert found == {frozenset({older, "other"})}
    said = f"route {younger!r} is not published: route {older!r} also has model 'iris'"
    assert [record.getMessage() for record in caplog.records] == [said]


def test_a_route_that_has_left_the_model_gives_way_to_the_one_that_names_it() -> None:
    assert published(Routes({"a": "wine", "b": "iris"}, {"a": "iris", "b": "iris"})) == {"b"}
    assert published(Routes({"a": "wine"}, {"a": "iris", "b": "iris"}, unreadable=("b",))) == {"b"}


def test_a_route_that_serves_what_it_names_is_published_before_one_that_cannot_be_read() -> None:
    assert published(Routes({"b": "iris"}, {"a": "iris", "b": "iris"}, unreadable=("a",))) == {"b"}
