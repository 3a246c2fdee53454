"""Inputs of a network that share an open dimension have one size there, in every protocol."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.serving.formats import shared_dimensions
from fairlead.serving.formats.folder import ModelFolder, load_folder
from fairlead.serving.formats.made_up_rows import made_up
from fairlead.serving.http import json_protocols
from fairlead.serving.inference.admission import DecodedRequest
from fairlead.serving.inference.contract import Contract
from fairlead.serving.open_inference import interface
from support import folders
from support.onnx_files import model, value

Decode = Callable[[dict[str, Any]], DecodedRequest]
OF_ONE_ROW = ("predict", "v1", "v2")


def folder(tmp_path: Path, *inputs: tuple[str, Sequence[int | str | None]], **fields: Any) -> ModelFolder:
    """A folder with an ONNX file that has these inputs."""
    file = model([value(name, shape) for name, shape in inputs], [value("y", ["batch"])])
    digest = hashlib.sha256(file).hexdigest()
    made = folders.make(tmp_path / "m", artifact=file, golden=(), without=["entry"], format="onnx", **fields)
    text = (made / "fairlead.yaml").read_text()
    assert digest in text
    return load_folder(made)


def decoders(served: ModelFolder) -> dict[str, Decode]:
    """Functions that decode a row with each protocol."""
    terms = Contract(served.row_type, served.answer_type, 10)
    plain, v1, tensors = (
        json_protocols.plain(terms),
        json_protocols.kserve_v1(terms),
        interface.OpenInference(terms, served.manifest),
    )
    return {
        "predict": lambda row: plain(json.dumps(row).encode()),
        "v1": lambda row: v1(json.dumps({"instances": [row]}).encode()),
        "v2": lambda row: tensors.decode(json.dumps({"inputs": tensors.as_tensors([row])}).encode()),
    }


@pytest.mark.parametrize("protocol", OF_ONE_ROW)
def test_a_row_whose_inputs_differ_in_a_shared_dimension_is_refused_with_both_names(
    tmp_path: Path, protocol: str
) -> None:
    decode = decoders(folder(tmp_path, ("x", ["batch", "n"]), ("m", ["batch", "n"])))[protocol]
    assert decode({"x": [1, 2], "m": [1, 0]}).rows[0].m == [1, 0]
    with pytest.raises(errors.Invalid, match="dimension 'n' is 1 in 'm' and 2 in 'x'; it must be the same") as refused:
        decode({"x": [1, 2], "m": [1]})
    assert refused.value.details[0].type == "shared_dimension"


@pytest.mark.parametrize(
    ("x", "m", "row"),
    [
        (["batch", "n"], ["batch", "k"], {"x": [1, 2], "m": [1]}),
        (["batch", None], ["batch", None], {"x": [1, 2], "m": [1]}),
        (["batch", "n"], ["batch", 1], {"x": [1, 2], "m": [1]}),
        (["batch", 2, "k"], ["batch", "k"], {"x": [[1, 2, 3], [4, 5, 6]], "m": [1, 2, 3]}),
    ],
)
def test_dimensions_with_other_names_or_none_may_differ(
    tmp_path: Path, x: list[Any], m: list[Any], row: dict[str, Any]
) -> None:
    assert decoders(folder(tmp_path, ("x", x), ("m", m)))["predict"](row).rows


@pytest.mark.parametrize(
    ("x", "m", "row", "said"),
    [
        (["batch", 2, "k"], ["batch", "k"], {"x": [[1, 2, 3], [4, 5, 6]], "m": [1, 2]}, "'k' is 2 in 'm' and 3 in 'x'"),
        (["batch", "n", "n"], ["batch"], {"x": [[1, 2, 3], [4, 5, 6]], "m": 1}, "'n' is 3 in 'x' and 2 in 'x'"),
        (["batch", "n", "k"], ["batch", "n"], {"x": [[1]], "m": []}, "'n' is 0 in 'm' and 1 in 'x'"),
    ],
)
def test_inner_dimensions_are_compared_too(
    tmp_path: Path, x: list[Any], m: list[Any], row: dict[str, Any], said: str
) -> None:
    with pytest.raises(errors.Invalid, match=said):
        decoders(folder(tmp_path, ("x", x), ("m", m)))["predict"](row)


def test_the_names_count_where_the_manifest_declares_the_inputs(tmp_path: Path) -> None:
    declared = [{"name": name, "datatype": "FP32", "shape": [-1, size]} for name, size in (("x", 2), ("m", -1))]
    outputs = [{"name": "y", "datatype": "FP32"}]
    served = folder(tmp_path, ("x", ["batch", "n"]), ("m", ["batch", "n"]), inputs=declared, outputs=outputs)
    with pytest.raises(errors.Invalid, match="'n' is 1 in 'm' and 2 in 'x'"):
        decoders(served)["predict"]({"x": [1, 2], "m": [1]})


def test_a_file_that_is_cut_off_is_no_error_before_it_is_loaded(tmp_path: Path) -> None:
    declared = [{"name": "x", "datatype": "FP32", "shape": [-1, -1]}]
    served = folder(tmp_path, ("x", ["batch", "n"]), inputs=declared, outputs=[{"name": "y", "datatype": "FP32"}])
    file = served.folder / "artifact.bin"
    file.write_bytes(file.read_bytes()[:-3])
    assert load_folder(served.folder).row_type.model_fields.keys() == {"x"}


def test_rows_can_still_be_made_up(tmp_path: Path) -> None:
    served = folder(tmp_path, ("x", ["batch", "n", "k"]), ("m", ["batch", "n"]), ("w", ["batch", "k"]))
    rows = made_up(served.row_type, 8)
    assert len({len(row["m"]) for row in rows}) > 1


def test_a_last_dimension_that_the_manifest_leaves_out_is_not_compared() -> None:
    inputs = [Tensor(name="x", datatype="FP32", shape=(-1, -1)), Tensor(name="m", datatype="FP32")]
    assert shared_dimensions.checks(inputs, {"x": ("batch", "n"), "m": ("batch", "n")}) == {}
