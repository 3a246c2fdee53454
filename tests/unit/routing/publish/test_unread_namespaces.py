"""Routes of namespaces that nobody has read stay in the gateways."""

from __future__ import annotations

import pytest

from fairlead.errors import Refused
from fairlead.routing.check import check_unread, seen_routes


def test_a_published_route_that_may_be_of_an_unread_namespace_holds_the_publication() -> None:
    with pytest.raises(
        Refused, match="gateways serve churn as no namespace that can be read has it, and team-b cannot"
    ):
        check_unread({"churn"}, ["team-b"])


@pytest.mark.parametrize(("missing", "unread"), [(set(), ["team-b"]), ({"churn"}, [])])
def test_nothing_is_held_where_every_namespace_was_read_or_no_route_is_missing(
    missing: set[str], unread: list[str]
) -> None:
    check_unread(missing, unread)


def test_a_route_behind_what_is_published_is_another_one_of_that_name() -> None:
    assert seen_routes((), {"iris": 1, "churn": 7}, {"iris": 3, "churn": 7}) == {"churn"}


def test_a_route_that_was_seen_stays_known_also_when_it_begins_again() -> None:
    assert seen_routes({"iris"}, {"iris": 1}, {"iris": 3}) == {"iris"}
