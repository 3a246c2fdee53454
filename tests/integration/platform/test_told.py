"""A release that its users would notice: what it changes is told before, and what failed is told afterwards."""

from __future__ import annotations

import time
from collections.abc import Iterator

import httpx
import pytest

from fairlead.cli import exit_codes
from fairlead.contracts.revision import Cause
from support.faults import folders
from support.platform import DOUBLER, Platform, doublers, running_platform

HALF = {"steps": [{"weight": 5000, "minDuration": "10m"}], "minRequests": 0}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("told")
    models: dict[str, dict[str, object]] = {}
    for name in ("renamed", "raises"):
        models |= doublers(folder, "1.0.0", "1.1.0", model=name, strategy=HALF)
    folders.rename_field(folder / "models" / "renamed" / "1.1.0", "value", "number")
    with running_platform(folder, models) as platform:
        yield platform


def rolled_back_by_traffic(platform: Platform, model: str) -> str:
    """Send about 50 requests a second, each of a new user, until the candidate is rolled back; returns why.

    Faster ones would all be sent before the gateway lets an instance that failed get requests again.
    """
    platform.wait_for(model, "half of the users", weight=5000)
    with httpx.Client(base_url=platform.url, headers={"content-type": "application/json"}, timeout=10) as client:
        for user in range(3000):
            time.sleep(0.02)
            client.post(f"/models/{model}/predict", content=DOUBLER, headers={"x-user-id": f"u{user}"})
            if user % 20 == 0 and platform.head(model).table.candidate is None:
                break
    return platform.command("wait", model, "--timeout", "20s", expect=exit_codes.ROLLED_BACK)


def test_a_renamed_field_is_shown_at_the_release_and_named_by_the_rollback(platform: Platform) -> None:
    said = platform.command("release", "renamed", "1.1.0", expect=exit_codes.REFUSED)
    assert "breaking: row.number: renamed, was value\n" in said
    assert platform.head("renamed").table.stable.version == "1.0.0"
    said = platform.command("release", "renamed", "1.1.0", "--accept-breaking")
    assert "1.1.0 changes the types of 1.0.0, 1 breaking:\n  breaking: row.number: renamed, was value\n" in said
    why = rolled_back_by_traffic(platform, "renamed")
    # A cluster has no folders to compare: there the first step's revision and `fairlead status` have it.
    (step,) = (one for one in platform.store.revisions("renamed") if one.cause is Cause.STEP)
    (smoke,) = (one for one in step.evidence if one.gate == "smoke")
    assert "1.1.0 changes the types of 1.0.0: breaking: row.number: renamed, was value" in smoke.reason
    assert smoke.reason.startswith("its breaking types were accepted; ")
    assert "rejections: 1.1.0 rejects more requests than 1.0.0" in why
    assert "; most often: body.number: Field required" in why


def test_an_exception_is_named_by_the_rollback_with_its_line_and_the_log_to_read(platform: Platform) -> None:
    platform.command("release", "raises", "1.1.0")
    platform.wait_for("raises", "half of the users: its golden rows were answered", weight=5000)
    folders.behave(platform.folder / "models" / "raises" / "1.1.0", fail=1)
    why = rolled_back_by_traffic(platform, "raises")
    assert "errors: 1.1.0 fails more often than 1.0.0" in why
    assert "; most often: RuntimeError at model.py:" in why
    assert "(fairlead logs raises --version 1.1.0)" in why
