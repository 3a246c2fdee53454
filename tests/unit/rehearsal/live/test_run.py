"""A scenario that cannot be played in real time is refused before anything is started, naming the field."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead.contracts.scenario import Scenario
from fairlead.rehearsal.live.run import check_limits, rehearse_live
from fairlead.rehearsal.scenario_files import BUILT_IN_NAMES, find


def scenario(**changes: Any) -> Scenario:
    whole = {"name": "x", "duration": "1m", "load": 50, "expect": [{"never": "promoted"}]}
    return Scenario.model_validate({**whole, **changes})


@pytest.mark.parametrize("name", BUILT_IN_NAMES)
def test_every_built_in_scenario_is_within_the_limits(name: str) -> None:
    check_limits(find(name))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"gateways": 2}, "gateways: 2"),
        ({"load": [{"rate": 50}, {"from": "10s", "rate": 2000}]}, r"load\.1\.rate: 2,000"),
        ({"stable": {"instances": 16}}, "17 instances"),
        (
            {"load": 300, "candidate": {"latency": {"median": "2500ms", "sigma": 0}}},
            r"load\.0\.rate: 300 requests/s that take 2\.5 s each are 750 at a time",
        ),
        ({"events": [{"at": "5s", "both": {"instances": 9}}]}, "18 instances"),
    ],
)
def test_a_scenario_above_a_limit_is_refused(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(errors.Invalid, match=named) as refused:
        rehearse_live(scenario(**changes), seed=1)
    assert "--real" in str(refused.value.hint)


def test_a_folder_that_has_a_ledger_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").touch()
    with pytest.raises(errors.Conflict, match="has a ledger already"):
        rehearse_live(scenario(), seed=1, keep=tmp_path)


def test_an_envoy_that_is_not_a_program_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound, match="not an executable file"):
        rehearse_live(scenario(), seed=1, envoy_binary=tmp_path)
