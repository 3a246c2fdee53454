from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from fairlead import errors
from fairlead.cli import exit_codes
from fairlead.cli.commands import check
from fairlead.serving.check.checks import CHECKS
from support import folders

LOAD = "    def load(self, artifact: Path) -> None: import os; "
PREDICT = "    def predict(self, rows): import os; "


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


@pytest.mark.parametrize(
    ("broken", "check_name", "said"),
    [
        (LOAD + "raise SystemExit(0)", "load", "load failed: the model's code ended the process: sys.exit(0)"),
        (LOAD + "raise SystemExit", "load", "load failed: the model's code ended the process: sys.exit()"),
        (PREDICT + "raise SystemExit('no')", "golden rows", "the model's code ended the process: sys.exit('no')"),
        ("raise SystemExit(0)", "entry", "importing model.py failed: the model's code ended the process: sys.exit(0)"),
        (LOAD + "os._exit(0)", "load", "the model's process ended with code 0 during this check"),
        (PREDICT + "os._exit(3)", "golden rows", "the model's process ended with code 3 during this check"),
        (LOAD + "os.kill(os.getpid(), 11)", "load", "the model's process ended with signal 11 during this check"),
    ],
)
def test_a_model_that_ends_its_process_fails_the_check_and_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], broken: str, check_name: str, said: str
) -> None:
    assert run(folders.make(tmp_path / "m", code=f"{folders.DOUBLER}{broken}\n"), as_json=True) == 1
    checks = {one["check"]: one for one in json.loads(capsys.readouterr().out)["checks"]}
    assert list(checks) == [name for name, _, _ in CHECKS]
    assert checks[check_name]["outcome"] == "failed"
    assert said in checks[check_name]["message"]
    assert checks["batching"]["outcome"] == "skipped"


CHATTY = folders.DOUBLER.replace("        return [", "        print('a row')\n        return [") + (
    "import os\nprint('by Python')\nos.system('echo by a program')\n"
)


def test_what_the_model_prints_goes_to_stderr_so_that_json_stays_json(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m", code=CHATTY)
    command = [sys.executable, "-m", "fairlead.cli.main", "check", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert json.loads(done.stdout)["fit"] is True
    assert "by Python" in done.stderr
    assert "by a program" in done.stderr


def test_what_the_model_prints_comes_after_the_table_with_a_title_and_each_line_once(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m", code=CHATTY)
    command = [sys.executable, "-m", "fairlead.cli.main", "check", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    table, said = done.stdout.split(f"{folder}: fit to serve\n")
    assert "a row" not in table
    title, *lines = said.splitlines()
    assert title.startswith("the model printed ")
    assert [line.partition("  (")[0] for line in lines] == ["  | by Python", "  | by a program", "  | a row"]


def test_what_a_model_printed_that_crashed_is_shown(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    broken = LOAD + "import sys; print('out of memory', file=sys.stderr, flush=True); os._exit(9)"
    assert run(folders.make(tmp_path / "m", code=f"{folders.DOUBLER}{broken}\n")) == 1
    assert capfd.readouterr().err == "the model printed 1 line:\n  | out of memory\n"


def test_markup_in_a_message_is_printed_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(folders.make(tmp_path / "m", code="raise ValueError('[bold]list[int][/nonsense]')\n"))
    assert "[bold]list[int][/nonsense]" in capsys.readouterr().out.replace("\n", "")


def test_the_last_line_and_json_name_what_is_not_proved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = folders.make(tmp_path / "m", golden=())
    run(folder)
    assert capsys.readouterr().out.splitlines()[-1] == f"{folder}: fit to serve; not proved: golden rows"
    run(folder, as_json=True)
    assert json.loads(capsys.readouterr().out)["not_proved"] == ["golden rows"]


def test_no_log_line_and_no_traceback_of_the_service_is_shown(tmp_path: Path) -> None:
    code = folders.DOUBLER.replace("return [", "return [] if len(rows) > 9 else [")
    folder = folders.make(tmp_path / "m", code=code)
    command = [sys.executable, "-m", "fairlead.cli.main", "check", str(folder), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    messages = {one["check"]: one["message"] for one in json.loads(done.stdout)["checks"]}
    assert messages["protocols"].startswith("10 rows, sent as a list: the service answers 500: the model returned 0")
    assert done.stderr == ""


@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_no_model_folder_is_not_found_as_in_every_other_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    folders.make(tmp_path / "m/1.0.0")
    for folder in (tmp_path / "nowhere", tmp_path / "m", tmp_path / "m/1.0.0/model.py"):
        with pytest.raises(errors.NotFound) as caught:
            check.command(folder, as_json=as_json)
        assert exit_codes.code_of(caught.value) == exit_codes.NOT_FOUND
    assert capsys.readouterr().out == ""
