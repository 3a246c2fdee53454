"""Who names another folder than that of a model is told the folders that can be meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead import errors
from fairlead.contracts import manifest_file
from support import folders


@pytest.fixture
def iris(tmp_path: Path) -> Path:
    """A folder with the folders of two versions."""
    for version in ("1.0.0", "1.1.0"):
        folders.make(tmp_path / "models/iris" / version, name="iris", version=version)
    return tmp_path / "models/iris"


def refused(folder: Path) -> errors.NotFound:
    with pytest.raises(errors.NotFound) as caught:
        manifest_file.read(folder)
    return caught.value


def test_a_model_folder_has_a_manifest(iris: Path) -> None:
    assert manifest_file.read(iris / "1.1.0").version == "1.1.0"


def test_of_a_folder_above_the_versions_the_error_names_the_versions(iris: Path) -> None:
    error = refused(iris)
    assert error.message == f"{iris} is not a model folder: it holds the model folders 1.0.0 and 1.1.0"
    assert error.hint == f"Name one of them: {iris}/1.1.0"


def test_of_a_folder_above_the_models_the_error_names_their_versions(iris: Path) -> None:
    folders.make(iris.with_name("wine") / "2.0.0", name="wine", version="2.0.0")
    error = refused(iris.parent)
    assert error.message.endswith("it holds the model folders iris/1.0.0, iris/1.1.0 and wine/2.0.0")
    assert error.hint == f"Name one of them: {iris.parent}/wine/2.0.0"


def test_of_many_versions_the_newest_are_named_in_order(tmp_path: Path) -> None:
    for minor in range(1, 13):
        folders.make(tmp_path / f"1.{minor}.0", version=f"1.{minor}.0")
    error = refused(tmp_path)
    assert error.message.endswith("it holds 12 model folders, the last ones 1.10.0, 1.11.0 and 1.12.0")
    assert error.hint == f"Name one of them: {tmp_path}/1.12.0"


def test_of_the_only_version_the_error_names_its_folder(tmp_path: Path) -> None:
    folders.make(tmp_path / "1.0.0")
    assert refused(tmp_path).message.endswith("it holds the model folder 1.0.0")
    assert refused(tmp_path).hint == f"Name its folder: {tmp_path}/1.0.0"


def test_of_a_version_that_is_missing_the_error_names_those_beside_it(iris: Path) -> None:
    error = refused(iris / "1.2.0")
    assert error.message == f"there is no folder {iris}/1.2.0; {iris} holds the model folders 1.0.0 and 1.1.0"
    assert error.hint == f"Name one of them: {iris}/1.1.0"


@pytest.mark.parametrize("inside", ["fairlead.yaml", "model.py", "artifact", "artifact/weights.bin"])
def test_of_something_inside_a_model_folder_the_error_names_the_model_folder(iris: Path, inside: str) -> None:
    (iris / "1.0.0/artifact").mkdir()
    (iris / "1.0.0/artifact/weights.bin").write_bytes(b"1")
    error = refused(iris / "1.0.0" / inside)
    assert f"{inside} is not a model folder: it is part of one" in error.message.replace("a file, ", "")
    assert error.hint == f"Name that: {iris}/1.0.0"


def test_a_folder_with_nothing_in_it_points_to_how_one_is_written(tmp_path: Path) -> None:
    error = refused(tmp_path)
    assert error.message == f"{tmp_path} is not a model folder: it has no fairlead.yaml"
    assert "docs/model-folder.md" in str(error.hint)


def test_a_path_that_leads_nowhere_is_called_so(tmp_path: Path) -> None:
    error = refused(tmp_path / "nowhere")
    assert error.message == f"there is no folder {tmp_path}/nowhere"
    assert "Check the path" in str(error.hint)
