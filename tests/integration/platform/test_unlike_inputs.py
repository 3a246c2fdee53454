"""A candidate that gets other rows than stable is told, on real processes; one that gets the same rows is not."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from fairlead.contracts.control_telemetry import CONTROL_CONDITION
from fairlead.contracts.status import Condition, Reason
from fairlead.store.statuses import read_status
from support.drift import doublers as measured
from support.drift.requests import Drawn
from support.load.open_loop import OpenLoop
from support.load.prebuilt import Users
from support.platform import Platform, doublers, running_platform
from support.processes import wait_until

VERSIONS = ("1.0.0", "1.1.0")
FAIR, PINNED = "fair", "pinned"
RATE, SECONDS = 70, 150
OTHER_ROWS = Users(f"/models/{PINNED}/versions/{VERSIONS[1]}/predict", body=json.dumps([{"value": 30.0}]).encode())
"""A client that names the candidate and sends rows of its own."""


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    strategy = {"steps": [{"weight": 5000, "minDuration": "1h"}]}
    models = dict[str, Any]()
    for name in (FAIR, PINNED):
        models |= doublers(tmp_path, *VERSIONS, model=name, strategy=strategy, sticky=None)
        for version in VERSIONS:
            measured.measure(tmp_path / "models" / name / version)
    with running_platform(tmp_path, models) as running:
        yield running


def inputs(platform: Platform, model: str) -> Condition | None:
    status = read_status(platform.store, model)
    return status.condition("InputsDiffer") if status is not None else None


def alerting(scraped: str) -> dict[str, float]:
    """By model, what the alert FairleadCandidateInputsDiffer reads."""
    families = {one.name: one for one in text_string_to_metric_families(scraped)}
    lines = families[CONTROL_CONDITION.name].samples
    return {one.labels["model"]: one.value for one in lines if one.labels["condition"] == "InputsDiffer"}


def says(platform: Platform, model: str, reason: Reason) -> bool:
    found = inputs(platform, model)
    return found is not None and found.reason == reason


@pytest.mark.timeout(240)
def test_a_candidate_that_gets_other_rows_is_told_and_one_that_gets_the_same_is_not(platform: Platform) -> None:
    with ExitStack() as stack:
        for name in (FAIR, PINNED):
            request = Drawn(name, strange=0.0)
            stack.enter_context(OpenLoop(platform.url, rate=RATE, seconds=SECONDS, request=request))
            platform.command("release", name, VERSIONS[1])
        for name in (FAIR, PINNED):
            platform.wait_for(name, "the candidate has its share", weight=5000)
        stack.enter_context(OpenLoop(platform.url, rate=RATE / 2, seconds=SECONDS, request=OTHER_ROWS))
        wait_until(lambda: says(platform, FAIR, Reason.INPUTS_ALIKE), "the same rows are alike", within=90)
        wait_until(lambda: says(platform, PINNED, Reason.INPUTS_DIFFER), "other rows are told", within=90)
        told = platform.command("status", PINNED)
        page = html.unescape(httpx.get(f"{platform.control_url}/console/routes/{PINNED}").text)
        fair = platform.command("status", FAIR)
        scraped = httpx.get(f"{platform.control_url}/metrics", timeout=10).text
        assert platform.head(PINNED).table.weight == 5000
    found = inputs(platform, PINNED)
    assert found is not None
    assert found.message.startswith("1.1.0 gets other rows than 1.0.0: value differs")
    assert "clients that name a version" in found.message
    assert f"`fairlead pause {PINNED}`" in found.message
    for shown in (" ".join(told.split()), page):
        assert "1.1.0 gets other rows than 1.0.0: value differs" in shown
    assert "other rows" not in fair
    assert alerting(scraped) == {FAIR: 0, PINNED: 1}
