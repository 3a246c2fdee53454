"""Services with several workers behind a gateway: no client notices a worker that is killed."""

from __future__ import annotations

import importlib.util
import os
import signal
from pathlib import Path

import pytest

from support.load.open_loop import OpenLoop
from support.missing import skip_or_fail
from support.platform import doublers, running_platform, users
from support.processes import wait_until

RATE = 40


def workers_of(master: int) -> set[int]:
    return {int(one) for one in Path(f"/proc/{master}/task/{master}/children").read_text().split()}


def test_no_request_fails_while_workers_of_two_instances_are_killed_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if importlib.util.find_spec("gunicorn") is None:
        raise skip_or_fail("gunicorn is not installed: ci/setup dev installs it")
    monkeypatch.setenv("FAIRLEAD_SERVING_WORKERS", "2")
    with running_platform(tmp_path, doublers(tmp_path, "1.0.0", instances=2)) as platform:
        before = platform.children()
        masters = [pid for name, pid in before.items() if name.startswith("doubler-")]
        assert len(masters) == 2
        with OpenLoop(platform.url, rate=RATE, seconds=120, request=users()) as load:
            for master in masters:
                load.wait_sent(load.progress.sent + RATE)
                old = workers_of(master)
                killed = min(old)
                os.kill(killed, signal.SIGKILL)
                wait_until(lambda old=old, master=master: len(workers_of(master) - old) == 1, "it is replaced")  # type: ignore[misc]
            load.wait_sent(load.progress.sent + 2 * RATE)
            load.stop()
            summary = load.result()
        assert (summary.failed, summary.sent > 3 * RATE) == (0, True)
        assert platform.children() == before
