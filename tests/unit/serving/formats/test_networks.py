"""A network without a class: its fields are its tensors, and each row gets its own answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts.manifest import Manifest, Tensor
from fairlead.serving.formats import networks, rows
from fairlead.serving.formats.row_forms import RowForm
from fairlead.serving.formats.strict import strict
from support.own_format import OwnFormat

X = Tensor(name="x", datatype="FP32", shape=(-1, 2))
Y = Tensor(name="y", datatype="FP32", shape=(-1,))


class Sums(OwnFormat):
    """A network that adds up the first input of each row. It keeps what it was given."""

    def __init__(
        self, inputs: Sequence[Tensor] | None = None, outputs: Sequence[Tensor] | None = None, result: Any = None
    ) -> None:
        self.inputs = None if inputs is None else tuple(inputs)
        self.outputs = None if outputs is None else tuple(outputs)
        self.given: list[Mapping[str, np.ndarray]] = []
        self.result = result

    def run(self, arrays: Mapping[str, np.ndarray], wanted: Sequence[str]) -> Sequence[Any]:
        self.given.append(arrays)
        first = next(iter(arrays.values()))
        answer = first.reshape(len(first), -1).sum(axis=1) if self.result is None else self.result
        return [answer for _ in wanted]


def answers(network: Sums, inputs: Sequence[Tensor], outputs: Sequence[Tensor], given: list[dict[str, Any]]) -> Any:
    stated = {"name": "m", "version": "1", "format": "onnx", "artifact": {"path": "a", "sha256": "0" * 64}}
    manifest = Manifest.model_validate(stated | {"inputs": inputs, "outputs": outputs})
    model = networks.model_class(manifest, network)()
    model.load(Path())
    kind = strict(model.row_type)
    return [answer.model_dump() for answer in rows.answer(model, [kind.model_validate(one) for one in given])]


def test_each_field_becomes_an_array_of_its_own_datatype() -> None:
    inputs = [
        X,
        Tensor(name="n", datatype="INT32"),
        Tensor(name="b", datatype="BOOL"),
        Tensor(name="t", datatype="BYTES"),
    ]
    network = Sums(inputs, [Y])
    given = [{"x": [1, 2], "n": 3, "b": True, "t": "a"}, {"x": [3, 4.5], "n": -4, "b": False, "t": "bc"}]
    assert answers(network, inputs, [Y], given) == [{"y": 3.0}, {"y": 7.5}]
    types = {name: (array.dtype.name, array.shape) for name, array in network.given[0].items()}
    assert types == {"x": ("float32", (2, 2)), "n": ("int32", (2,)), "b": ("bool", (2,)), "t": ("object", (2,))}


def test_rows_of_different_lengths_are_computed_in_groups_and_answered_in_their_order() -> None:
    open_x = Tensor(name="x", datatype="FP32", shape=(-1, -1))
    network = Sums([open_x], [Y])
    given: list[dict[str, Any]] = [{"x": [1, 2]}, {"x": [3]}, {"x": [4, 5]}, {"x": []}]
    assert answers(network, [open_x], [Y], given) == [{"y": 3.0}, {"y": 3.0}, {"y": 9.0}, {"y": 0.0}]
    assert [len(arrays["x"]) for arrays in network.given] == [2, 1, 1]


def test_last_dimensions_of_one_may_be_left_out_of_the_manifest() -> None:
    own = Tensor(name="x", datatype="FP32", shape=(-1, 1))
    network = Sums([own], [Tensor(name="y", datatype="FP32", shape=(-1, 1))])
    assert answers(network, [Tensor(name="x", datatype="FP32")], [Y], [{"x": 1.5}]) == [{"y": 1.5}]
    assert network.given[0]["x"].shape == (1, 1)


@pytest.mark.parametrize(
    ("inputs", "outputs", "sentence"),
    [
        ([X.model_copy(update={"name": "z"})], [Y], "inputs: missing: x; unknown: z"),
        ([X, Y], [Y], "inputs: unknown: y"),
        ([X], [Y.model_copy(update={"name": "z"})], "outputs: unknown: z"),
        ([X.model_copy(update={"datatype": "FP64"})], [Y], r"x is FP64 \[-1, 2\], and in the model FP32 \[-1, 2\]"),
        ([X.model_copy(update={"shape": (-1, 3)})], [Y], r"x is FP32 \[-1, 3\], and in the model FP32 \[-1, 2\]"),
        ([X.model_copy(update={"shape": (-1,)})], [Y], r"x is FP32 \[-1\], and in the model FP32 \[-1, 2\]"),
        ([X.model_copy(update={"shape": (-1, 2, 1)})], [Y], r"x is FP32 \[-1, 2, 1\]"),
    ],
)
def test_a_manifest_that_does_not_fit_the_network_is_refused(
    inputs: list[Tensor], outputs: list[Tensor], sentence: str
) -> None:
    with pytest.raises(errors.Invalid, match=sentence) as refused:
        answers(Sums([X], [Y]), inputs, outputs, [])
    assert "The model has the" in (refused.value.hint or "")


@pytest.mark.parametrize(
    ("form", "arrays"),
    [(RowForm.A_BATCH_OF_ONE, [[[1, 2]], [[3, 4]]]), (RowForm.A_WHOLE_CALL, [[1, 2], [3, 4]])],
)
def test_a_network_that_takes_one_row_is_called_once_for_each(form: RowForm, arrays: list[Any]) -> None:
    network = Sums([X], [Y], None if form is RowForm.A_BATCH_OF_ONE else np.float32(5))
    network.row_form = form
    found = answers(network, [X], [Y], [{"x": [1, 2]}, {"x": [3, 4]}])
    assert found == ([{"y": 3.0}, {"y": 7.0}] if network.result is None else [{"y": 5.0}, {"y": 5.0}])
    assert [given["x"].tolist() for given in network.given] == arrays


def test_an_output_may_be_left_out() -> None:
    networks.agreed("outputs", [Y], [Y, X])


@pytest.mark.parametrize(
    ("result", "sentence"),
    [
        (np.zeros((2, 3), np.float32), r"returned an array of the shape \[2, 3\]"),
        (np.zeros(1, np.float32), "its first dimension must be the rows"),
        (np.array([np.nan, 1.0], np.float32), "output y: the model's answer is not of the declared type"),
    ],
)
def test_an_answer_of_another_shape_or_without_a_value_is_the_model_s_failure(result: Any, sentence: str) -> None:
    with pytest.raises(errors.ModelFailed, match=sentence):
        answers(Sums([X], [Y], result), [X], [Y], [{"x": [1, 2]}, {"x": [3, 4]}])


@pytest.mark.parametrize(
    ("name", "field"),
    [("x", "x"), ("input_1:0", "input_1_0"), ("dense/kernel", "dense_kernel"), ("1", "x1"), ("_x", "x_x"), ("", "x"),
     ("copy", "copy_"), ("a" * 99, "a" * 64)],
)  # fmt: skip
def test_the_name_of_a_tensor_becomes_that_of_a_field(name: str, field: str) -> None:
    assert networks.field_name(name) == field
    assert Tensor(name=field, datatype="FP32").name == field


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        (None, "does not say its shape"),
        ((), "has no dimension where the rows of a batch must be"),
        ((1, 3), "has the fixed size 1 where the rows"),
        ((None, 10**6, 10**6), "has 1000000000000 values in each row, more than 4194304"),
    ],
)
def test_a_tensor_that_cannot_be_a_field_of_a_row_is_refused(
    shape: tuple[int | None, ...] | None, sentence: str
) -> None:
    with pytest.raises(errors.Invalid, match=sentence):
        networks.tensor("input", "x", "FP32", shape)


def test_two_tensors_of_the_same_field_are_refused() -> None:
    with pytest.raises(errors.Invalid, match="two would be the field 'x'"):
        networks.distinct("input", [X, X])
