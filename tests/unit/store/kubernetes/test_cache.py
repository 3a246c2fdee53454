"""The cache: lists, watch events and our own writes may arrive in any order; the newest version wins."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.store.kubernetes.cache import Cache
from fairlead.store.kubernetes.kinds import ROUTES, Object
from fairlead.store.kubernetes.session import difference, without_nulls


def an_object(name: str, version: int) -> Object:
    return {"metadata": {"name": name, "resourceVersion": str(version)}}


class Counted:
    def __init__(self) -> None:
        self.changes = 0
        self.cache = Cache(ROUTES, self.changed)

    def changed(self) -> None:
        self.changes += 1

    def known(self) -> dict[str, str]:
        return {one["metadata"]["name"]: one["metadata"]["resourceVersion"] for one in self.cache.list()}


@pytest.fixture
def counted() -> Counted:
    found = Counted()
    found.cache.replace([], 0)
    return found


def test_nothing_is_read_before_the_first_list() -> None:
    counted = Counted()
    counted.cache.put(an_object("a", 5))
    with pytest.raises(errors.NotReady):
        counted.cache.list()
    with pytest.raises(errors.NotReady):
        counted.cache.get("a")


def test_an_empty_first_list_is_an_answer(counted: Counted) -> None:
    assert counted.cache.loaded
    assert counted.cache.list() == ()


def test_the_watch_event_of_our_own_write_is_not_a_second_change(counted: Counted) -> None:
    counted.cache.put(an_object("a", 5))
    changes = counted.changes
    counted.cache.put(an_object("a", 5))
    counted.cache.put(an_object("a", 4))
    assert counted.changes == changes


def test_a_late_event_does_not_bring_back_what_we_deleted(counted: Counted) -> None:
    counted.cache.put(an_object("a", 5))
    counted.cache.drop("a")
    counted.cache.put(an_object("a", 5))
    counted.cache.put(an_object("a", 4))
    assert counted.known() == {}
    counted.cache.put(an_object("a", 9))  # created again
    assert counted.known() == {"a": "9"}


def test_a_list_that_began_before_our_write_does_not_undo_it(counted: Counted) -> None:
    counted.cache.put(an_object("a", 7))
    counted.cache.replace([an_object("b", 3)], 6)
    assert counted.known() == {"a": "7", "b": "3"}
    counted.cache.replace([an_object("b", 3)], 8)  # it was deleted at 8
    assert counted.known() == {"b": "3"}


def test_the_same_list_again_is_no_change_and_gives_the_same_tuple(counted: Counted) -> None:
    counted.cache.replace([an_object("a", 3)], 4)
    before, changes = counted.cache.list(), counted.changes
    counted.cache.replace([an_object("a", 3)], 9)
    assert counted.cache.list() is before
    assert counted.changes == changes


@given(st.data())
def test_the_cache_converges_for_any_order_of_events(data: st.DataObject) -> None:
    """One history of writes. Watch events arrive in order, but our own writes may be known at any earlier time."""
    steps = data.draw(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=20))
    truth: dict[str, str] = {}
    counted = Counted()
    counted.cache.replace([], 0)
    events = []
    for version, (name, deleted) in enumerate(steps, start=1):
        if deleted and name in truth:
            del truth[name]
            events.append((name, version, True))
        elif not deleted:
            truth[name] = str(version)
            events.append((name, version, False))
    early = data.draw(st.sets(st.sampled_from(range(len(events))))) if events else set()
    for number, (name, version, gone) in enumerate(events):
        for other in sorted(early):
            if other == number and not events[other][2]:
                counted.cache.put(an_object(*events[other][:2]))
        if gone:
            counted.cache.drop(name, version)
        else:
            counted.cache.put(an_object(name, version))
    assert counted.known() == truth


PLAIN = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=10,
)
DOCUMENTS = st.dictionaries(st.sampled_from("abcd"), PLAIN | st.none(), max_size=4)


def _merge(old: Any, patch: Any) -> Any:
    """JSON merge patch (RFC 7396), like the API server."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


@given(DOCUMENTS, DOCUMENTS)
def test_merging_a_difference_into_the_old_document_gives_the_new_one(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert without_nulls(_merge(old, difference(old, new))) == without_nulls(new)


@given(DOCUMENTS)
def test_a_document_has_no_difference_to_itself(document: dict[str, Any]) -> None:
    assert without_nulls(difference(document, document)) == {}
