from __future__ import annotations

import hashlib
import pickle
from pathlib import Path
from typing import Any

import joblib
import pytest
from pydantic import ValidationError

from fairlead import errors
from fairlead.serving.formats import rows
from fairlead.serving.formats.folder import load_folder
from support import folders

CLASS_IN_THE_PICKLE = """
import joblib
from pathlib import Path
from pydantic import BaseModel
import fairlead

class Scale:
    def __init__(self, factor: float) -> None:
        self.factor = factor

class Number(BaseModel):
    value: float

class Doubler(fairlead.Model[Number, Number]):
    def load(self, artifact: Path) -> None:
        self.scale = joblib.load(artifact)

    def predict(self, rows: list[Number]) -> list[Number]:
        return [Number(value=self.scale.factor * row.value) for row in rows]
"""


class Bomb:
    """An object that creates a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.mark,))


def pickled(mark: Path, kind: str) -> bytes:
    if kind == "pickle":
        return pickle.dumps(Bomb(mark))
    path = mark.with_suffix(".dumped")
    joblib.dump(Bomb(mark), path)
    return path.read_bytes()


def declared(folder: Path, kind: str, data: bytes, stated: bytes) -> Path:
    """A folder without a class, so that Fairlead itself unpickles; its manifest states the digest of `stated`."""
    folders.make(
        folder,
        golden=(),
        without=("entry",),
        format=kind,
        artifact=data,
        inputs=[{"name": "x", "datatype": "FP64"}],
        outputs=[{"name": "y", "datatype": "FP64"}],
    )
    text = (folder / "fairlead.yaml").read_text()
    actual, other = (hashlib.sha256(some).hexdigest() for some in (data, stated))
    (folder / "fairlead.yaml").write_text(text.replace(actual, other))
    return folder


def test_a_folder_is_read_with_its_manifest_types_and_golden_rows(tmp_path: Path) -> None:
    loaded = load_folder(folders.make(tmp_path / "m"))
    assert (loaded.manifest.name, loaded.row_type.__name__, len(loaded.golden)) == ("doubler", "Number", 2)


def test_a_started_model_has_read_its_artifact_and_answers(tmp_path: Path) -> None:
    loaded = load_folder(folders.make(tmp_path / "m"))
    answers = rows.answer(loaded.start(), [row.parsed(loaded.row_type) for row in loaded.golden])
    assert [answer.model_dump() for answer in answers] == [row.expected for row in loaded.golden]


def test_a_relative_folder_is_found_after_a_change_of_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders.make(tmp_path / "m")
    monkeypatch.chdir(tmp_path)
    loaded = load_folder(Path("m"))
    monkeypatch.chdir("/")
    loaded.start()


def test_rows_are_strict_although_the_author_wrote_a_plain_model(tmp_path: Path) -> None:
    loaded = load_folder(folders.make(tmp_path / "m"))
    with pytest.raises(ValueError, match="extra_forbidden"):
        loaded.row_type.model_validate_json('{"value": 1, "more": 2}')


def test_a_model_without_an_artifact_gets_its_folder(tmp_path: Path) -> None:
    code = folders.DOUBLER.replace("artifact.read_text()", "(artifact / 'factor.txt').read_text()")
    folder = folders.make(tmp_path / "m", artifact=None, code=code)
    (folder / "factor.txt").write_text("2")
    assert load_folder(folder).start()


@pytest.mark.parametrize("kind", ["pickle", "joblib", "sklearn"])
def test_not_a_byte_of_an_artifact_with_another_digest_is_unpickled(tmp_path: Path, kind: str) -> None:
    mark, data = tmp_path / "executed", pickled(tmp_path / "executed", kind)
    loaded = load_folder(declared(tmp_path / "m", kind, data, stated=b"what was trained"))
    with pytest.raises(errors.ArtifactRejected) as caught:
        loaded.start()
    assert not mark.exists()
    assert hashlib.sha256(data).hexdigest() in caught.value.message
    assert hashlib.sha256(b"what was trained").hexdigest() in caught.value.message


@pytest.mark.parametrize("kind", ["pickle", "joblib"])
def test_with_the_right_digest_the_file_is_created_which_validates_the_test_above(tmp_path: Path, kind: str) -> None:
    mark, data = tmp_path / "executed", pickled(tmp_path / "executed", kind)
    load_folder(declared(tmp_path / "m", kind, data, stated=data)).start()
    assert mark.exists()


def test_a_link_out_of_the_folder_is_not_followed_even_if_the_digest_matches(tmp_path: Path) -> None:
    mark, data = tmp_path / "executed", pickled(tmp_path / "executed", "pickle")
    folder = declared(tmp_path / "m", "pickle", data, stated=data)
    (folder / "artifact.bin").rename(tmp_path / "outside.bin")
    (folder / "artifact.bin").symlink_to(tmp_path / "outside.bin")
    with pytest.raises(errors.Invalid, match="is outside the model folder"):
        load_folder(folder).start()
    assert not mark.exists()


def test_the_author_s_class_is_not_instantiated_if_the_digest_differs(tmp_path: Path) -> None:
    code = folders.DOUBLER + "\n    def __init__(self) -> None:\n        Path(__file__).with_name('made').touch()\n"
    folder = folders.make(tmp_path / "m", code=code)
    (folder / "artifact.bin").write_bytes(b"3")
    with pytest.raises(errors.ArtifactRejected):
        load_folder(folder).start()
    assert not (folder / "made").exists()


def test_a_pickle_may_hold_classes_of_the_folder_s_own_model_py(tmp_path: Path) -> None:
    """As a training script writes it: in a training script, the module is called `model`."""
    state = b"\x80\x04cmodel\nScale\n)\x81}\x8c\x06factorG@\x14\x00\x00\x00\x00\x00\x00sb."
    folder = folders.make(tmp_path / "m", code=CLASS_IN_THE_PICKLE, artifact=state, golden=(), format="joblib")
    loaded = load_folder(folder)
    (answer,) = rows.answer(loaded.start(), [loaded.row_type.model_validate({"value": 2.0})])
    assert answer.model_dump() == {"value": 10.0}


def test_an_exception_of_load_raises_model_failed_and_names_the_version(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m", artifact=b"no number")
    with pytest.raises(errors.ModelFailed, match=r"doubler 1\.0\.0: load failed: ValueError: could not convert"):
        load_folder(folder).start()


def test_for_a_folder_without_a_manifest_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match=r"it has no fairlead\.yaml") as caught:
        load_folder(tmp_path)
    assert "docs/model-folder.md" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML"),
        ("name: a\nname: b\n", "'name' is there twice"),
        ("[1, 2]", "must be fields, as name: value"),
        (
            "name: iris\nversion: 1.10\nformat: python\nentry: m:C\n",
            r"version: YAML reads 1\.10 as the number 1\.1: write it in quotes",
        ),
        ("name: iris\nversion: a\nformat: python\nentry: m:C\nbatching: {max_rows: 0}\n", r"batching\.max_rows: "),
        ("name: iris\nversion: a\nformat: python\nentry: m:C\nbathcing: {}\nx: 1\n", r"bathcing: .* \(and 1 more\)"),
    ],
)
def test_a_wrong_manifest_names_the_file_and_the_field(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "fairlead.yaml").write_text(text)
    with pytest.raises(errors.Invalid, match=f"fairlead.yaml: .*{message}"):
        load_folder(tmp_path)


def test_every_wrong_field_is_in_the_details(tmp_path: Path) -> None:
    (tmp_path / "fairlead.yaml").write_text("name: Iris\nformat: onyx\n")
    with pytest.raises(errors.Invalid) as caught:
        load_folder(tmp_path)
    assert [detail.loc for detail in caught.value.details] == [("name",), ("version",), ("format",)]


def test_yaml_merge_keys_still_work(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m")
    text = (folder / "fairlead.yaml").read_text()
    (folder / "fairlead.yaml").write_text(text + "batching: {<<: {max_rows: 3}, max_wait_ms: 1}\n")
    assert load_folder(folder).manifest.batching.max_rows == 3


def test_golden_rows_must_be_inside_the_folder(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m")
    (folder / "golden.jsonl").rename(tmp_path / "golden.jsonl")
    (folder / "golden.jsonl").symlink_to("../golden.jsonl")
    with pytest.raises(errors.Invalid, match=r"fairlead\.yaml: golden: .* is outside"):
        load_folder(folder)


def test_a_manifest_that_cannot_be_read_is_invalid(tmp_path: Path) -> None:
    (tmp_path / "fairlead.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(errors.Invalid, match=r"fairlead\.yaml cannot be read"):
        load_folder(tmp_path)
    other = tmp_path / "other"
    (other / "fairlead.yaml").mkdir(parents=True)
    with pytest.raises(errors.Invalid, match=r"fairlead\.yaml cannot be read: .*directory"):
        load_folder(other)


@pytest.mark.parametrize(
    ("method", "kind", "beyond"),
    [
        ("predict", "int | None", 2**63),
        ("predict_columns", "int", 2**53 + 1),
        ("predict_frame", "int", 2**63),
        ("predict_frame", "int | None", 2**53 + 1),
    ],
)
def test_a_row_has_the_integers_that_the_argument_of_its_class_has(
    tmp_path: Path, method: str, kind: str, beyond: int
) -> None:
    code = CLASS_IN_THE_PICKLE.replace("value: float", f"value: {kind}").replace("def predict(", f"def {method}(")
    folder = folders.make(tmp_path / "m", code=code, golden=())
    row_type = load_folder(folder).row_type
    assert row_type.model_validate({"value": beyond - 1}).model_dump() == {"value": beyond - 1}
    with pytest.raises(ValidationError, match="less than or equal"):
        row_type.model_validate({"value": beyond})
