from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fairlead.serving.formats.pickle import Pickle

VALUES: SearchStrategy[object] = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(VALUES)
def test_a_written_value_is_read_back(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.mktemp("pickle") / "model"
    Pickle().write(value, path)
    assert Pickle().read(path) == value


def test_the_same_object_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        Pickle().write({"weights": [1.0, 2.0]}, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
