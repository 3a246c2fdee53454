import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.revision import find_break, hash_of

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


def _through_an_api_server(value: Any) -> Any:
    """Like an API server: whole numbers below 2^63 lose their decimal point, and all data is encoded as JSON again."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        return int(value)
    if isinstance(value, list):
        return [_through_an_api_server(inner) for inner in value]
    if isinstance(value, dict):
        return {key: _through_an_api_server(inner) for key, inner in value.items()}
    return json.loads(json.dumps(value))


@given(st.dictionaries(st.text(max_size=5), PLAIN, max_size=5))
def test_a_hash_is_the_same_after_an_api_server_stored_the_document(document: dict[str, Any]) -> None:
    assert hash_of(_through_an_api_server(document)) == hash_of(document)


@pytest.mark.parametrize(
    ("one", "other"),
    [({"a": 1}, {"a": 2}), ({"a": 1.5}, {"a": 1}), ({"a": None}, {}), ({"a": True}, {"a": 1}), ({"a": "1"}, {"a": 1})],
)
def test_different_documents_have_different_hashes(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert hash_of(one) != hash_of(other)


def test_a_changed_revision_is_named() -> None:
    first: dict[str, Any] = {"route": "iris", "seq": 1, "parent": "", "reason": "first"}
    first["hash"] = hash_of(first)
    assert find_break([first]) is None
    assert (find_break([first | {"reason": "else"}]) or "").startswith("revision iris.1 was changed")
