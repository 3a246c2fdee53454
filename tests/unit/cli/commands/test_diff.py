"""`fairlead diff` of two real folders: what it prints, and the exit code by which a pipeline decides."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from fairlead import errors
from fairlead.cli.commands import diff
from support import folders

WIDER = folders.DOUBLER.replace("le=100", "le=1000")
RENAMED = folders.DOUBLER.replace(
    "class Doubled(BaseModel):\n    value: float", "class Doubled(BaseModel):\n    twice: float"
)
RENAMED = RENAMED.replace("Doubled(value=", "Doubled(twice=")


def run(old: Path, new: Path, *, as_json: bool = False) -> int:
    with pytest.raises(typer.Exit) as caught:
        diff.command(old, new, as_json=as_json)
    return caught.value.exit_code


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return folders.make(tmp_path / "old")


def test_versions_of_the_same_types_exit_0(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(old, folders.make(tmp_path / "new", version="1.1.0")) == 0
    assert capsys.readouterr().out == "1.1.0 has the same types as 1.0.0\n"


def test_a_safe_change_is_shown_and_exits_0(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(old, folders.make(tmp_path / "new", code=WIDER, version="1.1.0")) == 0
    printed = capsys.readouterr().out
    assert "at most 1000, was 100" in printed
    assert "1.1.0 changes the types of 1.0.0, all safe" in printed


def test_a_breaking_change_exits_1(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = folders.make(tmp_path / "new", code=RENAMED, golden=(), version="2.0.0")
    assert run(old, new) == 1
    assert "answer.twice" in capsys.readouterr().out


def test_json_has_every_change(old: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = folders.make(tmp_path / "new", code=RENAMED, golden=(), version="2.0.0")
    assert run(old, new, as_json=True) == 1
    assert json.loads(capsys.readouterr().out) == {
        "old": "1.0.0",
        "new": "2.0.0",
        "breaking": True,
        "changes": [{"where": "answer.twice", "what": "renamed, was value", "breaking": True}],
    }


def test_a_folder_whose_code_cannot_be_read_is_an_error_with_the_reason(old: Path, tmp_path: Path) -> None:
    broken = folders.make(tmp_path / "new", code="import nothing_like_it")
    with pytest.raises(errors.Invalid, match="cannot be read: .*nothing_like_it"):
        diff.command(old, broken)


def test_a_folder_whose_code_ends_the_process_is_an_error_that_says_what_to_do(old: Path, tmp_path: Path) -> None:
    broken = folders.make(tmp_path / "new", code="import os; os._exit(3)")
    with pytest.raises(errors.Invalid, match="its code ended the process, exit code 3") as caught:
        diff.command(old, broken)
    assert caught.value.hint == f"`fairlead check {broken}` says more"


def test_a_profile_that_cannot_be_read_is_the_reason(old: Path, tmp_path: Path) -> None:
    broken = folders.make(tmp_path / "new", version="1.1.0")
    (broken / "profile.json").write_text("{}")
    manifest = broken / "fairlead.yaml"
    manifest.write_text(f"{manifest.read_text()}\nprofile: profile.json\n")
    with pytest.raises(errors.Invalid, match="cannot be read: .*profile"):
        diff.command(old, broken)


def test_two_models_are_not_compared(old: Path, tmp_path: Path) -> None:
    other = folders.make(tmp_path / "new", name="other")
    with pytest.raises(errors.Invalid, match="'doubler' and .* is 'other'"):
        diff.command(old, other)


def test_a_folder_that_does_not_exist_is_not_found(old: Path, tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound):
        diff.command(old, tmp_path / "nowhere")
