"""Rows of different lengths share one call where the manifest pads them, and each gets the answer it gets alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.serving.formats import networks, padding, rows
from fairlead.serving.formats.golden_answers import differs_hint
from fairlead.serving.formats.strict import strict
from fairlead.serving.inference import lines
from support.own_format import OwnFormat

IDS = {"name": "ids", "datatype": "INT64", "shape": [-1, -1], "padding": {}}
TWICE = {"name": "twice", "datatype": "INT64", "shape": [-1, -1], "cut_to": "ids"}
TOTAL = {"name": "total", "datatype": "INT64"}
LISTS = st.lists(st.lists(st.integers(-9, 9), max_size=6), min_size=1, max_size=6)


class Doubles(OwnFormat):
    """A network with an answer for each element of its first input, and one for each row."""

    def __init__(self) -> None:
        self.given: list[Mapping[str, np.ndarray]] = []

    def run(self, arrays: Mapping[str, np.ndarray], wanted: Sequence[str]) -> Sequence[Any]:
        self.given.append(arrays)
        first = next(iter(arrays.values()))
        answers = {"twice": first * 2, "total": first.reshape(len(first), -1).sum(axis=1), "wide": first.repeat(2, 1)}
        return [answers[name] for name in wanted]


def manifest(inputs: Sequence[dict[str, Any]], outputs: Sequence[dict[str, Any]], **fields: Any) -> Manifest:
    stated = {"name": "m", "version": "1", "format": "onnx", "artifact": {"path": "a", "sha256": "0" * 64}}
    return Manifest.model_validate(stated | {"inputs": inputs, "outputs": outputs} | fields)


def answers(
    network: Doubles, inputs: Sequence[dict[str, Any]], outputs: Sequence[dict[str, Any]], given: list[dict[str, Any]]
) -> Any:
    model = networks.model_class(manifest(inputs, outputs), network)()
    model.load(Path())
    kind = strict(model.row_type)
    return [answer.model_dump() for answer in rows.answer(model, [kind.model_validate(one) for one in given])]


@given(LISTS, st.sampled_from([[], [6], [2, 4, 8]]))
def test_each_row_gets_in_a_padded_batch_what_it_gets_alone(lists: list[list[int]], to: list[int]) -> None:
    network = Doubles()
    inputs = [IDS | {"padding": {"value": 0, "to": to}}]
    found = answers(network, inputs, [TWICE, TOTAL], [{"ids": one} for one in lists])
    assert found == [{"twice": [2 * value for value in one], "total": sum(one)} for one in lists]
    assert len(network.given) == 1


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=5), st.data())
def test_several_open_dimensions_are_padded_and_cut_together(
    shapes: list[tuple[int, int]], data: st.DataObject
) -> None:
    values = [
        data.draw(st.lists(st.lists(st.integers(0, 9), min_size=wide, max_size=wide), min_size=high, max_size=high))
        for high, wide in shapes
    ]
    grid, twice = IDS | {"shape": [-1, -1, -1]}, TWICE | {"shape": [-1, -1, -1]}
    found = answers(Doubles(), [grid], [twice], [{"ids": one} for one in values])
    assert [one["twice"] for one in found] == [(np.array(one) * 2).tolist() for one in values]


def test_shorter_rows_get_the_value_at_their_end() -> None:
    network = Doubles()
    answers(network, [IDS | {"padding": {"value": -1}}], [TOTAL], [{"ids": [5]}, {"ids": [6, 7, 8]}])
    assert network.given[0]["ids"].tolist() == [[5, -1, -1], [6, 7, 8]]


@pytest.mark.parametrize(("lengths", "size"), [([3], 4), ([4], 4), ([5, 1], 16), ([0], 4)])
def test_a_network_sees_only_the_lengths_that_are_named(lengths: list[int], size: int) -> None:
    network = Doubles()
    given = [{"ids": [1] * length} for length in lengths]
    answers(network, [IDS | {"padding": {"to": [4, 16]}}], [TOTAL], given)
    assert network.given[0]["ids"].shape == (len(lengths), size)


def test_a_row_longer_than_the_last_of_the_named_lengths_is_refused() -> None:
    with pytest.raises(ValidationError, match="at most 4 items"):
        answers(Doubles(), [IDS | {"padding": {"to": [2, 4]}}], [TOTAL], [{"ids": [1] * 5}])


def test_an_output_that_has_not_the_length_of_its_input_is_the_model_s_failure() -> None:
    wide = TWICE | {"name": "wide"}
    with pytest.raises(errors.ModelFailed, match=r"wide has the lengths \[4\], and its input ids was padded to \[2\]"):
        answers(Doubles(), [IDS], [wide], [{"ids": [1, 2]}])


def test_inputs_without_padding_are_still_computed_in_groups() -> None:
    network = Doubles()
    other = {"name": "other", "datatype": "INT64", "shape": [-1, -1]}
    given = [{"ids": [1], "other": [1]}, {"ids": [1, 2], "other": [1]}, {"ids": [1], "other": [1, 2]}]
    answers(network, [IDS, other], [TOTAL], given)
    assert [len(arrays["ids"]) for arrays in network.given] == [2, 1]


def test_a_network_of_one_length_serves_shorter_rows_if_they_are_padded_to_it() -> None:
    network = Doubles()
    own = manifest(
        [{"name": "ids", "datatype": "INT64", "shape": [-1, 4]}], [TWICE | {"shape": [-1, 4], "cut_to": None}]
    )
    network.inputs, network.outputs = own.inputs, own.outputs
    assert answers(network, [IDS | {"padding": {"to": [4]}}], [TWICE], [{"ids": [1, 2]}]) == [{"twice": [2, 4]}]
    with pytest.raises(errors.Invalid, match=r"ids is INT64 \[-1, -1\], and in the model INT64 \[-1, 4\]"):
        answers(network, [IDS | {"padding": {"to": [2, 4]}}], [TWICE], [{"ids": [1, 2]}])


def test_requests_of_other_padded_lengths_wait_in_one_line() -> None:
    assert lines.line_of(manifest([IDS], [TOTAL])) is None
    assert lines.line_of(manifest([IDS | {"padding": None}], [TOTAL])) is not None


def test_inputs_that_share_a_dimension_must_be_padded_alike() -> None:
    names = {"ids": ["batch", "length"], "mask": ["batch", "length"]}
    alike = manifest([IDS, IDS | {"name": "mask", "padding": {"value": 1}}], [TOTAL])
    padding.check_shared(alike.inputs, names)
    for other in ({}, {"padding": {"to": [4]}}):
        mask = {"name": "mask", "datatype": "INT64", "shape": [-1, -1]} | other
        with pytest.raises(errors.Invalid, match="ids and mask share the dimension 'length'"):
            padding.check_shared(manifest([IDS, mask], [TOTAL]).inputs, names)


@pytest.mark.parametrize(
    ("inputs", "outputs", "sentence"),
    [
        ([IDS | {"shape": [-1, 3]}], [TOTAL], "for an input with an open dimension"),
        ([IDS | {"datatype": "BYTES"}], [TOTAL], "for numbers, not for BYTES"),
        ([IDS | {"datatype": "INT8", "padding": {"value": 128}}], [TOTAL], "128 is no value of INT8"),
        ([IDS | {"datatype": "UINT8", "padding": {"value": -1}}], [TOTAL], "-1 is no value of UINT8"),
        ([IDS | {"padding": {"value": 0.5}}], [TOTAL], "0.5 is no value of INT64"),
        ([IDS | {"datatype": "FP16", "padding": {"value": 1e9}}], [TOTAL], "is no value of FP16"),
        ([IDS | {"datatype": "FP32", "padding": {"value": float("nan")}}], [TOTAL], "nan is no value of FP32"),
        ([IDS | {"datatype": "BOOL", "padding": {"value": 2}}], [TOTAL], "2 is no value of BOOL"),
        ([IDS | {"padding": {"value": True}}], [TOTAL], "True is no value of INT64"),
        ([IDS | {"padding": {"to": [4, 2]}}], [TOTAL], "from the shortest to the longest"),
        ([IDS | {"padding": {"to": [4, 4]}}], [TOTAL], "each once"),
        ([IDS | {"padding": {"to": [0]}}], [TOTAL], "greater than or equal to 1"),
        ([IDS | {"shape": [-1, -1, -1], "padding": {"to": [4]}}], [TOTAL], "is for one open dimension"),
        ([IDS], [TWICE | {"cut_to": None}], "such as `cut_to: ids`"),
        ([IDS], [TWICE | {"cut_to": "mask"}], "names 'mask', which is no padded input"),
        ([IDS], [TOTAL | {"cut_to": "ids"}], "has not as many open dimensions as 'ids'"),
        ([IDS | {"cut_to": "ids"}], [TOTAL], "cut_to is for outputs"),
        ([IDS], [TWICE | {"padding": {}}], "padding is for inputs"),
    ],
)
def test_a_manifest_that_pads_what_cannot_be_padded_is_refused(
    inputs: list[dict[str, Any]], outputs: list[dict[str, Any]], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        manifest(inputs, outputs)


@pytest.mark.parametrize("fields", [{"format": "joblib"}, {"entry": "m:M"}])
def test_only_networks_without_a_class_are_padded(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="padding is for the formats of networks, without a class"):
        manifest([IDS], [TOTAL], **fields)


def test_a_network_that_reads_the_padding_is_told_to_ignore_it() -> None:
    assert "by a mask" in differs_hint(manifest([IDS], [TOTAL]))
    plain = IDS | {"padding": None}
    assert "by a mask" not in differs_hint(manifest([plain], [TOTAL]))
