"""`fairlead deploy`: what its answer says about the number of instances."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from fairlead.cli.commands import deploy
from fairlead.store.sqlite import SqliteStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    SqliteStore(tmp_path / "ledger.db").close()
    folder = tmp_path / "1.1.0"
    folder.mkdir()
    tensor = {"name": "x", "datatype": "FP64"}
    artifact = {"path": "model.joblib", "sha256": "ab" * 32}
    manifest = {"name": "iris", "version": "1.1.0", "format": "joblib", "artifact": artifact}
    (folder / "fairlead.yaml").write_text(yaml.safe_dump({**manifest, "inputs": [tensor], "outputs": [tensor]}))
    return folder


def test_the_answer_says_how_many_instances_the_version_has_and_deploying_again_keeps_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = []
    for given in (None, 2, None):
        deploy.command(folder, instances=given, skip_check=True, state=folder.parent)
        said.append(capsys.readouterr().out.splitlines()[1])
    assert said == ["1.1.0: 1 instance", "1.1.0: 2 instances", "1.1.0: 2 instances"]


def test_a_library_that_requirements_txt_asks_for_and_that_is_missing_is_a_warning_with_the_command(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "requirements.txt").write_text("no-such-library==1.0\n")
    deploy.command(folder, skip_check=True, state=folder.parent)
    assert capsys.readouterr().out.splitlines()[:2] == [
        "warning: iris: requirements.txt asks for no-such-library==1.0, which is not installed",
        f"  {sys.executable} -m pip install -r {folder}/requirements.txt",
    ]
