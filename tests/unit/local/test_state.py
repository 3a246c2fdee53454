import fcntl
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.contracts.platform import ControlSettings, GatewaySettings, RunningPlatform
from fairlead.local.left_behind import Known, start_time
from fairlead.local.state import StateFolder


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    state = StateFolder(tmp_path / ".fairlead")
    state.create()
    return state


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


def run_of(pid: int) -> RunningPlatform:
    return RunningPlatform(pid=pid, gateway=GatewaySettings(), control=ControlSettings(), admin_port=9901)


def test_a_second_platform_in_the_folder_is_refused_naming_the_first(folder: StateFolder) -> None:
    with folder.locked():
        folder.write_run(run_of(4711))
        other = StateFolder(folder.root)
        with pytest.raises(errors.Conflict, match="process 4711, gateway on port 8080"), other.locked():
            pass


def test_the_folder_shows_whether_a_platform_runs_in_it(folder: StateFolder) -> None:
    with folder.locked():
        assert StateFolder(folder.root).is_running()
    assert not folder.is_running()


def test_two_commands_that_ask_at_once_do_not_take_each_other_for_a_platform(folder: StateFolder) -> None:
    with folder.locked():
        pass
    with (folder.root / "lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_SH)  # as `is_running` of the other command
        assert not folder.is_running()


def test_a_platform_that_starts_is_not_taken_for_one_that_hangs(folder: StateFolder) -> None:
    folder.note_supervised()
    os.utime(folder.root / "supervised", (0, 0))
    with folder.locked():
        at = folder.supervised_at()
    assert at is not None
    assert at.timestamp() > 0


def test_asking_for_the_running_platform_when_there_is_none_says_how_to_start_one(folder: StateFolder) -> None:
    with pytest.raises(errors.Unavailable) as caught:
        folder.running()
    assert "fairlead up" in (caught.value.hint or "")


def test_the_facts_of_a_run_are_read_as_written(folder: StateFolder) -> None:
    folder.write_run(run_of(os.getpid()))
    assert folder.last_run() == run_of(os.getpid())


def test_a_damaged_run_file_counts_as_none(folder: StateFolder) -> None:
    (folder.root / "run.json").write_text("{")
    assert folder.last_run() is None


def test_a_running_child_of_an_ended_supervisor_is_an_orphan(
    folder: StateFolder, sleeper: subprocess.Popen[bytes]
) -> None:
    known = Known(sleeper.pid, start_time(sleeper.pid) or "", "a digest")
    folder.write_children({"gateway": known})
    assert folder.orphans() == {"gateway": known}


def test_a_child_of_an_earlier_fairlead_is_an_orphan_too(folder: StateFolder, sleeper: subprocess.Popen[bytes]) -> None:
    started = start_time(sleeper.pid) or ""
    (folder.root / "children.json").write_text(json.dumps({"gateway": [sleeper.pid, started]}))
    assert folder.orphans() == {"gateway": Known(sleeper.pid, started)}


def test_a_process_with_the_reused_pid_of_an_ended_child_is_not_an_orphan(
    folder: StateFolder, sleeper: subprocess.Popen[bytes]
) -> None:
    (folder.root / "children.json").write_text(json.dumps({"gateway": [sleeper.pid, "an earlier start"]}))
    assert folder.orphans() == {}


def test_a_process_that_ended_has_no_start_time(sleeper: subprocess.Popen[bytes]) -> None:
    assert start_time(sleeper.pid) is not None
    sleeper.kill()
    sleeper.wait()
    assert start_time(sleeper.pid) is None


def test_a_folder_that_cannot_be_written_is_an_invalid_state_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.Invalid, match="cannot be written"):
        StateFolder(tmp_path / "file" / "state").create()


def modes(root: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in (root, *root.rglob("*"))}


def test_the_folder_and_its_files_are_for_their_owner_only_also_if_they_were_not(tmp_path: Path) -> None:
    root = tmp_path / ".fairlead"
    for name in ("gateway", "logs"):
        (root / name).mkdir(parents=True)
    for name in ("ledger.db", "ledger.db-wal", "run.json", "lock", "gateway/lds.json", "logs/gateway.log", "mine.txt"):
        (root / name).write_text("")
        (root / name).chmod(0o644)
    for name in (".", "gateway", "logs"):
        (root / name).chmod(0o755)
    assert StateFolder(root).create() == f"other users could open {root}; now only you can"
    found = modes(root)
    assert found.pop("mine.txt") == 0o644
    assert {mode & 0o077 for mode in found.values()} == {0}
    assert StateFolder(root).create() == ""


def test_a_new_folder_is_for_its_owner_only(tmp_path: Path) -> None:
    assert StateFolder(tmp_path / "new").create() == ""
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_the_platforms_own_key_is_made_once_and_is_for_the_owner_only(folder: StateFolder) -> None:
    before = os.umask(0o022)
    try:
        key = folder.own_key()
    finally:
        os.umask(before)
    assert len(key) > 40
    assert StateFolder(folder.root).own_key() == key
    assert stat.S_IMODE((folder.root / "gateway.key").stat().st_mode) == 0o600
    assert [path.name for path in folder.root.iterdir() if path.name.startswith("tmp")] == []
