from __future__ import annotations

import json
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.cli.commands import doctor
from fairlead.cli.doctor import machine
from fairlead.cli.doctor.finding import Finding, Level, problem, warning

OK = Finding(Level.OK, "the disk has room")
RISK = warning("it is late", "people sleep", "wait")
FAULT = problem("it is broken", "nothing works", "mend it")


def given(monkeypatch: pytest.MonkeyPatch, *found: Finding) -> None:
    monkeypatch.setattr(machine, "look", lambda state, file: list(found))


def test_one_line_says_what_is_ok_and_three_say_what_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, OK, RISK)
    doctor.command(state=Path("nowhere"))
    assert capsys.readouterr().out.splitlines() == [
        "ok           the disk has room",
        "warning      it is late",
        "               people sleep",
        "               wait",
    ]


def test_a_problem_ends_the_command_with_an_error_that_counts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given(monkeypatch, FAULT, FAULT, RISK)
    with pytest.raises(errors.FairleadError, match="2 problems found"):
        doctor.command(state=Path("nowhere"), as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed["problems"] == 2
    assert printed["findings"][0] == {
        "level": "problem",
        "check": "",
        "what": "it is broken",
        "why": "nothing works",
        "do": "mend it",
    }


def test_a_platform_file_and_a_cluster_do_not_go_together() -> None:
    with pytest.raises(errors.Invalid, match="platform.yaml is a platform file, and a cluster has none"):
        doctor.command(Path("platform.yaml"), namespace="models")
