from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from fairlead.contracts.manifest import Manifest, Tensor

PLAIN: dict[str, Any] = {"name": "iris", "version": "1.0.0", "format": "python", "entry": "model:Iris"}
TENSORS: dict[str, Any] = {
    "inputs": [{"name": "x", "datatype": "FP64"}],
    "outputs": [{"name": "y", "datatype": "FP64"}],
}
ARTIFACT = {"path": "a/b.bin", "sha256": "0" * 64}
WITHOUT_CLASS: dict[str, Any] = {"name": "m", "version": "1", "format": "joblib", "artifact": ARTIFACT} | TENSORS


def wrong(data: dict[str, Any]) -> list[tuple[Any, ...]]:
    with pytest.raises(ValidationError) as caught:
        Manifest.model_validate(data)
    return [error["loc"] for error in caught.value.errors()]


def test_the_documented_defaults() -> None:
    manifest = Manifest.model_validate(PLAIN)
    assert (manifest.batching.max_rows, manifest.batching.max_wait_ms) == (64, 0)
    assert (manifest.rtol, manifest.idempotent, manifest.version_skew) == (1e-5, True, "refuse")


def test_a_manifest_is_the_same_after_json() -> None:
    manifest = Manifest.model_validate(PLAIN | {"built_with": {"numpy": "2.0"}, "tags": ["a"], "artifact": ARTIFACT})
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest


@pytest.mark.parametrize(
    ("change", "loc"),
    [
        ({"name": "Iris"}, ("name",)),
        ({"name": "iris_1"}, ("name",)),
        ({"name": "-iris"}, ("name",)),
        ({"name": "i" * 41}, ("name",)),
        ({"version": "1.0~1"}, ("version",)),
        ({"version": "1.0.0\n"}, ("version",)),
        ({"version": 1.1}, ("version",)),
        ({"format": "onyx"}, ("format",)),
        ({"entry": "Iris"}, ("entry",)),
        ({"artifact": {"path": "a", "sha256": "0" * 63}}, ("artifact", "sha256")),
        ({"batching": {"max_rows": 0}}, ("batching", "max_rows")),
        ({"batching": {"max_wait_ms": -1}}, ("batching", "max_wait_ms")),
        ({"unknown": 1}, ("unknown",)),
        ({"contact": {"title": "x"}}, ("contact", "name")),
        ({"version_skew": "ignore"}, ("version_skew",)),
    ],
)
def test_a_wrong_field_is_named_by_its_path(change: dict[str, Any], loc: tuple[Any, ...]) -> None:
    assert loc in wrong(PLAIN | change)


@pytest.mark.parametrize("path", ["/etc/passwd", "../model.bin", "a/../../b", "a\\b", "", "."])
@pytest.mark.parametrize("field", ["golden", "profile"])
def test_paths_stay_in_the_folder(path: str, field: str) -> None:
    assert wrong(PLAIN | {field: path}) == [(field,)]
    assert wrong(PLAIN | {"artifact": {"path": path, "sha256": "0" * 64}}) == [("artifact", "path")]


@given(st.lists(st.from_regex(r"[a-z0-9_][a-z0-9_.-]{0,6}", fullmatch=True), min_size=1, max_size=3))
def test_paths_inside_the_folder_are_kept_as_written(parts: list[str]) -> None:
    assert Manifest.model_validate(PLAIN | {"golden": "/".join(parts)}).golden == "/".join(parts)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (PLAIN | {"entry": None} | TENSORS, "format 'python' needs `entry"),
        (PLAIN | {"format": "pickle"}, "format 'pickle' needs `artifact"),
        (WITHOUT_CLASS | {"outputs": []}, "both `inputs` and `outputs` must be declared"),
        (WITHOUT_CLASS | {"inputs": TENSORS["inputs"] * 2}, "`inputs` names 'x' twice"),
        (WITHOUT_CLASS | {"inputs": [{"name": "copy", "datatype": "FP64"}]}, "'copy', which cannot be a field's name"),
        (WITHOUT_CLASS | {"outputs": [{"name": "_y", "datatype": "FP64"}]}, "'_y', which cannot be a field's name"),
    ],
)
def test_fields_that_do_not_go_together_are_refused_with_the_reason(data: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Manifest.model_validate(data)


@pytest.mark.parametrize("shape", [[], [4], [-1, 0], [-1, -2]])
def test_a_tensor_s_first_dimension_is_the_batch_and_the_others_are_sizes(shape: list[int]) -> None:
    with pytest.raises(ValidationError):
        Tensor.model_validate({"name": "x", "datatype": "FP64", "shape": shape})


@given(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True))
def test_every_dns_label_of_up_to_forty_characters_is_a_name(name: str) -> None:
    assert Manifest.model_validate(PLAIN | {"name": name}).name == name


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"datatype": "BYTES", "choices": ["a", "a"]}, "names a value twice"),
        ({"datatype": "BYTES", "choices": [1]}, "1 of `choices` is no value of BYTES"),
        ({"datatype": "INT64", "choices": ["1"]}, "'1' of `choices` is no value of INT64"),
        ({"datatype": "FP64", "choices": [1]}, "`choices` are for BYTES and for integers"),
        ({"datatype": "BYTES", "choices": [True]}, "choices"),
        ({"datatype": "BYTES", "minimum": 1}, "`minimum` and `maximum` are for numbers"),
        ({"datatype": "FP64", "minimum": 2, "maximum": 1}, "the minimum 2 is above the maximum 1"),
        (
            {"datatype": "FP32", "shape": [-1, 3], "labels": {"file": "names.txt", "top": 1}, "minimum": 0},
            "an output with `labels` have no `minimum`",
        ),
        ({"datatype": "FP64", "shape": [-1, 2], "nullable": True}, r"only an input or output of shape \[-1\]"),
        ({"datatype": "BYTES", "column_type": "category"}, "a category column needs `choices`"),
        ({"datatype": "BYTES", "column_type": "int64"}, "a column of the type int64 does not hold BYTES"),
        ({"datatype": "FP64", "column_type": "str"}, "a column of the type str does not hold FP64"),
        ({"datatype": "BOOL", "column_type": "float64"}, "a column of the type float64 does not hold BOOL"),
        ({"datatype": "FP64", "column_type": "Int64"}, "a fraction would be lost"),
        ({"datatype": "INT64", "column_type": "int64", "nullable": True}, "holds no missing value"),
        ({"datatype": "BOOL", "column_type": "bool", "nullable": True}, "holds no missing value"),
        ({"datatype": "BYTES", "missing": "None"}, "`missing: None` is for an `object` column"),
    ],
)
def test_what_a_tensor_says_of_its_values_and_its_column_must_fit_together(stated: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Tensor.model_validate({"name": "x", **stated})


def test_two_inputs_of_one_column_are_refused() -> None:
    inputs = [{"name": name, "datatype": "FP64", "column": "c"} for name in ("x", "y")]
    with pytest.raises(ValidationError, match="`inputs` names the column 'c' twice"):
        Manifest.model_validate(WITHOUT_CLASS | {"inputs": inputs})


@pytest.mark.parametrize("stated", [{"nullable": True}, {"column": "c"}, {"column_type": "float64"}])
def test_an_output_has_no_null_and_no_column(stated: dict[str, Any]) -> None:
    outputs = [{"name": "y", "datatype": "FP64", **stated}]
    with pytest.raises(ValidationError, match="nullable, column, column_type and image are for inputs"):
        Manifest.model_validate(WITHOUT_CLASS | {"outputs": outputs})
