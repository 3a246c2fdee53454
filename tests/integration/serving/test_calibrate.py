"""`fairlead calibrate` measures real model services over HTTP. It runs where no other test disturbs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.contracts import manifest_file
from fairlead.local.folders import digests
from support.folders import DOUBLER, make
from support.processes import wait_until
from support.service import FAIRLEAD

IRIS = Path(__file__).parents[3] / "build" / "models" / "iris" / "1.1.0"
CALL_S = 0.02
SLOW = DOUBLER.replace("import fairlead", "import time\nimport fairlead").replace(
    "        return [Doubled", f"        time.sleep({CALL_S})\n        return [Doubled"
)


DISTURBED = "other processes used"
"""What the command says of a number if the machine has no core left; then it recommends nothing and writes nothing."""


def calibrate(folder: Path, *flags: str, codes: Sequence[int] = (0,)) -> subprocess.CompletedProcess[str]:
    """Run the command, for 5 s of load if the flags say nothing else. Its exit code must be one of these."""
    command = [str(FAIRLEAD), "calibrate", str(folder), "--seconds", "5", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode in codes, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_calls_of_a_fixed_length_have_their_knee_where_they_are_known_to(tmp_path: Path) -> None:
    folder = make(tmp_path / "slow", code=SLOW, batching={"max_rows": 1})
    done = calibrate(folder, "--json", "--seconds", "10", codes=(0, 1))
    found: dict[str, Any] = json.loads(done.stdout)
    [curve] = found["curves"]
    if done.returncode:
        assert curve["why_unsure"].startswith(DISTURBED)
        assert found["recommended"] is None
        return
    assert curve["knee"]["requests_per_s"] == pytest.approx(1 / CALL_S, rel=0.3)
    assert found["recommended"]["batching"] == {"max_rows": 1, "max_wait_ms": 0}
    assert 1 < found["recommended"]["target_in_flight"] < 10
    assert curve["knee"]["memory_bytes"] > 10 << 20
    assert 0 < curve["knee"]["cpu_per_row_s"] < CALL_S


def test_iris_is_measured_and_its_folder_stays_as_it_is(tmp_path: Path) -> None:
    before = digests(IRIS)
    picture = tmp_path / "iris.svg"
    command = [
        str(FAIRLEAD),
        "calibrate",
        str(IRIS),
        "--seconds",
        "8",
        "--json",
        "--max-rows",
        "1",
        "--svg",
        str(picture),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    found = json.loads(done.stdout)
    assert [one["batching"]["max_rows"] for one in found["curves"]] == [64, 1]
    assert max(point["rate"] for one in found["curves"] for point in one["points"]) > 100
    assert "iris 1.1.0: 2 settings of batching, about" in done.stderr
    assert picture.read_text().startswith("<svg")
    assert digests(IRIS) == before


def test_what_is_found_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    folder = make(tmp_path / "slow", code=SLOW, batching={"max_rows": 1, "max_wait_ms": 0})
    manifest = folder / manifest_file.NAME
    manifest.write_text(manifest.read_text().replace("max_rows: 1", "max_rows: 2 # few") + "# the end\n")
    golden, before = (folder / "golden.jsonl").read_bytes(), digests(folder)
    values = tmp_path / "values.yaml"
    values.write_text("# ours\nworkload: {instances: 2}\n")
    flags = ("--seconds", "12", "--max-rows", "64", "--write", "--values", str(values))
    done = calibrate(folder, *flags, codes=(0, 1))
    if done.returncode:
        assert DISTURBED in done.stdout
        assert digests(folder) == before
        assert values.read_text() == "# ours\nworkload: {instances: 2}\n"
        return
    assert "batching: 64 rows" in done.stdout
    assert "its digest changes" in done.stderr
    assert "max_rows: 64 # few\n" in manifest.read_text()
    assert manifest.read_text().endswith("# the end\n")
    assert manifest_file.read(folder).batching.max_rows == 64
    assert (folder / "golden.jsonl").read_bytes() == golden
    assert {name for name, one in digests(folder).items() if before[name] != one} == {manifest_file.NAME}
    assert values.read_text().startswith("# ours\n")
    assert yaml.safe_load(values.read_text())["workload"]["autoscaling"]["target"]["inFlight"] > 10


_AT_A_TERMINAL = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execv(sys.argv[1], sys.argv[1:])"
)
"""Starts a command as a terminal does, whatever the tests were started by."""


def test_ctrl_c_ends_the_service_and_writes_nothing(tmp_path: Path) -> None:
    folder = make(tmp_path / "slow", code=SLOW, batching={"max_rows": 1})
    before = digests(folder)
    # A shell without job control starts what runs in its background with SIGINT ignored, also these tests.
    command = [sys.executable, "-c", _AT_A_TERMINAL, str(FAIRLEAD), "calibrate", str(folder), "--write"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert "doubler 1.0.0: one setting of batching, about 1m" in running.stderr.readline()
        [service] = children(running.pid)
        running.send_signal(signal.SIGINT)
        out, said = running.communicate(timeout=30)
    assert (running.returncode, out) == (130, "")
    assert "interrupted; the model service has ended, and nothing was written" in said
    assert "Traceback" not in said
    assert not Path(f"/proc/{service}").exists()
    assert digests(folder) == before


def test_a_command_that_is_killed_leaves_no_service(tmp_path: Path) -> None:
    folder = make(tmp_path / "slow", code=SLOW, batching={"max_rows": 1})
    with subprocess.Popen([str(FAIRLEAD), "calibrate", str(folder)], stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert "one setting of batching" in running.stderr.readline()
        [service] = children(running.pid)
        running.kill()
    wait_until(lambda: not Path(f"/proc/{service}").exists(), "the service has ended")


def children(pid: int) -> list[int]:
    """The processes that this one has started."""
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []


@pytest.mark.parametrize(
    ("flags", "code", "sentence"),
    [
        ((), 2, "there is nothing to ask the model: its folder has no golden rows"),
        (("--data", "wrong.json"), 2, "the model refuses a row: body.value: Input should be less than or equal to 100"),
        (("--data", "missing.json"), 3, "--data: there is no file missing.json"),
        (("--data", "empty.json"), 2, "--data: empty.json has no rows"),
        (("--p95", "5"), 2, "--p95 5: not a duration"),
    ],
)
def test_where_there_is_nothing_to_measure_a_sentence_says_so(
    tmp_path: Path, flags: tuple[str, ...], code: int, sentence: str
) -> None:
    make(tmp_path / "doubler", golden=())
    (tmp_path / "wrong.json").write_text('[{"value": 500}]')
    (tmp_path / "empty.json").write_text("[]")
    command = [str(FAIRLEAD), "calibrate", "doubler", "--seconds", "5", *flags]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_cannot_be_loaded_is_refused_with_its_reason(tmp_path: Path) -> None:
    folder = make(tmp_path / "doubler")
    (folder / "artifact.bin").write_bytes(b"3")
    assert "the model cannot be served: artifact.bin is not the artifact" in calibrate(folder, codes=[6]).stderr


def test_rows_of_a_file_are_sent_instead_of_the_golden_rows(tmp_path: Path) -> None:
    folder = make(tmp_path / "doubler", golden=(), batching={"max_rows": 1}, idempotent=False)
    (tmp_path / "rows.csv").write_text("value,target\n1,2\n3,6\n")
    command = [str(FAIRLEAD), "calibrate", str(folder), "--seconds", "5", "--json", "--rows", "2", "--p95", "50ms"]
    command += ["--data", str(tmp_path / "rows.csv")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    found = json.loads(done.stdout)
    assert found["rows_per_request"] == 2
    assert found["curves"][0]["goal_p95_s"] == 0.05
    assert found["curves"][0]["points"][0]["requests"] > 0
