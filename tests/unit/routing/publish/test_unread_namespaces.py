"""Routes of namespaces that nobody has read stay in the gateways."""

from __future__ import annotations

import pytest

from fairlead.errors import Refused
from fairlead.routing.check import check_unread


def test_a_published_route_that_may_be_of_an_unread_namespace_holds_the_publication() -> None:
    with pytest.raises(
        Refused, match="gateways serve churn, which no namespace that can be read has, and team-b cannot"
    ):
        check_unread({"churn"}, ["team-b"])


@pytest.mark.parametrize(("missing", "unread"), [(set(), ["team-b"]), ({"churn"}, [])])
def test_nothing_is_held_where_every_namespace_was_read_or_no_route_is_missing(
    missing: set[str], unread: list[str]
) -> None:
    check_unread(missing, unread)
