"""Faults on a whole platform, as every view shows them: real processes, a real Envoy, the real command line."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from fairlead.cli import exit_codes
from fairlead.contracts.health import STALE_AFTER_S, Health, health_of
from fairlead.local.state import StateFolder
from fairlead.store.statuses import read_status
from support.faults import folders
from support.platform import DOUBLER, Platform, doublers, running_platform
from support.processes import wait_until

STEPS = [{"weight": 5000, "minDuration": "100ms", "approval": True}]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    models = doublers(folder, "1.0.0", model="alone", strategy={"minRequests": 0})
    for name in ("canary", "halved"):
        # On a busy machine a minute passes before the last of these tests: the dead candidate must not be rolled back.
        strategy = {"steps": STEPS, "minRequests": 0, "warmUp": {"restart": "1h"}}
        models |= doublers(folder, "1.0.0", "1.1.0", model=name, strategy=strategy)
    with running_platform(folder, models) as platform:
        yield platform


def kill_for_good(platform: Platform, model: str, version: str) -> None:
    """Kill the only instance of a version, and keep it from coming back: its code can no longer be loaded."""
    folders.behave(platform.folder / "models" / model / version, broken=True)
    signalled(platform, model, version, signal.SIGKILL)


def signalled(platform: Platform, model: str, version: str, number: signal.Signals) -> None:
    """Send a signal to the only instance of a version."""
    (instance,) = (one for one in platform.store.instances() if (one.model, one.ref.version) == (model, version))
    assert instance.pid is not None
    os.kill(instance.pid, number)


def health(platform: Platform, model: str) -> Health:
    return health_of(read_status(platform.store, model))


def is_down(platform: Platform, model: str) -> bool:
    return health(platform, model).is_down


def beat_age_s(platform: Platform) -> float:
    """The age of the last heartbeat in seconds."""
    last = platform.store.last_beat()
    assert last is not None
    return (datetime.now(UTC) - last).total_seconds()


def answers(platform: Platform, model: str, count: int = 20) -> list[int]:
    """The statuses of predictions by different users."""
    return [
        httpx.post(
            f"{platform.url}/models/{model}/predict",
            content=DOUBLER,
            headers={"content-type": "application/json", "x-user-id": f"user-{number}"},
            timeout=10,
        ).status_code
        for number in range(count)
    ]


def listed(platform: Platform, model: str) -> dict[str, Any]:
    """The model as the gateway's `/models` shows it."""
    models = httpx.get(f"{platform.url}/models", timeout=10).json()["models"]
    return next(one for one in models if one["name"] == model)


def gauge(platform: Platform, name: str, model: str) -> float:
    text = httpx.get(f"{platform.control_url}/metrics", timeout=10).text
    families = {one.name: one for one in text_string_to_metric_families(text)}
    return next(one.value for one in families[name].samples if one.labels["model"] == model)


def test_a_dead_stable_version_is_down_in_every_view(platform: Platform) -> None:
    assert (listed(platform, "alone")["ready"], gauge(platform, "fairlead_control_down", "alone")) == (True, 0)
    assert "serves already" in platform.command("wait", "alone", "--timeout", "10s"), "nothing was ever released"
    kill_for_good(platform, "alone", "1.0.0")
    wait_until(lambda: is_down(platform, "alone"), "the status says down")
    assert set(answers(platform, "alone")) == {503}
    shown = platform.command("status", "alone")
    assert " down " in shown
    assert "1.0.0 has no ready instance" in shown
    assert "next for alone: fairlead logs alone --version 1.0.0" in shown
    model = listed(platform, "alone")
    assert (model["ready"], model["health"], model["reason"]) == (False, "down", "1.0.0 has no ready instance")
    waited = platform.command("wait", "alone", "--timeout", "1s", expect=exit_codes.DOWN)
    # "after 1 s; ...", or "... since TIME" where it was down for longer than wait gives it
    assert re.match(r"alone: down: (after 1 s; )?1\.0\.0 has no ready instance.*\nnext: fairlead logs alone", waited)
    assert gauge(platform, "fairlead_control_down", "alone") == 1
    assert "alone is down" in platform.command("explain", "alone")
    route = httpx.get(f"{platform.control_url}/api/v1/routes/alone", timeout=10).json()
    assert route["health"]["mark"] == "down"
    (document,) = json.loads(platform.command("status", "alone", "--json"))
    assert document["health"] == route["health"]


def test_a_dead_candidate_is_degraded_and_told_before_what_its_step_waits_for(platform: Platform) -> None:
    platform.command("release", "canary", "1.1.0")
    platform.wait_for("canary", "the first step", weight=5000)
    # Frozen, not killed: one that cannot start again would be rolled back within seconds.
    signalled(platform, "canary", "1.1.0", signal.SIGSTOP)
    wait_until(lambda: health(platform, "canary").mark == "degraded", "the status says degraded")
    assert set(answers(platform, "canary")) == {200}, "stable answers the candidate's requests"
    shown = platform.command("status", "canary")
    assert " degraded " in shown
    assert "ready: 1.1.0 has no ready instance" in shown
    assert "canary is degraded for" in shown
    assert "next for canary: fairlead logs canary --version 1.1.0" in shown
    assert gauge(platform, "fairlead_control_degraded", "canary") == 1
    assert listed(platform, "canary")["ready"] is True


def test_where_the_candidate_answers_and_stable_is_dead_the_views_name_the_command_that_helps(
    platform: Platform,
) -> None:
    platform.command("release", "halved", "1.1.0")
    platform.wait_for("halved", "the first step", weight=5000)
    kill_for_good(platform, "halved", "1.0.0")
    wait_until(lambda: is_down(platform, "halved"), "the status says down")
    assert set(answers(platform, "halved")) == {200, 503}
    shown = platform.command("status", "halved")
    assert "1.0.0 has no ready instance; 1.1.0 answers 50 % of the requests" in shown
    assert "next for halved: fairlead promote halved" in shown
    platform.command("promote", "halved")
    platform.wait_for("halved", "the candidate is stable", weight=0)
    assert set(answers(platform, "halved")) == {200}
    assert "promoted" in platform.command("wait", "halved", "--timeout", "20s")


def test_a_frozen_control_plane_is_told_with_the_age_of_the_state(platform: Platform) -> None:
    pid = platform.children()["control-plane"]
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: beat_age_s(platform) > STALE_AFTER_S, "the heartbeat is old", within=40)
        shown = platform.command("status")
        assert "the control plane has not written for" in shown
        assert "what follows is as of" in shown
        assert "was serving" in shown or "was down" in shown
        assert "has not written for" in platform.command("explain", "canary")
        platform.command("wait", "alone", "--timeout", "1s", expect=exit_codes.TIMED_OUT)
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: beat_age_s(platform) < STALE_AFTER_S, "it writes again")
    assert "has not written" not in platform.command("status")


def test_a_supervisor_that_hangs_is_told(platform: Platform) -> None:
    pid = platform.process.pid
    folder = StateFolder(platform.state)

    def silent_s() -> float:
        at = folder.supervised_at()
        assert at is not None
        return (datetime.now(UTC) - at).total_seconds()

    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: silent_s() > STALE_AFTER_S, "it has not noted anything for a while", within=40)
        assert "`fairlead up` has not looked after its processes for" in platform.command("status", "canary")
        why = "which instances are ready is not known"
        wait_until(lambda: why in str((platform.store.status("canary") or {}).get("waiting")), "the rollout holds")
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: silent_s() < STALE_AFTER_S, "it watches again")


def test_a_gateway_that_is_away_takes_every_model_down(platform: Platform) -> None:
    gateway = platform.children()["gateway"]
    os.kill(gateway, signal.SIGSTOP)
    try:
        wait_until(lambda: is_down(platform, "canary"), "the status says down", within=40)
        shown = platform.command("status", "canary")
        assert "canary is down for" in shown
        assert "no gateway answers" in shown
        assert gauge(platform, "fairlead_control_down", "canary") == 1
    finally:
        os.kill(gateway, signal.SIGCONT)
    wait_until(lambda: not is_down(platform, "canary"), "it serves again", within=40)
