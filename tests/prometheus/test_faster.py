"""Rules for drills are the shipped ones with shorter durations."""

from __future__ import annotations

import re

import pytest
import yaml

from monitoring.rule_files import alerting_rules, recording_rules
from monitoring.settings import DEFAULT, Settings, shortened


def without_durations(settings: Settings) -> str:
    """Both rule files, with a word for every duration. Windows of a release are named in its series, too."""
    text = yaml.safe_dump([recording_rules(settings), alerting_rules(settings)], width=10**6)
    return re.sub(r"\d+[smhd]\b", "D", text)


@pytest.mark.parametrize("times", [2, 30])
def test_faster_rules_differ_from_the_shipped_ones_in_durations_only(times: int) -> None:
    assert without_durations(DEFAULT.faster_by(times)) == without_durations(DEFAULT)


def test_faster_rules_have_every_window_and_every_wait_divided() -> None:
    faster = DEFAULT.faster_by(30)
    assert (faster.window, faster.scaling_window, faster.lately) == ("10s", "2s", ("120s", "2s"))
    assert [(one.long, one.short) for one in faster.burns] == [
        ("120s", "10s"), ("720s", "60s"), ("2880s", "240s"), ("8640s", "720s"),
    ]  # fmt: skip
    waits = {one["alert"]: one["for"] for one in alerting_rules(faster)["groups"][0]["rules"]}
    assert (waits["FairleadRolloutStuck"], waits["FairleadModelDown"], waits["FairleadTargetRejected"]) == (
        "120s",
        "2s",
        "0s",
    )


@pytest.mark.parametrize(("duration", "times", "short"), [("5m", 1, "5m"), ("1m", 120, "1s"), ("0m", 30, "0s")])
def test_a_duration_is_divided_in_whole_seconds_and_never_to_nothing(duration: str, times: int, short: str) -> None:
    assert shortened(duration, times) == short
