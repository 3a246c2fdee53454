"""`fairlead up` goes on with the processes that a killed `fairlead up` left, and no client notices."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from support.load.open_loop import OpenLoop
from support.load.summary import Summary
from support.platform import Platform, doublers, running_platform, users
from support.processes import is_alive, wait_until

RATE = 40


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with running_platform(tmp_path, doublers(tmp_path, "1.0.0", "1.1.0")) as platform:
        yield platform


@contextmanager
def load(platform: Platform) -> Iterator[list[Summary]]:
    """Predictions at a constant rate; the summary is there after the block."""
    found: list[Summary] = []
    with OpenLoop(platform.url, rate=RATE, seconds=120, request=users()) as requests:
        requests.wait_sent(RATE)
        yield found
        requests.wait_sent(requests.progress.sent + 2 * RATE)
        requests.stop()
        found.append(requests.result())


def other_fairlead(platform: Platform, names: list[str]) -> None:
    """Let these processes seem to have been started by another Fairlead."""
    file = platform.state / "children.json"
    known = json.loads(file.read_text())
    file.write_text(json.dumps({name: [*one[:2], "other"] if name in names else one for name, one in known.items()}))


def test_a_new_supervisor_goes_on_with_every_process_of_a_killed_one_and_no_request_fails(platform: Platform) -> None:
    before = platform.children()
    assert len(before) == 4
    with load(platform) as summaries:
        platform.process.kill()
        platform.start()
        assert platform.children() == before
    (summary,) = summaries
    assert (summary.failed, summary.sent > 3 * RATE) == (0, True)
    # It looks after them: one that ends is started again, and all of them stop with it.
    (instance,) = (name for name in before if name.startswith("doubler-1.1.0"))
    os.kill(before[instance], signal.SIGKILL)
    wait_until(
        lambda: all(one.ready and one.pid != before[instance] for one in platform.store.instances()), "all are ready"
    )
    after = platform.children()
    assert platform.stop() == 0
    assert not any(is_alive(pid) for pid in after.values())


def test_processes_of_another_fairlead_are_replaced_and_no_request_fails(platform: Platform) -> None:
    before = platform.children()
    replaced = sorted(before.keys() - {"gateway"})
    with load(platform) as summaries:
        platform.process.kill()
        other_fairlead(platform, replaced)
        platform.start()
        wait_until(lambda: not any(is_alive(before[name]) for name in replaced), "the old processes have ended")
    (summary,) = summaries
    assert (summary.failed, summary.sent > 3 * RATE) == (0, True)
    after = platform.children()
    assert [name for name in before if after[name] == before[name]] == ["gateway"]
    assert sorted(after) == sorted(before)


def test_what_is_not_wanted_any_more_is_stopped(platform: Platform) -> None:
    before = platform.children()
    platform.process.kill()
    os.kill(before["control-plane"], signal.SIGKILL)
    platform.store.delete_route("doubler")
    platform.store.want([])
    file = platform.folder / "platform.yaml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), "models": {}}))
    platform.start()
    wait_until(lambda: not any(is_alive(before[name]) for name in before if name.startswith("doubler")), "they end")
    assert platform.children()["gateway"] == before["gateway"]
