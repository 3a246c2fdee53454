"""What is said of an ONNX file that cannot be written. tests/integration/formats/test_new.py writes folders of some."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.serving.new.folder import write
from support import onnx_files


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if onnxruntime were installed; it is not asked for anything."""
    monkeypatch.setitem(sys.modules, "onnxruntime", types.ModuleType("onnxruntime"))


def refused(tmp_path: Path, file: Path, data: Path | None = None) -> errors.FairleadError:
    with pytest.raises(errors.FairleadError) as caught:
        write("net", "1.0.0", file, tmp_path / "out", sha256=None, data=data)
    assert not (tmp_path / "out").exists()
    return caught.value


def onnx(tmp_path: Path, *tensors: bytes) -> Path:
    inputs, outputs = [onnx_files.value("x", [None, 3])], [onnx_files.value("y", [None, 2])]
    file = tmp_path / "net.onnx"
    file.write_bytes(onnx_files.model(inputs, outputs, tensors))
    return file


def test_without_onnxruntime_the_error_says_what_to_install_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert "pip install" in str(refused(tmp_path, onnx(tmp_path)).hint)


def test_a_missing_file_and_a_damaged_one_are_said(tmp_path: Path, runtime: None) -> None:
    assert isinstance(refused(tmp_path, tmp_path / "none.onnx"), errors.NotFound)
    file = onnx(tmp_path)
    file.write_bytes(file.read_bytes()[:-3])
    assert "not a complete ONNX file" in refused(tmp_path, file).message


def test_a_file_with_weights_in_other_files_has_to_be_given_with_its_folder(tmp_path: Path, runtime: None) -> None:
    error = refused(tmp_path, onnx(tmp_path, onnx_files.tensor("w", {"location": "w.bin"})))
    assert "has its weights in other files: w.bin" in error.message
    assert "--from FOLDER" in str(error.hint)


def test_a_sample_is_refused_if_an_input_is_more_than_a_row_of_values(tmp_path: Path, runtime: None) -> None:
    file = tmp_path / "net.onnx"
    image = onnx_files.value("image", [None, 3, 8, 8])
    file.write_bytes(onnx_files.model([image], [onnx_files.value("y", [None, 2])]))
    error = refused(tmp_path, file, data=tmp_path / "rows.csv")
    assert "the input image of the model is an array of the shape [-1, 3, 8, 8]" in error.message
    assert "Leave --data out" in str(error.hint)


def test_a_sample_of_another_width_is_refused_with_both_numbers(tmp_path: Path, runtime: None) -> None:
    (tmp_path / "rows.csv").write_text("a,b\n1,2\n")
    error = refused(tmp_path, onnx(tmp_path), data=tmp_path / "rows.csv")
    assert "rows.csv has 2 columns, and the input x of the model has 3 values" in error.message
