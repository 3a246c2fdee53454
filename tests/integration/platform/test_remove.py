"""`fairlead remove` on a whole platform: what users, the ledger, the supervisor and the other commands see."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from fairlead.cli import exit_codes
from fairlead.contracts.revision import find_break
from support.faults import folders
from support.platform import DOUBLER, FAIRLEAD, Platform, doublers, running_platform
from support.processes import is_alive, wait_until

CAREFUL = {"steps": [{"weight": 1000, "minDuration": "100ms", "approval": True}], "minRequests": 0}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    models = doublers(folder, "1.0.0", "1.1.0")
    for name in ("busy", "rolling", "stays", "unconfirmed"):
        models |= doublers(folder, "1.0.0", "1.1.0", model=name, strategy=CAREFUL)
    with running_platform(folder, models) as platform:
        yield platform


def predict(platform: Platform, model: str) -> httpx.Response:
    headers = {"content-type": "application/json"}
    return httpx.post(f"{platform.url}/models/{model}/predict", content=DOUBLER, headers=headers, timeout=20)


def refused(platform: Platform, *arguments: str) -> str:
    """What a command says that fails."""
    done = subprocess.run([FAIRLEAD, *arguments], cwd=platform.folder, capture_output=True, text=True, timeout=120)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return f"[{done.returncode}] {done.stderr}"


def processes(platform: Platform, model: str) -> dict[str, int]:
    return {name: pid for name, pid in platform.children().items() if name.startswith(f"{model}-")}


def test_a_removed_model_is_gone_for_users_and_its_ledger_stays(platform: Platform) -> None:
    pids = processes(platform, "doubler")
    assert len(pids) == 2
    said = platform.command("remove", "doubler", "--reason", "nobody uses it")
    assert "its instances have finished their requests and stopped" in said
    assert not any(map(is_alive, pids.values()))
    assert predict(platform, "doubler").status_code == 404
    assert predict(platform, "stays").status_code == 200
    assert "listens at" in platform.command("logs", "doubler")
    last = platform.command("history", "doubler").splitlines()[-1]
    assert "removed" in last
    assert "nobody uses it" in last
    assert "the chain holds" in platform.command("history", "doubler", "--verify")
    for command in (["status", "doubler"], ["release", "doubler", "1.1.0"], ["remove", "doubler"]):
        said = refused(platform, *command)
        assert f"[{exit_codes.NOT_FOUND}]" in said
        assert "was removed by" in said
        assert "fairlead history doubler" in said


def test_a_later_deploy_of_a_removed_model_continues_its_ledger(platform: Platform) -> None:
    before = platform.store.revisions("doubler")[-1]
    platform.command("deploy", str(platform.folder / "models" / "doubler" / "1.1.0"))
    assert "1.1.0 serves everything" in platform.command("wait", "doubler", "--timeout", "60s")
    platform.wait_for("doubler", "the new version serves", stable="1.1.0")
    head = platform.head("doubler")
    assert (head.seq, head.parent, head.cause.value) == (before.seq + 1, before.hash, "created")
    assert predict(platform, "doubler").headers["x-route-revision"] == f"doubler.{head.seq}"
    assert find_break([one.to_json() for one in platform.store.revisions("doubler")]) is None


def test_every_revision_of_a_removed_model_is_in_the_archive(platform: Platform) -> None:
    lines = map(json.loads, (platform.state / "logs" / "control-plane.log").read_text().splitlines())
    archived = [line["revision"] for line in lines if line.get("revision", {}).get("route") == "doubler"]
    assert archived == [one.to_json() for one in platform.store.revisions("doubler")]


def test_a_request_in_flight_is_answered(platform: Platform) -> None:
    folder = platform.folder / "models" / "busy" / "1.0.0"
    folders.behave(folder, delay_ms=1500)
    with ThreadPoolExecutor(1) as clients:
        answer = clients.submit(predict, platform, "busy")
        name = next(one for one in processes(platform, "busy") if "-1.0.0-" in one)
        port = next(one.port for one in platform.store.instances() if one.model == "busy" and "1.0.0" in one.id)

        def is_busy() -> bool:
            text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
            return re.search(r"^fairlead_model_in_flight_requests\S* 1\.0$", text, re.MULTILINE) is not None

        wait_until(is_busy, f"{name} is busy")
        platform.command("remove", "busy")
        assert answer.result().status_code == 200


def test_a_rollout_in_progress_is_not_removed_without_yes(platform: Platform) -> None:
    platform.command("release", "rolling", "1.1.0")
    platform.wait_for("rolling", "the first step", weight=1000)
    said = refused(platform, "remove", "rolling")
    assert f"[{exit_codes.REFUSED}]" in said
    assert "rolling is being rolled out: 1.1.0 is in phase canary" in said
    assert "fairlead remove rolling --yes" in said
    assert predict(platform, "rolling").status_code == 200
    platform.command("remove", "rolling", "--yes")
    assert predict(platform, "rolling").status_code == 404
    assert "removed at" in platform.command("history", "rolling", "--evidence")


def test_while_the_gateway_does_not_confirm_instances_run_on_and_the_command_says_so(platform: Platform) -> None:
    pids, gateway = processes(platform, "unconfirmed"), platform.children()["gateway"]
    os.kill(gateway, signal.SIGSTOP)
    try:
        said = refused(platform, "remove", "unconfirmed", "--wait", "3")
        assert f"[{exit_codes.UNAVAILABLE}]" in said
        assert "unconfirmed is removed, but instances of it still run: 1.0.0" in said
        assert all(map(is_alive, pids.values()))
    finally:
        os.kill(gateway, signal.SIGCONT)
    wait_until(lambda: not any(map(is_alive, pids.values())), "its instances stop when the gateway has confirmed")
    assert predict(platform, "unconfirmed").status_code == 404
