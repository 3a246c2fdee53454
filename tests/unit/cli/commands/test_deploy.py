"""`fairlead deploy`: what its answer says about the number of instances."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from fairlead.cli.commands import deploy
from fairlead.store.sqlite import SqliteStore


def test_the_answer_says_how_many_instances_the_version_has_and_deploying_again_keeps_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    SqliteStore(tmp_path / "ledger.db").close()
    folder = tmp_path / "1.1.0"
    folder.mkdir()
    tensor = {"name": "x", "datatype": "FP64"}
    artifact = {"path": "model.joblib", "sha256": "ab" * 32}
    manifest = {"name": "iris", "version": "1.1.0", "format": "joblib", "artifact": artifact}
    (folder / "fairlead.yaml").write_text(yaml.safe_dump({**manifest, "inputs": [tensor], "outputs": [tensor]}))
    said = []
    for given in (None, 2, None):
        deploy.command(folder, instances=given, skip_check=True, state=tmp_path)
        said.append(capsys.readouterr().out.splitlines()[1])
    assert said == ["1.1.0: 1 instance", "1.1.0: 2 instances", "1.1.0: 2 instances"]
