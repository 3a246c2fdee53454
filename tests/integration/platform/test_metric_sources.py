"""The metric source fails during a release: real processes, a real Envoy, a real Prometheus."""

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

from fairlead.contracts.revision import Cause
from fairlead.contracts.window import CustomGateCounts, Window
from support.faults import folders
from support.load.open_loop import OpenLoop
from support.platform import Platform, doublers, running_platform, users
from support.processes import wait_until
from support.prometheus import Prometheus, from_files, running_prometheus
from support.relay import Relay, running_relay

RATE = 20
AWAY_S = 18.0
"""How long the source is away: longer than three windows."""
STEPS = [{"weight": 5000, "minDuration": "10m"}]
FAILED = {
    "name": "custom-failed",
    "promql": {
        "bad": 'fairlead_model_requests_total{model="$model",version="$version",protocol="predict",code=~"5.."}',
        "total": 'fairlead_model_requests_total{model="$model",version="$version",protocol="predict"}',
    },
}
ALONE = [FAILED, *({"name": name, "role": "off"} for name in ("errors", "starved", "rejections"))]
"""Only the custom gate: the gates that use the gateway's counters are off."""


@dataclass(frozen=True)
class Setup:
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
        """Release, and wait for the first weight and for two windows in which both versions answered."""
        self.platform.command("release", model, "1.1.0")
        self.platform.wait_for(model, "the candidate has its share", weight=5000)
        self.wait(lambda: len(both(self.windows(model))) >= 2, "two windows are counted")

    def wait(self, condition: Any, what: str) -> None:
        wait_until(condition, what, every=0.2)


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
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
        yield Setup(platform, prometheus, relay)


def both(windows: list[Window]) -> list[Window]:
    return [one for one in windows if one.candidate.n and one.stable.n]


def harm(window: Window) -> float:
    return next(one.log_harm for one in window.evidence if one.gate == "errors")


def uncovered(windows: list[Window]) -> list[tuple[Window, Window]]:
    """Successive counted windows with a gap between them."""
    counted = [one for one in windows if one.gap is None]
    return [(one, other) for one, other in zip(counted, counted[1:], strict=False) if one.end != other.start]


def test_while_prometheus_is_unreachable_the_weight_stays_and_every_window_is_counted_later(setup: Setup) -> None:
    with OpenLoop(setup.platform.url, rate=RATE, seconds=150, request=users("cut")):
        setup.release("cut")
        last = setup.newest("cut")
        setup.relay.to(None)
        setup.wait(lambda: setup.newest("cut").gap is not None, "a window is a gap")
        time.sleep(AWAY_S)
        gap, condition = setup.newest("cut"), setup.counted("cut")
        assert (gap.candidate.n, gap.stable.n, harm(gap)) == (0, 0, harm(setup.windows("cut")[-2]))
        assert (condition["status"], condition["reason"]) == (False, "Gap")
        assert "Prometheus does not answer" in condition["message"]
        assert setup.platform.head("cut").table.weight == 5000
        setup.relay.to(setup.prometheus.port)
        setup.wait(lambda: setup.newest("cut").gap is None, "windows are counted again")
    windows = setup.windows("cut")
    replayed = [one for one in windows if one.gap is None and last.end <= one.start < gap.end]
    assert len(replayed) >= 3, "the missed windows are counted one by one, not as one window for the whole outage"
    assert not uncovered(windows)
    assert all(one.candidate.n and one.stable.n for one in replayed)
    counted = [one for one in windows if one.gap is None]
    total = sum(one.stable.n for one in counted)
    assert total == _stable_at(setup, "cut", counted[-1].end.timestamp()) - _stable_at(
        setup, "cut", counted[0].start.timestamp()
    ), "every request that the gateway counted is in exactly one window"
    assert setup.counted("cut")["status"] is True


def _stable_at(setup: Setup, model: str, moment: float) -> int:
    query = f'envoy_cluster_upstream_rq_completed{{envoy_cluster_name="split~default~{model}~1_0_0"}}'
    found = setup.prometheus.query(f"{query} @ {moment:.3f}")
    return int(found[0]["value"][1])


def test_windows_missed_by_the_control_plane_are_counted_after_its_restart(setup: Setup) -> None:
    with OpenLoop(setup.platform.url, rate=RATE, seconds=150, request=users("restarted")):
        setup.release("restarted")
        last, pid = setup.newest("restarted"), setup.platform.children()["control-plane"]
        os.kill(pid, signal.SIGSTOP)
        time.sleep(AWAY_S)
        os.kill(pid, signal.SIGKILL)
        setup.wait(lambda: (setup.newest("restarted").end - last.end).total_seconds() > AWAY_S, "it has caught up")
    windows = setup.windows("restarted")
    assert not uncovered(windows)
    assert not [one.gap for one in windows if one.gap and one.start > last.start]
    missed = [one for one in windows if last.end <= one.start and one.ready is None]
    assert len(missed) >= 3
    assert all(one.candidate.n and one.stable.n for one in missed)


def test_a_custom_gate_counts_the_models_own_metric_and_rolls_back(setup: Setup) -> None:
    with OpenLoop(setup.platform.url, rate=RATE, seconds=150, request=users("mine")):
        setup.release("mine")
        setup.wait(lambda: sum(one.arms.candidate.n for one in tallies(setup)) > 50, "it has counted")
        assert not any(one.arms.candidate.bad for one in tallies(setup))
        folders.behave(setup.platform.folder / "models" / "mine" / "1.1.0", fail=0.5)
        setup.wait(lambda: setup.platform.head("mine").cause is Cause.ROLLED_BACK, "it is rolled back")
    head = setup.platform.head("mine")
    assert "custom-failed: 1.1.0 has more of custom-failed bad than 1.0.0" in head.reason
    (check,) = [one for one in head.evidence if one.gate == "custom-failed"]
    assert check.numbers["candidate_bad"] > check.numbers["stable_bad"] == 0


def tallies(setup: Setup) -> list[CustomGateCounts]:
    found = [one.custom["custom-failed"] for one in setup.windows("mine") if "custom-failed" in one.custom]
    return [one for one in found if one.gap is None]


def test_when_prometheus_is_killed_the_weight_stays_and_a_person_can_still_roll_back(setup: Setup) -> None:
    with OpenLoop(setup.platform.url, rate=RATE, seconds=150, request=users("killed")):
        setup.release("killed")
        last = setup.newest("killed")
        setup.prometheus.kill()
        setup.wait(lambda: setup.newest("killed").gap is not None, "a window is a gap")
        time.sleep(6)
        assert setup.platform.head("killed").table.weight == 5000
        assert setup.counted("killed")["status"] is False
        setup.prometheus.start()
        setup.wait(lambda: setup.newest("killed").gap is None, "windows are counted again")
        first = next(one for one in setup.windows("killed") if one.gap is None and one.start >= last.end)
        assert first.start == last.end, "nothing was scraped meanwhile: the first window after it has all requests"
        assert first.candidate.n > 0
        setup.prometheus.kill()
        setup.wait(lambda: setup.newest("killed").gap is not None, "a window is a gap")
        began = time.monotonic()
        setup.platform.command("rollback", "killed", "--reason", "it looks wrong")
        took = time.monotonic() - began
    assert setup.platform.head("killed").cause is Cause.ROLLED_BACK
    assert setup.platform.head("killed").table.weight == 0
    assert took < 10
    setup.prometheus.start()


def test_with_the_gateways_counters_a_gap_is_one_window_and_a_restart_is_a_gap(tmp_path: Path) -> None:
    models = doublers(tmp_path, "1.0.0", "1.1.0", strategy={"steps": STEPS, "minRequests": 0})
    with running_platform(tmp_path, models) as platform:
        setup = Setup(platform, None, None)  # type: ignore[arg-type]
        with OpenLoop(platform.url, rate=RATE, seconds=30, request=users()):
            setup.release("doubler")
        # Wait until the last responses are counted.
        before = len(setup.windows("doubler"))
        setup.wait(lambda: len(setup.windows("doubler")) >= before + 2, "two more windows")
        gateway, counted = platform.children()["gateway"], len(setup.windows("doubler"))
        os.kill(gateway, signal.SIGSTOP)
        setup.wait(lambda: setup.newest("doubler").gap is not None, "a window is a gap")
        time.sleep(5)
        os.kill(gateway, signal.SIGCONT)
        with OpenLoop(platform.url, rate=RATE, seconds=4, request=users()) as load:
            sent = load.result().sent
        setup.wait(lambda: _n(setup.windows("doubler")[counted:]) >= sent, "all is counted")
        since = setup.windows("doubler")[counted:]
        assert since[0].gap == "no gateway told its counters"
        assert _n(since) == sent
        os.kill(platform.children()["control-plane"], signal.SIGKILL)
        counted = len(setup.windows("doubler"))
        with OpenLoop(platform.url, rate=RATE, seconds=3, request=users()):
            setup.wait(lambda: len(setup.windows("doubler")) > counted, "it watches again")
        fresh = setup.windows("doubler")[counted]
        assert (fresh.gap, _n([fresh])) == ("the control plane was not watching", 0)


def _n(windows: list[Window]) -> int:
    return sum(one.candidate.n + one.stable.n for one in windows)
