"""`fairlead rehearse --real`: real processes play a scenario, and none of them is left running."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from fairlead.cli import exit_codes
from fairlead.rehearsal.live.timeline import START_TIMEOUT_S
from fairlead.store.sqlite import SqliteStore
from support.platform import FAIRLEAD
from support.processes import is_alive, wait_until

TROUBLE = """
name: trouble
description: Counters fail, the gateway restarts, the control plane is away; then the candidate fails.
duration: 78s
load: 60
strategy: {steps: [{weight: 2000, minDuration: 5m}]}
candidate: {startup: 1s, latency: {median: 5ms, sigma: 0.3}}
events:
  - {at: 6s, until: 18s, fault: metrics-outage}
  - {at: 20s, until: 23s, fault: control-plane-outage}
  - {at: 27s, fault: gateway-restart}
  - {at: 30s, candidate: {errors: 0.6}}
expect:
  - {from: 5s, until: 30s, weight: 2000}
  - {from: 13s, until: 17s, outcome: held, reason: no gateway told its counters}
  - {by: 75s, outcome: rolled-back, gate: errors}
"""
SLOW = """
name: slow
description: Both versions take 2.5 s, with the default timeouts.
duration: 50s
load: 6
strategy: {steps: [{weight: 5000, minDuration: 5s}]}
stable: {instances: INSTANCES, latency: {median: 2500ms, sigma: 0}}
candidate: {instances: INSTANCES, startup: 1s, latency: {median: 2500ms, sigma: 0}}
expect: [{never: rolled-back}, {by: 45s, outcome: promoted}]
"""
LONG = "name: long\nduration: 10m\nload: 20\nexpect: [{never: rolled-back}]\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "scenario.yaml"
    path.write_text(text)
    return path


def children(folder: Path) -> dict[str, int]:
    """The pid of every child by name, from the supervisor's file."""
    try:
        known: dict[str, Any] = json.loads((folder / "children.json").read_text())
    except (OSError, ValueError):
        return {}
    return {name: int(pid) for name, (pid, *_) in known.items()}


def test_every_fault_is_played_and_every_expectation_held(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    command = [str(FAIRLEAD), "rehearse", str(written(tmp_path, TROUBLE)), "--real", "--json", "--keep", str(kept)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    assert [(one["expect"], one["seen"]) for one in run["expectations"] if not one["held"]] == []
    assert done.returncode == exit_codes.OK
    happened = [line["what"] for line in run["story"]]
    for what in ("metrics outage", "control plane outage", "gateway restart", "candidate: errors 60 %"):
        assert what in happened
    gaps = {
        window.gap for revision in SqliteStore(kept / "ledger.db").revisions("rehearsed") for window in revision.windows
    }
    assert {"no gateway told its counters", "the control plane was not watching"} <= gaps
    # Few: counts next to a gap are lost with it, and the gateway ejects an instance that fails repeatedly.
    assert 0 < run["failedByCandidate"] <= run["givenToCandidate"]


@pytest.mark.parametrize("instances", [1, 2])
def test_two_versions_that_are_equally_slow_are_no_reason_for_an_error_or_a_rollback(
    tmp_path: Path, instances: int
) -> None:
    scenario = written(tmp_path, SLOW.replace("INSTANCES", str(instances)))
    done = subprocess.run(
        [str(FAIRLEAD), "rehearse", str(scenario), "--real", "--json"], capture_output=True, text=True, check=False
    )
    assert done.stdout, done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    assert [(one["expect"], one["seen"]) for one in run["expectations"] if not one["held"]] == []
    assert (run["badForUsers"], run["failedByCandidate"]) == (0, 0)
    assert run["givenToCandidate"] >= 20


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_every_process_that_was_started(tmp_path: Path, how: signal.Signals) -> None:
    temporary, kept = tmp_path / "tmp", tmp_path / "kept"
    temporary.mkdir()
    command = [str(FAIRLEAD), "rehearse", str(written(tmp_path, LONG)), "--real", "--keep", str(kept)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(temporary)}
    )
    try:
        wait_until(lambda: len(children(kept)) == 4, "everything runs")
        pids = children(kept)
        process.send_signal(how)
        _, printed = process.communicate()
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "all processes that were started have ended" in printed
    assert {name for name, pid in pids.items() if is_alive(pid)} == set()
    assert list(temporary.iterdir()) == []


def test_a_process_that_does_not_start_is_reported_with_its_log_and_ended(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    envoy = tmp_path / "envoy"
    envoy.write_text("#!/bin/sh\necho no gateway today\nexit 1\n")
    envoy.chmod(0o755)
    temporary = tmp_path_factory.mktemp("t")  # a path that is short enough for sockets
    done = subprocess.run(
        [FAIRLEAD, "rehearse", written(tmp_path, LONG), "--real", "--envoy", envoy],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    assert (done.returncode, "no gateway today" in done.stderr) == (exit_codes.UNAVAILABLE, True)
    waited = re.search(r"after (\d+) s it still waits", done.stderr)
    assert waited is not None
    assert int(waited[1]) < START_TIMEOUT_S, "a process that fails repeatedly must end the wait early"
    assert list(temporary.iterdir()) == []
