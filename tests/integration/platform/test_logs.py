"""`fairlead logs`, and what `fairlead up` shows at a terminal when something ends or fails."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fairlead.cli import exit_codes
from support.faults import folders
from support.platform import DOUBLER, FAIRLEAD, Platform, doublers, running_platform
from support.processes import wait_until
from support.terminal import Terminal


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    models = doublers(folder, "1.0.0", "1.1.0", instances=2) | doublers(folder, "1.0.0", model="doubler-2")
    with running_platform(folder, models) as platform:
        yield platform


def failed_request(platform: Platform, model: str = "doubler", version: str = "1.0.0") -> str:
    """Let one prediction fail; returns its id."""
    folder = platform.folder / "models" / model / version
    folders.behave(folder, fail=1)
    answer = httpx.post(
        f"{platform.url}/models/{model}/versions/{version}/predict",
        content=DOUBLER,
        headers={"content-type": "application/json"},
    )
    folders.behave(folder)
    assert answer.status_code == 500
    return answer.headers["x-request-id"]


def lines(platform: Platform, *arguments: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in platform.command("logs", *arguments, "--json").splitlines()]


def test_the_lines_of_all_instances_are_shown_in_order_and_name_their_process(platform: Platform) -> None:
    found = lines(platform, "doubler")
    ready = [one["source"] for one in found if one["message"] == "ready"]
    assert sorted({re.sub("-[0-9a-f]{4}-", "-", str(source)) for source in ready}) == [
        f"doubler-{version}-{index}" for version in ("1.0.0", "1.1.0") for index in (0, 1)
    ]
    times = [str(one["time"])[:23] for one in found]
    assert times == sorted(times)


def test_one_version_is_shown_alone(platform: Platform) -> None:
    assert {str(one["source"]).split("-")[1] for one in lines(platform, "doubler", "--version", "1.1.0")} == {"1.1.0"}


def test_a_failed_request_is_found_by_its_id_in_the_instance_and_in_the_gateway(platform: Platform) -> None:
    request = failed_request(platform)
    wait_until(lambda: request in (platform.state / "logs" / "gateway.log").read_text(), "the gateway has written it")
    found = lines(platform, "doubler", "--request", request)
    assert {str(one["source"]).split("-")[0] for one in found} == {"doubler", "gateway"}
    shown = platform.command("logs", "doubler", "--request", request)
    assert "request failed: the model's code raised RuntimeError" in shown
    assert "    RuntimeError: failed on command" in shown
    assert re.search(r"warning gateway: POST \S+ 500 in \d+ ms", shown)


def test_lines_of_a_model_with_a_longer_name_are_not_shown(platform: Platform) -> None:
    request = failed_request(platform, model="doubler-2")
    platform.command("logs", "doubler", "--request", request, expect=exit_codes.NOT_FOUND)
    assert lines(platform, "doubler-2", "--request", request)


def test_unknown_names_are_errors_that_say_what_exists(platform: Platform) -> None:
    for arguments, said in (
        (["dubler"], "there is no route 'dubler'"),
        (["doubler", "--version", "9"], "doubler has no version '9'"),
        (["doubler", "--request", "none"], "no log line of doubler is about the request none"),
    ):
        done = subprocess.run([FAIRLEAD, "logs", *arguments], cwd=platform.folder, capture_output=True, text=True)
        assert (done.returncode, said in done.stderr) == (exit_codes.NOT_FOUND, True), done.stderr


def test_following_goes_on_through_a_restart_and_a_rotated_file(platform: Platform) -> None:
    with Terminal([FAIRLEAD, "logs", "doubler", "--version", "1.0.0", "--follow"], cwd=platform.folder) as terminal:
        terminal.wait_for("ready")
        name, pid = next(one for one in platform.children().items() if one[0].startswith("doubler-1.0.0"))
        log = platform.state / "logs" / f"{name}.log"
        log.rename(log.with_suffix(".old"))
        os.kill(pid, signal.SIGKILL)
        line = terminal.wait_for("was ended by signal 9 (SIGKILL) and is restarted")
        assert re.search(r"warning doubler 1\.0\.0 instance \d was ended", line)
        # The restarted process writes a new file of the same name.
        wait_until(lambda: log.exists() and "ready" in log.read_text(), "the instance is back")
        banner = "doubler 1.0.0 listens at"
        wait_until(lambda: terminal.text.count(banner) == 3, "the new file's lines are shown")


def test_at_a_terminal_up_shows_restarts_and_errors_with_their_reason(tmp_path: Path) -> None:
    source = Platform(tmp_path, doublers(tmp_path, "1.0.0"))
    with Terminal([FAIRLEAD, "up", "platform.yaml", "--log-level", "debug"], cwd=tmp_path) as terminal:
        terminal.wait_for("Ctrl-C drains")
        assert terminal.wait_for("  docs  ").split()[-1] == f"{source.url}/models/doubler/docs"
        request = failed_request(source)
        terminal.wait_for("request failed: the model's code raised RuntimeError")
        terminal.wait_for("    RuntimeError: failed on command")
        assert request in terminal.wait_for("gateway: POST")
        assert re.search(r"debug   POST /predict 500 in [\d.]+ ms", terminal.wait_for("debug   POST /predict 500"))
        os.kill(next(pid for name, pid in source.children().items() if name.startswith("doubler")), signal.SIGTERM)
        os.kill(source.children()["control-plane"], signal.SIGKILL)
        terminal.wait_for("the control-plane was ended by signal 9 (SIGKILL) and is restarted")
        terminal.wait_for("doubler 1.0.0 instance 1 exited with code 0 and is restarted")
    written = (tmp_path / ".fairlead" / "logs" / "supervisor.log").read_text().splitlines()
    said = [json.loads(line)["message"] for line in written]
    assert (said[0], said[-1]) == ("the platform starts", "the platform has stopped")
    last = subprocess.run([FAIRLEAD, "logs", "doubler"], cwd=tmp_path, capture_output=True, text=True)
    assert (last.returncode, "no platform runs in" in last.stderr) == (0, True)
    assert "is restarted" in last.stdout
