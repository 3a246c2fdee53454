from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from fairlead.cli.commands import check
from support import folders


def run(folder: Path, *, as_json: bool = False) -> int:
    with pytest.raises(typer.Exit) as caught:
        check.command(folder, as_json=as_json)
    return caught.value.exit_code


def test_a_sound_folder_exits_0_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folders.make(tmp_path / "m")) == 0
    assert "fit to serve" in capsys.readouterr().out


def test_a_folder_that_cannot_be_served_exits_1_and_shows_both_digests_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    folder = folders.make(tmp_path / "m", artifact=b"2")
    (folder / "artifact.bin").write_bytes(b"3")
    assert run(folder) == 1
    printed = capsys.readouterr().out
    assert "4e07408562bedb8b60ce05c1decfe3ad16b72230967de01f640b7e4729b49fce" in printed
    assert "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35" in printed


def test_json_has_every_finding_and_the_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(folders.make(tmp_path / "m", golden=()), as_json=True) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["fit"] is True
    assert {"check": "manifest", "outcome": "passed", "message": "doubler 1.0.0, format python", "hint": ""} in printed[
        "checks"
    ]


def test_markup_in_a_message_is_printed_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folders.make(tmp_path / "m", code="raise ValueError('[bold]list[int][/nonsense]')\n"))
    assert "[bold]list[int][/nonsense]" in capsys.readouterr().out.replace("\n", "")
