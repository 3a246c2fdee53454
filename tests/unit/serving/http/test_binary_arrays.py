"""Tensors in binary form reach a network as arrays; what is not exactly right is read, or refused, as lists are."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of
from pydantic import BaseModel

from fairlead import errors
from fairlead.contracts.manifest import Manifest, Tensor
from fairlead.serving.formats import networks
from fairlead.serving.formats.array_rows import ArrayRow
from fairlead.serving.formats.strict import strict
from fairlead.serving.inference.contract import Contract
from fairlead.serving.inference.process.codec import Codec, loads
from fairlead.serving.open_inference.interface import OpenInference
from support.own_format import OwnFormat

DTYPES = {"FP32": "<f4", "FP64": "<f8", "INT8": "<i1", "UINT8": "<u1", "INT32": "<i4", "INT64": "<i8", "UINT16": "<u2"}
Y = Tensor(name="y", datatype="FP64")


class Network(OwnFormat):
    """A network that keeps the arrays that it was given."""

    def __init__(self) -> None:
        self.given: Mapping[str, np.ndarray] = {}

    def run(self, arrays: Mapping[str, np.ndarray], wanted: Sequence[str]) -> Sequence[Any]:
        self.given = arrays
        first = next(iter(arrays.values()))
        return [np.zeros(len(first)) for _ in wanted]


class Served:
    """A network with these inputs, behind V2."""

    def __init__(self, inputs: Sequence[Tensor]) -> None:
        stated = {"name": "m", "version": "1", "format": "onnx", "artifact": {"path": "a", "sha256": "0" * 64}}
        manifest = Manifest.model_validate(stated | {"inputs": inputs, "outputs": [Y]})
        self.network = Network()
        self.model = networks.model_class(manifest, self.network)()
        self.model.load(Path())
        self.terms = Contract(strict(self.model.row_type), self.model.answer_type, 64)
        self.tensors = OpenInference(self.terms, manifest)

    def read(self, values: Mapping[str, np.ndarray], *, binary: bool, **more: Any) -> list[BaseModel]:
        """The rows of a request with these inputs, in binary form or as JSON. `more` are members of each input."""
        inputs, raw = [], b""
        for name, value in values.items():
            one = {"name": name, "shape": list(value.shape), "datatype": datatype_of(value), **more}
            if binary:
                one["parameters"] = {"binary_data_size": value.nbytes, **more.get("parameters", {})}
                raw += value.tobytes()
            else:
                one["data"] = value.tolist()
            inputs.append(one)
        document = json.dumps({"inputs": inputs}).encode()
        if not binary:
            return self.tensors.decode(document).rows
        return self.tensors.decode_mixed(b"%d" % len(document), document + raw).rows

    def arrays(self, rows: list[BaseModel]) -> Mapping[str, np.ndarray]:
        """What the network gets for these rows."""
        self.model.predict(rows)
        return self.network.given


def datatype_of(value: np.ndarray) -> str:
    return next(name for name, kind in DTYPES.items() if np.dtype(kind) == value.dtype)


def has_arrays(rows: Sequence[BaseModel]) -> bool:
    return all(isinstance(value, np.ndarray | np.generic) for row in rows for value in row.__dict__.values())


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[Tensor], dict[str, np.ndarray]]:
    """One to three inputs of a network, the first of them a list, and a request with values of them."""
    count, inputs, values = draw(st.integers(1, 4)), [], {}
    for number in range(draw(st.integers(1, 3))):
        datatype = draw(st.sampled_from(sorted(DTYPES)))
        shape = draw(st.lists(st.integers(1, 3), min_size=int(number == 0), max_size=3))
        inputs.append(Tensor(name=f"x{number}", datatype=datatype, shape=(-1, *shape)))
        kind = np.dtype(DTYPES[datatype])
        elements: Any = (
            st.floats(width=64 if kind.itemsize == 8 else 32, allow_nan=False, allow_infinity=False)
            if kind.kind == "f"
            else st.integers(np.iinfo(kind).min, np.iinfo(kind).max)
        )
        values[f"x{number}"] = draw(arrays_of.arrays(kind, (count, *shape), elements=elements))
    return inputs, values


@given(requests())
def test_a_network_gets_the_same_arrays_from_a_binary_and_a_json_request(
    request: tuple[list[Tensor], dict[str, np.ndarray]],
) -> None:
    inputs, values = request
    served = Served(inputs)
    rows = served.read(values, binary=True)
    assert has_arrays(rows)
    found = {name: np.array(array) for name, array in served.arrays(rows).items()}
    as_json = served.arrays(served.read(values, binary=False))
    for name, array in found.items():
        assert array.dtype == as_json[name].dtype
        np.testing.assert_array_equal(array, as_json[name])


X = Tensor(name="x", datatype="FP32", shape=(-1, 2))
ONES = np.ones((3, 2), dtype="<f4")


def test_rows_of_arrays_and_rows_of_lists_are_in_one_batch() -> None:
    served = Served([X])
    rows = [*served.read({"x": ONES}, binary=True), *served.read({"x": 2 * ONES}, binary=False)]
    found = served.arrays(rows)["x"]
    np.testing.assert_array_equal(found, np.concatenate([ONES, 2 * ONES]))
    assert found.dtype == np.float32


def test_the_array_that_the_network_gets_may_be_written_to() -> None:
    served = Served([X])
    assert served.arrays(served.read({"x": ONES}, binary=True))["x"].flags.writeable


def test_a_row_of_arrays_reaches_the_process_of_a_model() -> None:
    served = Served([X])
    codec = Codec("arrays", served.terms.row_type, served.terms.answer_type)
    written = codec.dumps(served.read({"x": ONES}, binary=True))
    assert len(written) < 20 * len(pickle.dumps(ONES))
    np.testing.assert_array_equal(served.arrays(loads(written))["x"], ONES)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.array([[1, np.nan]], dtype="<f4"), "finite"),
        (np.array([[np.inf, 1]], dtype="<f4"), "finite"),
        (np.ones((1, 3), dtype="<f4"), "must be"),
        (np.ones((65, 2), dtype="<f4"), "between 1 and 64 rows"),
    ],
    ids=["NaN", "infinity", "another shape", "too many rows"],
)
def test_an_array_that_is_no_value_is_refused_as_a_list_is(values: np.ndarray, why: str) -> None:
    served = Served([X])
    with pytest.raises(errors.Invalid) as as_list:
        served.read({"x": values.astype("<f8")}, binary=True)
    with pytest.raises(errors.Invalid, match=why) as as_array:
        served.read({"x": values}, binary=True)
    assert str(as_array.value) == str(as_list.value)


def test_numbers_of_another_type_are_read_as_lists() -> None:
    served = Served([X])
    rows = served.read({"x": ONES.astype("<f8")}, binary=True)
    assert not has_arrays(rows)
    np.testing.assert_array_equal(served.arrays(rows)["x"], ONES)


def test_an_only_input_may_have_any_name() -> None:
    assert has_arrays(Served([X]).read({"image": ONES}, binary=True))


@pytest.mark.parametrize(
    "inputs",
    [
        [Tensor(name="x", datatype="FP32", shape=(-1, -1))],
        [X, Tensor(name="t", datatype="BYTES")],
        [X, Tensor(name="n", datatype="INT32", minimum=0)],
        [X, Tensor(name="n", datatype="INT32", choices=(1, 2))],
        [Tensor(name="n", datatype="FP32")],
    ],
    ids=["an open size", "a text", "a bound", "choices", "single numbers"],
)
def test_rows_are_lists_where_more_than_type_and_shape_must_be_checked(inputs: list[Tensor]) -> None:
    assert not issubclass(Served(inputs).terms.row_type, ArrayRow)
