from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.yaml_edit import with_value

PATH = ("batching", "max_rows")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: 1\nbatching:\n  max_rows: 64 # rows\nb: 2\n", "a: 1\nbatching:\n  max_rows: 8 # rows\nb: 2\n"),
        ("batching: {max_rows: 64, max_wait_ms: 1}\n", "batching: {max_rows: 8, max_wait_ms: 1}\n"),
        ("batching: {max_wait_ms: 1}  # x\n", "batching: {max_wait_ms: 1, max_rows: 8}  # x\n"),
        ("batching: {}\n", "batching: {max_rows: 8}\n"),
        ("batching:\n", "batching: {max_rows: 8}\n"),
        ("batching:", "batching: {max_rows: 8}"),
        (
            "batching:\n    max_wait_ms: 1 # ms\n    # the end\n\n# next\nb: 2\n",
            "batching:\n    max_wait_ms: 1 # ms\n    max_rows: 8\n    # the end\n\n# next\nb: 2\n",
        ),
        ("# only a comment\n", "# only a comment\nbatching:\n  max_rows: 8\n"),
        ("", "batching:\n  max_rows: 8\n"),
        ("a: 1", "a: 1\nbatching:\n  max_rows: 8\n"),
        ("text: |\n  two\n  lines\n", "text: |\n  two\n  lines\nbatching:\n  max_rows: 8\n"),
        ("tags:\n- one\n- two # last\n", "tags:\n- one\n- two # last\nbatching:\n  max_rows: 8\n"),
    ],
)
def test_only_the_value_changes(before: str, after: str) -> None:
    assert with_value(before, PATH, 8) == after


@pytest.mark.parametrize(
    "text", ["batching: 5\n", "batching: [1]\n", "- a\n", "just text\n", "batching: {max_rows: {}}\n"]
)
def test_a_value_that_cannot_be_set_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(errors.Invalid, match=r"batching\.max_rows cannot be set") as refused:
        with_value(text, PATH, 8)
    assert refused.value.hint == "Write it by hand: batching.max_rows: 8"


def test_a_shared_part_is_not_changed_in_two_places() -> None:
    with pytest.raises(errors.Invalid, match="cannot be set"):
        with_value("other: &one {max_rows: 1}\nbatching: *one\n", PATH, 8)


def test_a_text_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(errors.Invalid, match="not YAML"):
        with_value("a: [\n", PATH, 8)


keys = st.sampled_from(["a", "b", "batching", "max_rows"])
values = st.recursive(
    st.none() | st.integers() | st.booleans() | st.text(), lambda inner: st.dictionaries(keys, inner) | st.lists(inner)
)


@given(st.dictionaries(keys, values), st.booleans(), st.integers(1, 9) | st.floats(0.1, 9))
def test_everything_else_reads_as_before(data: dict[str, object], is_flow: bool, value: float) -> None:
    text = yaml.safe_dump(data, default_flow_style=is_flow)
    try:
        changed = with_value(text, PATH, value)
    except errors.Invalid:
        below = data.get("batching")
        assert not isinstance(below, dict | None) or isinstance(below.get("max_rows") if below else None, dict | list)
        return
    found = yaml.safe_load(changed)
    assert found.pop("batching")["max_rows"] == value
    assert found == {key: inner for key, inner in data.items() if key != "batching"}
