"""The examples with an environment of their own: trained by their own scripts, with the answers of their library."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from fairlead.serving.check.checks import check_folder
from fairlead.serving.formats.folder import load_folder
from integration.formats.training import OF_FORMATS, train
from support import environments


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


@pytest.mark.parametrize("name", OF_FORMATS)
def test_an_example_passes_every_check_without_a_warning(trained: Path, name: str) -> None:
    findings = check_folder(trained / name / "1.0.0")
    assert [finding for finding in findings if finding.outcome != "passed"] == []


@pytest.mark.parametrize("name", OF_FORMATS)
def test_training_twice_writes_the_same_bytes(trained: Path, tmp_path: Path, libraries: list[Path], name: str) -> None:
    assert re.search(r"(accuracy 0\.9|R2 0\.[34])", train(name, tmp_path, *libraries))
    files = [path.relative_to(tmp_path) for path in sorted(tmp_path.rglob("*")) if path.is_file()]
    assert len(files) >= 3
    assert [(tmp_path / one).read_bytes() for one in files] == [(trained / one).read_bytes() for one in files]
