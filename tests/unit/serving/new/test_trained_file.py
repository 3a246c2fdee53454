from __future__ import annotations

import hashlib
import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import joblib
import pytest
from sklearn.linear_model import LinearRegression

from fairlead import errors
from fairlead.serving.new import trained_file

FITTED = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def dumped(file: Path, value: Any) -> Path:
    file.write_bytes(pickle.dumps(value))
    return file


class Runs:
    """Makes a file when it is unpickled, so that a test sees whether it was."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("compress", [0, "zlib", "gzip", "bz2", "xz", "lzma"])
def test_a_file_of_joblib_is_read_in_every_compression(tmp_path: Path, compress: Any) -> None:
    file = tmp_path / "model.joblib"
    joblib.dump(FITTED, file, compress=compress)
    found = trained_file.read(file, digest(file))
    assert found.format == "sklearn"
    assert found.value.predict([[2.0]]).tolist() == pytest.approx([4.0])


def test_a_link_to_a_pickle_is_read(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    file, link = dumped(tmp_path / "there" / "model.pkl", FITTED), tmp_path / "link"
    link.symlink_to(file)
    assert trained_file.read(link, digest(file)).format == "sklearn"


@pytest.mark.parametrize(
    ("sha256", "kind", "told"),
    [(None, errors.Refused, "runs the code in it"), ("0" * 64, errors.ArtifactRejected, "is not the file")],
)
def test_no_byte_is_unpickled_before_its_digest_was_named(
    tmp_path: Path, sha256: str | None, kind: type[errors.FairleadError], told: str
) -> None:
    mark = tmp_path / "mark"
    file = dumped(tmp_path / "model.pkl", Runs(mark))
    with pytest.raises(kind, match=told) as caught:
        trained_file.read(file, sha256)
    assert digest(file) in caught.value.message
    assert not mark.exists()
    with pytest.raises(errors.Invalid, match="has no method predict"):
        trained_file.read(file, digest(file))
    assert mark.exists()


@pytest.mark.parametrize("value", [{"a": 1}, LinearRegression, [1, 2], None], ids=str)
def test_a_file_without_an_estimator_is_refused(tmp_path: Path, value: Any) -> None:
    file = dumped(tmp_path / "model.pkl", value)
    with pytest.raises(errors.Invalid, match="holds a .*, which has no method predict or transform"):
        trained_file.read(file, digest(file))


def test_what_is_no_trained_file_is_said_without_asking_for_a_digest(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="there is no file"):
        trained_file.read(tmp_path / "none", None)
    with pytest.raises(errors.Invalid, match="is a folder, not a trained file"):
        trained_file.read(tmp_path, None)
    archive, table, empty = tmp_path / "a.zip", tmp_path / "model.json", tmp_path / "empty"
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("schema.json", json.dumps({}))
    table.write_text(json.dumps({"version": [3, 0, 0]}))
    empty.touch()
    for file, told in ((archive, "is a zip archive"), (table, "is no pickle"), (empty, "is empty")):
        with pytest.raises(errors.Invalid, match=f"{told}: its format is unknown") as caught:
            trained_file.read(file, None)
        assert caught.value.hint


def zipped(file: Path, *names: str) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "")
    return file


def test_of_a_file_of_pytorch_the_error_says_what_its_folder_needs(tmp_path: Path) -> None:
    weights = tmp_path / "net.safetensors"
    weights.write_bytes((2).to_bytes(8, "little") + b"{}")
    for file, told, needs in (
        (zipped(tmp_path / "net.pt", "net/data.pkl"), "has the weights .*, but neither its class", "torch-state-dict"),
        (zipped(tmp_path / "weights.bin", "archive/data.pkl"), "has the weights", '"entry": "net:Class"'),
        (weights, "a file of safetensors", 'Path("net.safetensors")'),
        (zipped(tmp_path / "old.pt", "old/constants.pkl", "old/data.pkl"), "TorchScript", "state_dict()"),
    ):
        with pytest.raises(errors.Invalid, match=told) as caught:
            trained_file.read(file, None)
        assert needs in str(caught.value.hint)
        assert "docs/formats-torch.md" in str(caught.value.hint)


def test_a_pickle_that_fails_says_what_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "model.pkl"
    file.write_bytes(b"\x80\x04cno_such_module\nThing\n.")
    with pytest.raises(errors.ModelFailed, match="No module named 'no_such_module'") as caught:
        trained_file.read(file, digest(file))
    assert "--code no_such_module.py" in (caught.value.hint or "")
    file.write_bytes(b"\x80\x04c__main__\nThing\n.")
    with pytest.raises(errors.ModelFailed, match="Thing") as caught:
        trained_file.read(file, digest(file))
    assert "Move what it needs" in (caught.value.hint or "")
    file.write_bytes(pickle.dumps(FITTED)[:-9])
    with pytest.raises(errors.ModelFailed, match="reading .* failed"):
        trained_file.read(file, digest(file))


def test_a_pickle_of_another_scikit_learn_is_refused_with_both_versions(tmp_path: Path) -> None:
    other = LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0])
    state = other.__getstate__()
    file = tmp_path / "model.pkl"
    written = pickle.dumps(other)
    file.write_bytes(written.replace(state["_sklearn_version"].encode(), b"0.1.1"[: len(state["_sklearn_version"])]))
    with pytest.raises(errors.Refused, match=r"built with scikit-learn 0\.1\.1, but .* is installed"):
        trained_file.read(file, digest(file))
