from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.serving.new.network_sample import sampled


def tensor(name: str, *shape: int, datatype: str = "FP32") -> Tensor:
    return Tensor.model_validate({"name": name, "datatype": datatype, "shape": [-1, *shape]})


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "rows.csv").write_text("width,rooms,city\n1.5,2,Ulm\n2.5,3,Bonn\n")
    return tmp_path / "rows.csv"


def numbers(tmp_path: Path, columns: int, rows: int = 3) -> Path:
    lines = [",".join(f"c{place}" for place in range(columns))]
    lines += [",".join(str(row + place) for place in range(columns)) for row in range(rows)]
    (tmp_path / "rows.csv").write_text("\n".join(lines))
    return tmp_path / "rows.csv"


def test_all_columns_are_the_elements_of_the_only_input_in_their_order(tmp_path: Path) -> None:
    rows, (one,) = sampled([tensor("x", 3)], numbers(tmp_path, 3))
    assert rows == [{"x": [float(row), row + 1.0, row + 2.0]} for row in range(3)]
    assert one.description == "c0 from 0 to 2 in rows.csv; c1 from 1 to 3 in rows.csv; c2 from 2 to 4 in rows.csv"


def test_a_long_list_is_described_as_a_whole(tmp_path: Path) -> None:
    _, (one,) = sampled([tensor("x", 400)], numbers(tmp_path, 400))
    assert one.description == "400 values in the order of rows.csv, from c0 to c399"


def test_each_input_of_one_value_is_the_column_of_its_name(table: Path) -> None:
    inputs = [tensor("city", datatype="BYTES"), tensor("rooms", 1, datatype="INT32"), tensor("width")]
    rows, described = sampled(inputs, table)
    assert rows[0] == {"city": "Ulm", "rooms": [2], "width": 1.5}
    assert [one.description for one in described] == [
        "2 different in rows.csv",
        "from 2 to 3 in rows.csv",
        "from 1.5 to 2.5 in rows.csv",
    ]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([tensor("width"), tensor("floor")], "has no column floor, which the model has as an input"),
        ([tensor("x", 2)], "has 3 columns, and the input x of the model has 2 values"),
        ([tensor("x", -1)], "the input x of the model is an array of the shape"),
        ([tensor("width"), tensor("x", 3)], "the input x of the model is an array of the shape"),
    ],
)
def test_a_table_that_has_no_rows_for_the_network_is_refused(table: Path, inputs: Any, message: str) -> None:
    with pytest.raises(errors.Invalid, match=message):
        sampled(inputs, table)
