"""Stable is down and the candidate answers: real processes, a real Envoy, the real command line."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import httpx
import pytest

from fairlead.contracts.revision import Cause
from support.faults import folders
from support.platform import DOUBLER, Platform, doublers, running_platform
from support.processes import ProcessFailed, wait_until

HALF = {"steps": [{"weight": 5000, "minDuration": "100ms", "approval": True}], "minRequests": 0}
MODELS = ("forward", "back", "changed")
USERS = 100


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Three models: 1.1.0 has half of the users, and 1.0.0, which has the others, is down and does not come back."""
    folder = tmp_path_factory.mktemp("platform")
    models: dict[str, dict[str, object]] = {}
    for model in MODELS:
        models |= doublers(folder, "1.0.0", "1.1.0", model=model, strategy=HALF)
    with running_platform(folder, models) as platform:
        for model in MODELS:
            platform.command("release", model, "1.1.0")
        for model in MODELS:
            platform.wait_for(model, "half of the users", weight=5000)
        for model in MODELS:
            folders.behave(folder / "models" / model / "1.0.0", broken=True)
            (name,) = (one for one in platform.children() if one.startswith(f"{model}-1.0.0-"))
            os.kill(platform.children()[name], signal.SIGKILL)
        wait_until(lambda: {_ready(platform, model) for model in MODELS} == {(0, 1)}, "every 1.0.0 is down")
        yield platform


def _ready(platform: Platform, model: str) -> tuple[int, int]:
    """Ready instances of stable and of the candidate, according to the status."""
    ready = (platform.store.status(model) or {}).get("ready")
    assert isinstance(ready, dict)
    return ready.get("stable", 0), ready.get("candidate", 0)


def _reachable(platform: Platform, model: str) -> bool:
    gateways = (platform.store.status(model) or {}).get("gateways")
    assert isinstance(gateways, list)
    return any(one["reachable"] for one in gateways)


def good(platform: Platform, model: str) -> int:
    """How many of a hundred users get an answer. Each is a new one."""
    with httpx.Client(base_url=platform.url, timeout=10) as client:
        return sum(
            client.post(
                f"/models/{model}/predict",
                content=DOUBLER,
                headers={"content-type": "application/json", "x-user-id": f"u{number}"},
            ).is_success
            for number in range(USERS)
        )


def refused(platform: Platform, *command: str) -> str:
    """What the command prints when it is refused (exit 4)."""
    with pytest.raises(ProcessFailed, match="exit 4") as raised:
        platform.command(*command)
    return str(raised.value)


def test_a_rollback_is_refused_and_a_promotion_serves_everyone(platform: Platform) -> None:
    before = good(platform, "forward")
    assert 30 <= before <= 70
    why = refused(platform, "rollback", "forward")
    assert "the 50 % of users that 1.1.0 serves to 1.0.0, which has no ready instance" in why
    assert "`fairlead promote forward`" in why
    assert "--even-if-down" in why
    assert good(platform, "forward") == before
    platform.command("promote", "forward", "--reason", "1.0.0 crashes")
    head = platform.wait_for("forward", "promoted", stable="1.1.0", candidate=None)
    assert (head.cause, head.actor_verified) == (Cause.PROMOTED, True)
    assert head.reason.startswith("1.0.0 crashes; the gates were skipped")
    assert good(platform, "forward") == USERS
    assert "promote" in refused(platform, "promote", "forward")


def test_a_user_who_insists_gets_the_rollback_and_is_told_what_it_does(platform: Platform) -> None:
    refused(platform, "rollback", "back", "--to", "1.0.0")
    said = platform.command("rollback", "back", "--even-if-down", "--reason", "wrong prices")
    assert "1.0.0 has no ready instance: users get errors until it has" in said
    head = platform.wait_for("back", "rolled back", stable="1.0.0", candidate=None)
    assert head.reason == "wrong prices; although 1.0.0 had no ready instance"
    assert good(platform, "back") == 0


def test_a_changed_target_does_not_end_the_rollout_that_alone_answers(platform: Platform) -> None:
    before = good(platform, "changed")
    platform.command("release", "changed", "1.0.0", "--skip-check")
    wait_until(
        lambda: "1.1.0 keeps its 50 %" in str((platform.store.status("changed") or {}).get("waiting")),
        "the status says why",
    )
    assert platform.head("changed").table.weight == 5000
    assert good(platform, "changed") == before >= 30


def test_a_pause_for_a_time_ends_by_itself(platform: Platform) -> None:
    said = platform.command("pause", "changed", "--for", "1s")
    assert "the guards are off" in said
    wait_until(lambda: not platform.head("changed").state.paused, "it has ended")
    assert (platform.head("changed").actor, platform.head("changed").reason) == ("fairlead", "the pause of 1s is over")


def test_while_no_gateway_answers_the_answer_says_that_none_has_it(platform: Platform) -> None:
    gateway = platform.children()["gateway"]
    os.kill(gateway, signal.SIGSTOP)
    try:
        wait_until(lambda: not _reachable(platform, "changed"), "the gateway is away")
        said = platform.command("promote", "changed")
        assert "No gateway answers, so no gateway has it yet" in said
    finally:
        os.kill(gateway, signal.SIGCONT)
    platform.wait_for("changed", "promoted", stable="1.1.0")
    assert good(platform, "changed") == USERS


def test_while_stable_serves_a_promotion_is_refused(platform: Platform) -> None:
    folders.behave(platform.folder / "models" / "forward" / "1.0.0")
    platform.command("release", "forward", "1.0.0")
    platform.wait_for("forward", "half of the users", candidate="1.0.0", weight=5000)
    assert "1.1.0 serves, so the gates decide when 1.0.0 may go on" in refused(platform, "promote", "forward")
    assert platform.head("forward").table.stable.version == "1.1.0"
