"""What cannot be played in real time is refused before anything is started, naming the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead.contracts.scenario import Scenario
from fairlead.rehearsal.live.run import perform, refuse_what_is_too_much
from fairlead.rehearsal.scenario_files import ORDER, find


def scenario(**changes: Any) -> Scenario:
    whole = {"name": "x", "duration": "1m", "load": 50, "expect": [{"never": "promoted"}]}
    return Scenario.model_validate({**whole, **changes})


@pytest.mark.parametrize("name", ORDER)
def test_every_shipped_scenario_can_be_played(name: str) -> None:
    refuse_what_is_too_much(find(name))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"gateways": 2}, "gateways: 2"),
        ({"load": [{"rate": 50}, {"from": "10s", "rate": 2000}]}, r"load\.1\.rate: 2,000"),
        ({"stable": {"instances": 16}}, "17 instances"),
        ({"events": [{"at": "5s", "both": {"instances": 9}}]}, "18 instances"),
    ],
)
def test_too_much_for_one_machine_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(errors.Invalid, match=named) as refused:
        perform(scenario(**changes), seed=1)
    assert "--real" in str(refused.value.hint)


def test_a_folder_with_a_ledger_is_not_played_over(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    with pytest.raises(errors.Conflict, match="has a ledger already"):
        perform(scenario(), seed=1, keep=tmp_path)


def test_an_envoy_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="not a program"):
        perform(scenario(), seed=1, envoy_binary=tmp_path)
