"""The examples with an environment of their own: trained by their own scripts, with the answers of their library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fairlead.serving.check.checks import check_folder
from fairlead.serving.formats.folder import load_folder
from support import environments

EXAMPLES = environments.ROOT / "services" / "models"


@pytest.fixture(scope="module")
def trained(libraries: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models")
    train("digits", out, *libraries)
    return out


def test_digits_torch_passes_every_check_without_a_warning(torch: Any, tmp_path: Path, libraries: list[Path]) -> None:
    assert "accuracy 0.9" in train("digits-torch", tmp_path, *libraries)
    findings = check_folder(tmp_path / "digits-torch" / "1.0.0")
    assert [finding for finding in findings if finding.outcome != "passed"] == []


def test_digits_keras_passes_every_check_without_a_warning(keras: Any, tmp_path: Path, libraries: list[Path]) -> None:
    assert "accuracy 0.9" in train("digits-keras", tmp_path, *libraries)
    findings = check_folder(tmp_path / "digits-keras" / "1.0.0")
    assert [finding for finding in findings if finding.outcome != "passed"] == []


def test_imagenet_says_what_a_photo_shows_without_a_warning(torch: Any, tmp_path: Path, libraries: list[Path]) -> None:
    said = train("imagenet", tmp_path, *libraries, environments.packages("imagenet"))
    folder = tmp_path / "imagenet" / "1.0.0"
    assert "china.jpg shows palace 0." in said
    best = [one["label"] for one in load_folder(folder).golden[0].expected["classes"]]
    names = (folder / "labels.txt").read_text().splitlines()
    assert {names.index(label) for label in best} >= {698, 442}
    assert [finding for finding in check_folder(folder) if finding.outcome != "passed"] == []


def train(name: str, out: Path, *packages: Path) -> str:
    command = [sys.executable, str(EXAMPLES / name / "train.py"), "--out", str(out)]
    env = os.environ | environments.variables(*packages)
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout


def test_digits_passes_every_check_without_a_warning(trained: Path) -> None:
    findings = check_folder(trained / "digits" / "1.0.0")
    assert [finding for finding in findings if finding.outcome != "passed"] == []


def test_digits_are_the_same_bytes_each_time(trained: Path, tmp_path: Path, libraries: list[Path]) -> None:
    assert "accuracy 0.9" in train("digits", tmp_path, *libraries)
    files = [path.relative_to(tmp_path) for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert [(tmp_path / name).read_bytes() for name in files] == [(trained / name).read_bytes() for name in files]
