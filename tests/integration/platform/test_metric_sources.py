"""The source of the counts goes away in the middle of a release: real processes, a real Envoy, a real Prometheus."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fairlead.contracts.revision import Cause, Tally, Window
from support.faults import folders
from support.load.open_loop import OpenLoop
from support.platform import Platform, doublers, running_platform, users
from support.processes import wait_until
from support.prometheus import Prometheus, from_files, running_prometheus
from support.relay import Relay, running_relay

RATE = 20
AWAY_S = 18.0
"""Longer than three windows."""
STEPS = [{"weight": 5000, "minDuration": "10m"}]
FAILED = {
    "name": "custom-failed",
    "promql": {
        "bad": 'fairlead_model_requests_total{model="$model",version="$version",protocol="predict",code=~"5.."}',
        "total": 'fairlead_model_requests_total{model="$model",version="$version",protocol="predict"}',
    },
}
ALONE = [FAILED, *({"name": name, "role": "off"} for name in ("errors", "starved", "rejections"))]
"""Nobody else sees it: the gateway's own counters are not asked."""


@dataclass(frozen=True)
class World:
    platform: Platform
    prometheus: Prometheus
    relay: Relay

    def windows(self, model: str) -> list[Window]:
        return self.platform.store.windows(model)

    def newest(self, model: str) -> Window:
        return self.windows(model)[-1]

    def status(self, model: str) -> dict[str, Any]:
        return self.platform.store.status(model) or {}

    def counted(self, model: str) -> dict[str, Any]:
        return next(one for one in self.status(model)["conditions"] if one["type"] == "Counted")

    def release(self, model: str) -> None:
        """Up to the first weight, and two windows in which both versions answered."""
        self.platform.command("release", model, "1.1.0")
        self.platform.wait_for(model, "the candidate has its share", weight=5000)
        self.wait(lambda: len(both(self.windows(model))) >= 2, "two windows are counted")

    def wait(self, condition: Any, what: str) -> None:
        wait_until(condition, what, every=0.2)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("sources")
    models: dict[str, dict[str, Any]] = {}
    for name in ("cut", "killed", "restarted", "mine"):
        gates = ALONE if name == "mine" else []
        models |= doublers(
            folder, "1.0.0", "1.1.0", model=name, strategy={"steps": STEPS, "minRequests": 0, "gates": gates}
        )
    with ExitStack() as stack:
        relay = stack.enter_context(running_relay(None))
        settings = {"url": f"http://127.0.0.1:{relay.port}", "selector": 'job="fairlead-gateway"'}
        metrics = {"source": "prometheus", "prometheus": {**settings, "scrapeInterval": "1s", "timeout": "1s"}}
        targets = folder / ".fairlead" / "prometheus-targets.json"
        prometheus = stack.enter_context(running_prometheus(folder / "prometheus", [from_files(targets)]))
        relay.to(prometheus.port)
        platform = stack.enter_context(running_platform(folder, models, metrics))
        prometheus.wait_for("envoy_server_uptime", "the gateway is scraped")
        yield World(platform, prometheus, relay)


def both(windows: list[Window]) -> list[Window]:
    return [one for one in windows if one.candidate.n and one.stable.n]


def harm(window: Window) -> float:
    return next(one.log_harm for one in window.evidence if one.gate == "errors")


def uncovered(windows: list[Window]) -> list[tuple[Window, Window]]:
    """Neighbours among the counted windows between which something is missing."""
    counted = [one for one in windows if one.gap is None]
    return [(one, other) for one, other in zip(counted, counted[1:], strict=False) if one.end != other.start]


def test_while_prometheus_cannot_be_reached_the_weight_stays_and_afterwards_every_window_is_there(world: World) -> None:
    with OpenLoop(world.platform.url, rate=RATE, seconds=150, request=users("cut")):
        world.release("cut")
        last = world.newest("cut")
        world.relay.to(None)
        world.wait(lambda: world.newest("cut").gap is not None, "a window is a gap")
        time.sleep(AWAY_S)
        gap, condition = world.newest("cut"), world.counted("cut")
        assert (gap.candidate.n, gap.stable.n, harm(gap)) == (0, 0, harm(world.windows("cut")[-2]))
        assert (condition["status"], condition["reason"]) == (False, "Gap")
        assert "Prometheus does not answer" in condition["message"]
        assert world.platform.head("cut").table.weight == 5000
        world.relay.to(world.prometheus.port)
        world.wait(lambda: world.newest("cut").gap is None, "windows are counted again")
    windows = world.windows("cut")
    replayed = [one for one in windows if one.gap is None and last.end <= one.start < gap.end]
    assert len(replayed) >= 3, "the windows that they were, and not one for the whole outage"
    assert not uncovered(windows)
    assert all(one.candidate.n and one.stable.n for one in replayed)
    counted = [one for one in windows if one.gap is None]
    total = sum(one.stable.n for one in counted)
    assert total == _stable_at(world, "cut", counted[-1].end.timestamp()) - _stable_at(
        world, "cut", counted[0].start.timestamp()
    ), "what the gateway counted, all of it and once"
    assert world.counted("cut")["status"] is True


def _stable_at(world: World, model: str, moment: float) -> int:
    query = f'envoy_cluster_upstream_rq_completed{{envoy_cluster_name="split~default~{model}~1_0_0"}}'
    found = world.prometheus.query(f"{query} @ {moment:.3f}")
    return int(found[0]["value"][1])


def test_what_the_control_plane_missed_is_evidence_when_it_is_back(world: World) -> None:
    with OpenLoop(world.platform.url, rate=RATE, seconds=150, request=users("restarted")):
        world.release("restarted")
        last, pid = world.newest("restarted"), world.platform.children()["control-plane"]
        os.kill(pid, signal.SIGSTOP)
        time.sleep(AWAY_S)
        os.kill(pid, signal.SIGKILL)
        world.wait(lambda: (world.newest("restarted").end - last.end).total_seconds() > AWAY_S, "it has caught up")
    windows = world.windows("restarted")
    assert not uncovered(windows)
    assert not [one.gap for one in windows if one.gap and one.start > last.start]
    missed = [one for one in windows if last.end <= one.start and one.ready is None]
    assert len(missed) >= 3
    assert all(one.candidate.n and one.stable.n for one in missed)


def test_a_custom_gate_counts_the_models_own_metric_and_rolls_back(world: World) -> None:
    with OpenLoop(world.platform.url, rate=RATE, seconds=150, request=users("mine")):
        world.release("mine")
        world.wait(lambda: sum(one.arms.candidate.n for one in tallies(world)) > 50, "it has counted")
        assert not any(one.arms.candidate.bad for one in tallies(world))
        folders.behave(world.platform.folder / "models" / "mine" / "1.1.0", fail=0.5)
        world.wait(lambda: world.platform.head("mine").cause is Cause.ROLLED_BACK, "it is rolled back")
    head = world.platform.head("mine")
    assert "custom-failed: 1.1.0 has more of custom-failed bad than 1.0.0" in head.reason
    (check,) = [one for one in head.evidence if one.gate == "custom-failed"]
    assert check.numbers["candidate_bad"] > check.numbers["stable_bad"] == 0


def tallies(world: World) -> list[Tally]:
    told = [one.custom["custom-failed"] for one in world.windows("mine") if "custom-failed" in one.custom]
    return [one for one in told if one.gap is None]


def test_when_prometheus_dies_the_weight_stays_and_a_person_still_rolls_back(world: World) -> None:
    with OpenLoop(world.platform.url, rate=RATE, seconds=150, request=users("killed")):
        world.release("killed")
        last = world.newest("killed")
        world.prometheus.kill()
        world.wait(lambda: world.newest("killed").gap is not None, "a window is a gap")
        time.sleep(6)
        assert world.platform.head("killed").table.weight == 5000
        assert world.counted("killed")["status"] is False
        world.prometheus.start()
        world.wait(lambda: world.newest("killed").gap is None, "windows are counted again")
        first = next(one for one in world.windows("killed") if one.gap is None and one.start >= last.end)
        assert first.start == last.end, "nobody scraped meanwhile: counters only rise, and the first window has it all"
        assert first.candidate.n > 0
        world.prometheus.kill()
        world.wait(lambda: world.newest("killed").gap is not None, "a window is a gap")
        began = time.monotonic()
        world.platform.command("rollback", "killed", "--reason", "it looks wrong")
        took = time.monotonic() - began
    assert world.platform.head("killed").cause is Cause.ROLLED_BACK
    assert world.platform.head("killed").table.weight == 0
    assert took < 10
    world.prometheus.start()


def test_from_the_gateways_own_counters_a_gap_is_one_window_and_a_restart_is_no_evidence(tmp_path: Path) -> None:
    models = doublers(tmp_path, "1.0.0", "1.1.0", strategy={"steps": STEPS, "minRequests": 0})
    with running_platform(tmp_path, models) as platform:
        world = World(platform, None, None)  # type: ignore[arg-type]
        with OpenLoop(platform.url, rate=RATE, seconds=30, request=users()):
            world.release("doubler")
        # The last answers are counted, and nothing happens any more.
        before = len(world.windows("doubler"))
        world.wait(lambda: len(world.windows("doubler")) >= before + 2, "two more windows")
        gateway, counted = platform.children()["gateway"], len(world.windows("doubler"))
        os.kill(gateway, signal.SIGSTOP)
        world.wait(lambda: world.newest("doubler").gap is not None, "a window is a gap")
        time.sleep(5)
        os.kill(gateway, signal.SIGCONT)
        with OpenLoop(platform.url, rate=RATE, seconds=4, request=users()) as load:
            sent = load.result().sent
        world.wait(lambda: _n(world.windows("doubler")[counted:]) >= sent, "all is counted")
        since = world.windows("doubler")[counted:]
        assert since[0].gap == "no gateway told its counters"
        assert _n(since) == sent
        os.kill(platform.children()["control-plane"], signal.SIGKILL)
        counted = len(world.windows("doubler"))
        with OpenLoop(platform.url, rate=RATE, seconds=3, request=users()):
            world.wait(lambda: len(world.windows("doubler")) > counted, "it watches again")
        fresh = world.windows("doubler")[counted]
        assert (fresh.gap, _n([fresh])) == ("the control plane was not watching", 0)


def _n(windows: list[Window]) -> int:
    return sum(one.candidate.n + one.stable.n for one in windows)
