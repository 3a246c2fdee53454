from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import Invalid
from fairlead.routing.publish.publication import EncodedUpdate, Publication
from fairlead.routing.publish.resource_sets import (
    KINDS,
    NO_UPDATE,
    ResourceSet,
    Update,
    UpdateOrder,
    make_version,
    order_of,
)

# Proto JSON writes larger numbers as strings.
numbers = st.integers(-(2**53), 2**53)
orders = st.builds(UpdateOrder, sequence=st.integers(1, 10**12), phase=st.sampled_from("abcr"))
resources = st.dictionaries(
    st.text(min_size=1, max_size=8),
    st.dictionaries(st.text(max_size=5), numbers | st.text(max_size=5)),
    max_size=4,
).map(lambda found: {name: {**body, "name": name} for name, body in found.items()})


@st.composite
def encoded_updates(draw: st.DrawFn) -> EncodedUpdate:
    content = ResourceSet.of(draw(resources))
    return EncodedUpdate.of(Update(make_version(draw(orders), content), content))


kinds = st.dictionaries(st.sampled_from(KINDS), encoded_updates(), max_size=3)
publications = st.builds(
    Publication,
    kinds=kinds,
    good=kinds,
    rejected=st.dictionaries(
        st.tuples(st.sampled_from(KINDS), st.text("0123456789abcdef", min_size=4, max_size=8)),
        st.dictionaries(st.text(min_size=1, max_size=5), st.text(max_size=20), min_size=1, max_size=2),
        max_size=3,
    ),
    revisions=st.dictionaries(st.text(min_size=1, max_size=8), st.integers(1, 999), max_size=3),
)


@given(publications)
def test_a_publication_survives_storage(publication: Publication) -> None:
    assert Publication.from_parts(publication.to_parts()) == publication


@given(publications)
def test_equal_publications_give_equal_bytes(publication: Publication) -> None:
    assert Publication.from_parts(publication.to_parts()).to_parts() == publication.to_parts()


@given(encoded_updates())
def test_content_comes_back_with_the_same_digest(one: EncodedUpdate) -> None:
    again = EncodedUpdate.of(one.decoded())
    assert again == one
    assert again.decoded().content.digest == one.decoded().content.digest


@given(st.dictionaries(st.sampled_from(["head", "cds", "rds", "x"]), st.binary(max_size=30), max_size=3))
def test_bytes_that_are_not_a_publication_are_invalid(parts: dict[str, bytes]) -> None:
    with pytest.raises(Invalid, match="cannot be read"):
        Publication.from_parts(parts)


def test_a_truncated_archive_is_invalid() -> None:
    content = ResourceSet.of({"a": {"name": "a"}})
    parts = Publication(
        {"rds": EncodedUpdate.of(Update(make_version(UpdateOrder(1, "b"), content), content))}
    ).to_parts()
    with pytest.raises(Invalid):
        Publication.from_parts({**parts, "rds": parts["rds"][:-9]})


@given(orders, orders)
def test_versions_sort_like_their_update_orders(first: UpdateOrder, second: UpdateOrder) -> None:
    content = ResourceSet.of({})
    one, other = make_version(first, content), make_version(second, content)
    assert (order_of(one) < order_of(other)) == (first < second)


@given(st.text(max_size=12))
def test_a_foreign_version_sorts_before_all_others(text: str) -> None:
    order = order_of(text)
    assert order == NO_UPDATE or order.sequence >= 0


@pytest.mark.parametrize("text", ["", "12", "12.b", "x.b-0123456789", "1.b-0123456789 ", "-1.b-0123456789"])
def test_malformed_versions_have_no_order(text: str) -> None:
    assert order_of(text) == NO_UPDATE
