"""The commands of a user on a whole platform: real processes, a real Envoy, the real command line."""

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
from fairlead.contracts.revision import find_break
from support.faults import folders
from support.platform import DOUBLER, FAIRLEAD, Platform, doublers, running_platform
from support.processes import is_alive, wait_until

STEPS = [{"weight": 1000, "minDuration": "300ms"}, {"weight": 5000, "minDuration": "300ms"}]
CAREFUL = [{"weight": 1000, "minDuration": "100ms", "approval": True}]
SMALL = [{"weight": 50, "minDuration": "100ms", "approval": True}]
PROBABLY_PERCENT = "strategy.steps: weight 50 is 0.5 % (weights are in 1/10,000); 50 % is 5000"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    models = doublers(folder, "1.0.0", "1.1.0", strategy={"steps": STEPS, "minRequests": 0})
    for name, steps in (("careful", CAREFUL), ("patient", SMALL)):
        models |= doublers(folder, "1.0.0", "1.1.0", model=name, strategy={"steps": steps, "minRequests": 0})
    with running_platform(folder, models) as platform:
        yield platform


def predict(platform: Platform, path: str = "/models/doubler/predict", **headers: str) -> httpx.Response:
    return httpx.post(
        platform.url + path, content=DOUBLER, headers={"content-type": "application/json", **headers}, timeout=10
    )


def test_a_weight_that_was_probably_meant_in_percent_gets_a_warning(platform: Platform) -> None:
    said = (platform.folder / "up.log").read_text()
    assert re.findall("warning: (.*)", said) == [f"models.patient.{PROBABLY_PERCENT}"]


def fairlead(platform: Platform, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the platform's folder, whatever its exit code."""
    return subprocess.run(
        [FAIRLEAD, *arguments], cwd=platform.folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_predict_sends_a_row_and_says_who_answered(platform: Platform) -> None:
    asked = fairlead(platform, "predict", "doubler", DOUBLER.decode())
    assert json.loads(asked.stdout) == predict(platform).json()
    assert re.fullmatch(r"answered by doubler 1\.0\.0, revision doubler\.\d+\n", asked.stderr)


def test_predict_without_a_row_sends_a_golden_row(platform: Platform) -> None:
    asked = fairlead(platform, "predict", "doubler", "--version", "1.1.0", "--user", "alice")
    assert json.loads(asked.stdout)
    assert "sent its first golden row: {" in asked.stderr
    assert "answered by doubler 1.1.0" in asked.stderr


def test_predict_names_each_field_that_was_rejected(platform: Platform) -> None:
    asked = fairlead(platform, "predict", "doubler", '{"z": 1}')
    assert asked.returncode == exit_codes.USAGE
    assert "  body.value: Field required\n  body.z: Extra inputs are not permitted\n" in asked.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["nobody", "{}"], exit_codes.NOT_FOUND, "nobody answered 404: "),
        (["doubler", "{x: 1}"], exit_codes.USAGE, "the rows are not JSON: "),
        (["doubler", "[" * 20_000], exit_codes.USAGE, "the rows are not JSON: it is nested too deeply: "),
        (["doubler", "@missing.json"], exit_codes.USAGE, "missing.json cannot be read: No such file or directory"),
        (["doubler", "{}", "--url", "http://127.0.0.1:1"], exit_codes.UNAVAILABLE, "did not answer: "),
        (["doubler", "{}", "--url", "ftp://there"], exit_codes.USAGE, "is not the address of a gateway"),
        (
            ["doubler", "{}", "--namespace", "models"],
            exit_codes.USAGE,
            "the address of a cluster's gateway is not known",
        ),
    ],
)
def test_predict_says_why_it_got_no_answer(platform: Platform, arguments: list[str], code: int, sentence: str) -> None:
    asked = fairlead(platform, "predict", *arguments)
    assert (asked.returncode, asked.stdout) == (code, "")
    assert sentence in asked.stderr


def test_predict_sends_an_image_as_what_it_is(platform: Platform) -> None:
    (platform.folder / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    for argument in ("photo.png", "@photo.png"):
        asked = fairlead(platform, "predict", "doubler", argument)
        assert "the body must be application/json, not image/png" in asked.stderr  # doubler takes no images


def test_status_watch_in_a_pipe_prints_each_change_as_plain_text(platform: Platform) -> None:
    watch: list[str | Path] = [FAIRLEAD, "status", "careful", "--watch"]
    with subprocess.Popen(watch, cwd=platform.folder, stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        try:
            first = [watching.stdout.readline() for _ in range(3)]
            platform.command("pause", "careful")
            changed = next(line for line in watching.stdout if "Paused" in line)
        finally:
            watching.terminate()
            platform.command("resume", "careful")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", first[0])
    assert "\x1b" not in "".join([*first, changed])


def test_a_release_is_promoted_step_by_step_as_the_ledger_shows(platform: Platform) -> None:
    before = platform.head("doubler").seq
    platform.command("release", "doubler", "1.1.0")
    assert "promoted" in platform.command("wait", "doubler", "--timeout", "30s")
    assert predict(platform).headers["x-model-version"] == "1.1.0"
    revisions = json.loads(platform.command("history", "doubler", "--json"))
    steps = [(one["cause"], one["table"]["weight"]) for one in revisions if one["seq"] > before]
    assert steps == [("released", 0), ("step", 1000), ("step", 5000), ("promoted", 0)]


def test_after_a_promotion_rollback_returns_to_the_previous_version(platform: Platform) -> None:
    platform.command("retry", "doubler", expect=exit_codes.REFUSED)
    platform.command("rollback", "doubler", "--reason", "worse than before")
    assert predict(platform).headers["x-model-version"] == "1.0.0"
    assert platform.head("doubler").reason == "worse than before"
    # The target is still the version that was rolled back: the engine does not retry it without a request.
    platform.command("wait", "doubler", "--timeout", "5s", expect=exit_codes.ROLLED_BACK)


def test_a_rolled_back_version_is_tried_again_only_on_request(platform: Platform) -> None:
    platform.command("retry", "doubler", "--reason", "fixed the feature store")
    assert "promoted" in platform.command("wait", "doubler", "--timeout", "30s")


def test_a_step_with_approval_waits_and_continues_when_approved(platform: Platform) -> None:
    platform.command("release", "careful", "1.1.0")
    platform.wait_for("careful", "the first step", weight=1000)
    assert "held" in platform.command("wait", "careful", "--timeout", "20s", expect=exit_codes.HELD)
    platform.command("approve", "careful", "--reason", "looks good")
    assert "promoted" in platform.command("wait", "careful", "--timeout", "20s")


def test_a_paused_rollout_keeps_its_weight_until_it_is_resumed(platform: Platform) -> None:
    platform.command("release", "patient", "1.1.0")
    platform.wait_for("patient", "the first step", weight=50)
    platform.command("pause", "patient")
    platform.command("approve", "patient")
    assert "paused" in platform.command("wait", "patient", "--timeout", "20s", expect=exit_codes.HELD)
    assert platform.head("patient").table.weight == 50
    platform.command("resume", "patient")
    assert "promoted" in platform.command("wait", "patient", "--timeout", "20s")


def test_a_version_whose_process_ends_at_each_start_is_rolled_back_within_seconds(platform: Platform) -> None:
    broken = folders.make(platform.folder / "models", "patient", "9.0.0")
    (broken / "model.py").write_text("raise RuntimeError('no such library')\n")
    said = platform.command("deploy", str(broken), "--skip-check")
    assert f"warning: patient: {PROBABLY_PERCENT}" in said
    platform.command("release", "patient", "9.0.0", "--skip-check")
    told = platform.command("wait", "patient", "--timeout", "60s", expect=exit_codes.ROLLED_BACK)
    assert "9.0.0 cannot be loaded: its process ended at each of 4 starts before it was ready" in told
    assert "no such library" in told
    assert platform.head("patient").table.weight == 0
    platform.command("release", "patient", "1.1.0")
    platform.wait_for("patient", "no candidate", candidate=None)


def test_a_model_that_cannot_be_loaded_is_rolled_back_within_seconds_and_tried_again_on_request(
    platform: Platform,
) -> None:
    broken = folders.make(platform.folder / "models", "doubler", "9.0.0")
    code, weights = broken / "model.py", platform.folder / "weights"
    code.write_text(
        code.read_text().replace(
            "    def load(self, artifact: Path) -> None:\n",
            f"    def load(self, artifact: Path) -> None:\n        open({str(weights)!r}).close()\n",
        )
    )
    platform.command("deploy", str(broken), "--skip-check")
    platform.command("release", "doubler", "9.0.0", "--skip-check")
    # warmUp.deadline, which ended such a rollout before, is ten minutes.
    told = platform.command("wait", "doubler", "--timeout", "60s", expect=exit_codes.ROLLED_BACK)
    assert (
        "9.0.0 cannot be loaded: doubler 9.0.0: load failed: FileNotFoundError: [Errno 2] No such file or directory"
        in told
    )
    assert "(fairlead logs doubler --version 9.0.0)" in told
    asked = fairlead(platform, "predict", "doubler", "{}", "--version", "9.0.0")
    assert asked.returncode == exit_codes.UNAVAILABLE, "the gateway alone answers 404: no such version"
    assert "fairlead: doubler 9.0.0 is not ready: doubler 9.0.0: load failed: FileNotFoundError" in asked.stderr
    assert "version 9.0.0 was added" in platform.command("history", "doubler")
    weights.touch()
    platform.command("retry", "doubler")
    assert "promoted" in platform.command("wait", "doubler", "--timeout", "30s")
    platform.command("rollback", "doubler")


def test_a_version_is_pinned_by_path_and_by_header(platform: Platform) -> None:
    for version in ("1.0.0", "1.1.0"):
        assert predict(platform, f"/models/careful/versions/{version}/predict").headers["x-model-version"] == version
        by_header = predict(platform, "/models/careful/predict", **{"x-model-version": version})
        assert by_header.headers["x-model-version"] == version


def test_the_command_and_the_gateway_give_the_same_explanation(platform: Platform) -> None:
    by_gateway = predict(platform, **{"x-route-explain": "1", "x-user-id": "alice"}).json()
    by_command = json.loads(platform.command("explain", "doubler", "--user", "alice", "--json"))
    assert by_command == by_gateway


def test_the_docs_of_a_model_answer_through_the_gateway(platform: Platform) -> None:
    page = httpx.get(f"{platform.url}/models/doubler/docs").text
    script = re.search(r'src="(docs/[^"]+bundle[^"]*)"', page)
    assert script
    assert httpx.get(f"{platform.url}/models/doubler/{script[1]}").status_code == 200
    document = httpx.get(f"{platform.url}/models/doubler/openapi.json").json()
    (server,) = document["servers"]
    assert httpx.post(
        f"{platform.url}{server['url']}/predict", content=DOUBLER, headers={"content-type": "application/json"}
    ).is_success


def test_history_at_a_time_shows_what_was_served_then(platform: Platform) -> None:
    first = platform.store.revision("doubler", 1)
    (found,) = json.loads(platform.command("history", "doubler", "--at", first.created_at.isoformat(), "--json"))
    assert found["seq"] == 1


def test_the_ledger_verifies_after_all_this(platform: Platform) -> None:
    assert "the chain holds" in platform.command("history", "doubler", "--verify")


def test_every_revision_is_one_json_line_of_the_control_planes_log(platform: Platform) -> None:
    lines = [json.loads(line) for line in (platform.state / "logs" / "control-plane.log").read_text().splitlines()]
    archived = [line["revision"] for line in lines if "revision" in line]
    for model in ("doubler", "careful", "patient"):
        kept = [revision.to_json() for revision in platform.store.revisions(model)]
        assert [one for one in archived if one["route"] == model] == kept
        assert find_break(kept) is None


def test_a_second_platform_in_the_same_folder_is_refused(platform: Platform) -> None:
    refused = subprocess.run([FAIRLEAD, "up"], cwd=platform.folder, capture_output=True, text=True)
    assert refused.returncode == exit_codes.CONFLICT
    assert "already runs" in refused.stderr


def test_a_busy_port_is_named_with_the_flag_that_changes_it(platform: Platform, tmp_path: Path) -> None:
    port = platform.url.rpartition(":")[2]
    refused = subprocess.run([FAIRLEAD, "up", "--port", port], cwd=tmp_path, capture_output=True, text=True)
    assert refused.returncode == exit_codes.CONFLICT
    assert port in refused.stderr
    assert "--port" in refused.stderr


def test_an_unknown_model_is_refused_by_every_command(platform: Platform) -> None:
    for command in ("status", "history", "rollback", "wait", "explain"):
        platform.command(command, "rose", expect=exit_codes.NOT_FOUND)


def test_down_stops_the_children_of_a_killed_supervisor(tmp_path: Path) -> None:
    with running_platform(tmp_path, doublers(tmp_path, "1.0.0")) as platform:
        children = platform.children()
        assert len(children) == 3
        os.kill(platform.process.pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(platform.process.pid), "the supervisor is gone")
        printed = platform.command("down")
        assert all(name in printed for name in children)
        assert not any(is_alive(pid) for pid in children.values())


@pytest.fixture
def heeds_hangups() -> Iterator[None]:
    """Under nohup this process ignores SIGHUP, and so would the platform that it starts."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("heeds_hangups")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP], ids=["Ctrl-C", "a closed terminal"])
def test_the_end_of_a_platform_leaves_no_process_behind(tmp_path: Path, how: signal.Signals) -> None:
    with running_platform(tmp_path, doublers(tmp_path, "1.0.0")) as platform:
        children = platform.children()
        assert platform.process.stop(how) == 0
        assert not any(is_alive(pid) for pid in children.values())
