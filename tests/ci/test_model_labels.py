"""ci/model_labels.py: the build arguments of a model's image."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fairlead.contracts import formats
from support import folders

ROOT = Path(__file__).resolve().parents[2]


def labels(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "ci/model_labels.py"), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_folder_without_requirements_is_built_on_the_layers_that_all_models_share(tmp_path: Path) -> None:
    done = labels(folders.make(tmp_path / "m"))
    assert "--build-arg MODEL_BASE=runtime" in done.stdout
    assert done.stderr == ""


def test_a_folder_with_requirements_is_built_with_them_also_where_they_are_not_installed(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m", code=f"import no_such_library\n{folders.DOUBLER}")
    (folder / "requirements.txt").write_text("no-such-library\n")
    done = labels(folder)
    assert done.returncode == 0
    assert "--build-arg SCHEMA_SHA256= " in done.stdout
    assert "--build-arg MODEL_BASE=with-requirements" in done.stdout
    assert "the label schema-sha256 stays empty: requirements.txt asks for no-such-library" in done.stderr


@pytest.mark.parametrize(("name", "listed"), [("sklearn", "image-model.txt"), ("onnx", "image-onnx.txt")])
def test_the_image_of_a_format_has_the_packages_of_the_format(tmp_path: Path, name: str, listed: str) -> None:
    assert f"--build-arg REQUIREMENTS={listed}" in labels(folders.make(tmp_path / "m", format=name)).stdout


@pytest.mark.parametrize("name", formats.KINDS)
def test_every_format_has_a_list_of_packages_with_those_of_its_extra(name: str) -> None:
    stated = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    listed = (ROOT / "requirements" / formats.image_list(name)).read_text()
    for wanted in stated[formats.KINDS[name].extra]:
        assert re.search(rf"^{re.split('[^a-z0-9-]', wanted)[0]}==", listed, re.MULTILINE), wanted


def test_a_folder_that_cannot_be_read_is_an_error_of_one_line_without_a_traceback(tmp_path: Path) -> None:
    done = labels(tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"model_labels.py: {tmp_path} is not a model folder")
    assert "Traceback" not in done.stderr
