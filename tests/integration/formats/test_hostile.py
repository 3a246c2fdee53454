"""Damaged and hostile artifacts are refused with a sentence, and nothing of them runs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead import errors
from fairlead.serving.formats.folder import load_folder
from support import onnx_files
from support.formats import graphs_of_bytes as hostile


def folder(path: Path, artifact: bytes | dict[str, bytes], **manifest: Any) -> Path:
    """A model folder with this artifact: a file, or a folder of files."""
    path.mkdir()
    stated: dict[str, Any] = {"name": "m", "version": "1.0.0", "format": "onnx"} | manifest
    if isinstance(artifact, bytes):
        (path / "model.onnx").write_bytes(artifact)
        digest = hashlib.sha256(artifact).hexdigest()
        stated["artifact"] = {"path": "model.onnx", "sha256": digest}
    else:
        (path / "artifact").mkdir()
        for name, data in artifact.items():
            (path / "artifact" / name).write_bytes(data)
        listed = "".join(f"{hashlib.sha256(data).hexdigest()}  ./{name}\n" for name, data in sorted(artifact.items()))
        stated["artifact"] = {"path": "artifact", "sha256": hashlib.sha256(listed.encode()).hexdigest()}
    (path / "fairlead.yaml").write_text(yaml.safe_dump(stated))
    return path


def refused(path: Path) -> str:
    """Why the folder is not served: one sentence, without a place in a library's source."""
    with pytest.raises(errors.FairleadError) as caught:
        load_folder(path).start()
    message = f"{caught.value.message}\n  {caught.value.hint or ''}"
    assert "Traceback" not in message
    assert "onnxruntime_src" not in message
    assert "\n" not in caught.value.message
    return message


SENTENCES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is not a complete ONNX file"),
    "cut off": (lambda: hostile.dense()[:600], "is not a complete ONNX file: it ends in the middle of a field"),
    "zip": (lambda: hostile.zip_bomb(), "is not a"),
    "pickle": (lambda: hostile.pickle_with_code(), "is not a"),
    "yaml": (lambda: b"name: m\nversion: 1\n", "is not a"),
    "operator set of the future": (lambda: hostile.dense(opset=99), r"Opset 99 is under development.*ai\.onnx 99"),
    "IR of the future": (lambda: hostile.dense(ir=99), "Unsupported model IR version: 99"),
    "operator of its own": (lambda: hostile.one_node("Evil", domain="my.code"), "operators of its own"),
    "operator that does not exist": (lambda: hostile.one_node("Evil"), "No Op registered for Evil"),
    "missing weights": (lambda: hostile.without_weights(), "cannot load"),
    "weights of another size": (lambda: hostile.wrong_weights(), "cannot load"),
    "a batch beside a fixed tensor": (
        lambda: hostile.added(("rows", 3), (1, 3)),
        "has the fixed size 1 where the rows of a batch must be",
    ),
    "a huge row": (lambda: hostile.shaped("rows", 2**31, 2**31), "values in each row, more than 4194304"),
    "brain floats": (lambda: hostile.shaped("rows", 3, element=16), "Add a Cast to FLOAT"),
    "a map": (lambda: onnx_files.model([onnx_files.value("x", ["n", 3])], [onnx_files.value("y", [], 0)]), "zipmap"),
    "no input": (lambda: onnx_files.model([], [onnx_files.value("y", ["n"])]), "there are 0; a model has 1"),
    "weights above the folder": (lambda: hostile.outside("../secret"), "which is outside the artifact"),
    "weights of the system": (lambda: hostile.outside("/etc/passwd"), "which is outside the artifact"),
    "weights that are absent": (lambda: hostile.outside("w.bin"), "which the artifact does not contain"),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_a_file_that_cannot_be_served_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    artifact, sentence = SENTENCES[name]
    (tmp_path / "secret").write_bytes(b"\0" * 64)
    found = refused(folder(tmp_path / "m", artifact()))
    assert hostile.matches(sentence, found), found


def test_a_folder_with_weights_of_their_own_is_served_from_its_private_copy(tmp_path: Path) -> None:
    files = {"model.onnx": hostile.outside("w.bin"), "w.bin": hostile.WEIGHTS}
    served = load_folder(folder(tmp_path / "m", files)).start()
    (row,) = [served.row_type.model_validate({"x": [1.0, 2.0, 3.0]})]
    assert served.predict([row])[0].model_dump() == {"y": [2.0, 3.0, 4.0]}


def test_a_folder_whose_weights_are_cut_off_is_refused(tmp_path: Path) -> None:
    files = {"model.onnx": hostile.outside("w.bin", length=12), "w.bin": hostile.WEIGHTS[:8]}
    assert r"w.bin is not complete" in refused(folder(tmp_path / "m", files))


def test_a_folder_with_two_models_is_refused(tmp_path: Path) -> None:
    files = {"a.onnx": hostile.dense(), "b.onnx": hostile.dense()}
    assert "has 2 files *.onnx; it must have one" in refused(folder(tmp_path / "m", files))


def test_a_graph_that_changed_after_the_manifest_was_written_is_refused(tmp_path: Path) -> None:
    tensors = [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    found = refused(folder(tmp_path / "m", hostile.shaped("rows", 3), inputs=tensors, outputs=tensors))
    assert "x is FP32 [-1, 4], and in the model FP32 [-1, 3]" in found


def test_a_call_that_needs_more_memory_than_there_is_fails_and_the_next_one_is_answered(tmp_path: Path) -> None:
    served = load_folder(folder(tmp_path / "m", hostile.huge_result())).start()
    small, large = (served.row_type.model_validate({"n": [size]}) for size in (1, 2**50))
    with pytest.raises(errors.ModelFailed, match="onnxruntime cannot compute these rows"):
        served.predict([large])
    assert served.predict([small])[0].model_dump() == {"y": 1.0}
