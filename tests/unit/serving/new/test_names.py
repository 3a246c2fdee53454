from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.manifest import Manifest
from fairlead.serving.new.names import field_names


def test_a_name_that_a_field_can_have_stays_and_another_keeps_its_letters() -> None:
    columns = ["area", "area (m2)", "copy", "2nd", "größe", "%", "a b", "a-b", "_x"]
    assert field_names(columns) == ["area", "area_m2", "copy_", "column_2nd", "gr_e", "column", "a_b", "a_b_2", "x"]


@given(st.lists(st.text(max_size=70), min_size=1, max_size=8, unique=True))
def test_a_manifest_accepts_the_names_of_any_columns(columns: list[str]) -> None:
    names = field_names(columns)
    assert len(set(names)) == len(columns)
    Manifest.model_validate(
        {
            "name": "m",
            "version": "1",
            "format": "joblib",
            "artifact": {"path": "a", "sha256": "0" * 64},
            "inputs": [{"name": name, "datatype": "FP64"} for name in names],
            "outputs": [{"name": "y", "datatype": "FP64"}],
        }
    )
