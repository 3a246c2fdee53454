"""A version never changes: it is served from the platform's own copy, whatever happens to the folder it came from."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fairlead.cli import exit_codes
from support.faults import folders
from support.platform import DOUBLER, Platform, doublers, running_platform
from support.processes import ProcessFailed, wait_until


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("platform")
    with running_platform(folder, doublers(folder, "1.0.0")) as platform:
        yield platform


def source(platform: Platform) -> Path:
    return platform.folder / "models" / "doubler" / "1.0.0"


def ask(platform: Platform) -> httpx.Response:
    json_header = {"content-type": "application/json"}
    return httpx.post(f"{platform.url}/models/doubler/predict", content=DOUBLER, headers=json_header)


def answer(platform: Platform) -> float:
    reply = ask(platform)
    assert (reply.status_code, reply.headers["x-model-version"]) == (200, "1.0.0")
    return float(reply.json()["value"])


def restart_the_instance(platform: Platform) -> None:
    (instance,) = platform.store.instances()
    assert instance.pid is not None
    os.kill(instance.pid, signal.SIGKILL)
    wait_until(
        lambda: [one.ready for one in platform.store.instances() if one.pid != instance.pid] == [True],
        "another process serves",
    )
    # The gateway gets its address a moment later.
    wait_until(lambda: ask(platform).status_code == 200, "the gateway uses it")


def copies(platform: Platform) -> list[str]:
    return [path.name for path in (platform.state / "versions").glob("*/*")]


def test_code_that_was_edited_after_the_deployment_is_not_served_by_a_process_that_restarts(platform: Platform) -> None:
    before = answer(platform)
    model = source(platform) / "model.py"
    model.write_text(model.read_text().replace("value=2 * row.value", "value=20 * row.value"))
    restart_the_instance(platform)
    assert answer(platform) == before == 42.0


def test_edited_code_is_refused_under_the_same_version_and_the_answer_names_the_file(platform: Platform) -> None:
    with pytest.raises(ProcessFailed, match=f"exit {exit_codes.CONFLICT}") as raised:
        platform.command("deploy", str(source(platform)))
    assert "is not what was deployed as doubler 1.0.0: model.py was changed" in str(raised.value)
    assert "give the new content a new version" in str(raised.value)


def test_the_service_and_the_status_name_the_digest_of_the_folder(platform: Platform) -> None:
    (instance,) = platform.store.instances()
    metrics = httpx.get(f"http://127.0.0.1:{instance.port}/metrics").text
    (info,) = (line for line in metrics.splitlines() if line.startswith("fairlead_model_info{"))
    folder = platform.store.route("doubler").spec.versions["1.0.0"].folder
    assert f'folder="{folder}"' in info
    (status,) = json.loads(platform.command("status", "--json"))
    assert status["folders"] == {"1.0.0": folder}


def test_a_version_serves_after_its_folder_was_deleted(platform: Platform) -> None:
    shutil.rmtree(source(platform))
    restart_the_instance(platform)
    assert answer(platform) == 42.0


def test_a_version_with_a_new_number_serves_the_edited_code(platform: Platform) -> None:
    new = folders.make(platform.folder / "models", "doubler", "1.0.1")
    platform.command("deploy", str(new))
    assert len(copies(platform)) == 2


def test_a_removed_model_leaves_no_copy(platform: Platform) -> None:
    platform.command("remove", "doubler", "--yes")
    assert copies(platform) == []
