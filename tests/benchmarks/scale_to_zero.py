"""Measures scale to zero on one machine: are first requests lost, how long do they wait, and what do too many cost?"""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairlead.routing.envoy.holding import RETRY_AFTER_S
from fairlead.store.sqlite import SqliteStore
from support import proof
from support.faults import folders
from support.faults.backend import Backend, answer
from support.gateway import running_gateway, table
from support.load.closed_loop import run_in_process
from support.load.impatient import Ask, Ended, ask_together
from support.platform import DOUBLER, Platform, doublers, running_platform
from support.processes import cpu_s, memory_mib, wait_until

TITLE = "scale to zero: first requests, and too many of them"
MODEL, NEVER = "doubler", "never"
WAITING = 100
MAX_GROWTH_MIB = 64
MAX_RATIO = 1.05
BLOCK_S = 0.6


@dataclass(frozen=True)
class Plan:
    """How many cold starts, first requests in each, requests for a model that never starts, and rounds of warm ones."""

    starts: int
    each: int
    vain: int
    warm: int


PLANS: Mapping[proof.Size, Plan] = {"full": Plan(50, 20, 10_000, 60), "reduced": Plan(4, 10, 1_000, 0)}


class StartTimes:
    """Watches one model's instances: how long each process needed from its start until it was ready, in seconds."""

    def __init__(self, ledger: Path) -> None:
        self.seconds: list[float] = []
        self._store = SqliteStore(ledger)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> StartTimes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        self._store.close()

    def _watch(self) -> None:
        began: dict[int, float] = {}
        ready: set[int] = set()
        while not self._ends.wait(0.01):
            for one in self._store.instances():
                if one.model != MODEL or one.pid is None:
                    continue
                now = time.monotonic()
                began.setdefault(one.pid, now)
                if one.ready and one.pid not in ready:
                    ready.add(one.pid)
                    self.seconds.append(now - began[one.pid])


def _port(platform: Platform) -> int:
    return int(platform.url.rpartition(":")[2])


def _wait_cold(platform: Platform, model: str) -> None:
    def is_cold() -> bool:
        running = [name for name in platform.children() if name.startswith(f"{model}-")]
        return not running and platform.gateway_answers() and platform.programmed(model)

    wait_until(is_cold, f"{model} is cold", within=120)


def start_cold(platform: Platform, plan: Plan) -> tuple[list[Ended], list[float]]:
    """The first requests of every cold start, and how long the processes needed.

    While those of two starts wait, the gateway is killed once, and the control plane once.
    """
    ask, found = Ask(_port(platform), f"/models/{MODEL}/predict", DOUBLER), list[Ended]()
    killed = {plan.starts // 3: "gateway", 2 * plan.starts // 3: "control-plane"}
    with StartTimes(platform.state / "ledger.db") as started:
        for turn in range(plan.starts):
            _wait_cold(platform, MODEL)
            victim = killed.get(turn)
            timer = threading.Timer(0.2, _kill, [platform, victim]) if victim else None
            if timer is not None:
                timer.start()
            found += ask_together(ask, plan.each, at_once=plan.each)
            if timer is not None:
                timer.join()
    return found, started.seconds


def _kill(platform: Platform, name: str) -> None:
    os.kill(platform.children()[name], signal.SIGKILL)


def ask_in_vain(platform: Platform, plan: Plan) -> tuple[Sequence[Ended], dict[str, int]]:
    """Requests for a model that never starts, and how much memory both processes needed for them, in MiB."""
    _wait_cold(platform, NEVER)
    folders.behave(platform.folder / "models" / NEVER / "1.0.0", broken=True)
    pids = {name: platform.children()[name] for name in ("gateway", "control-plane")}
    before = {name: memory_mib(pid)[0] for name, pid in pids.items()}
    ask = Ask(_port(platform), f"/models/{NEVER}/predict", DOUBLER, again=False)
    ended = ask_together(ask, plan.vain, at_once=min(1_000, plan.vain))
    return ended, {name: memory_mib(pid)[1] - before[name] for name, pid in pids.items()}


def gateway_cost(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Microseconds of the gateway's CPU for a request to a warm model, by round: without the filter, and turned off.

    Both gateways run in turn, with the same backend. The first round, which warms them up, is left out.
    """
    folder.mkdir()
    mine, found = table(MODEL, "1.0.0"), dict[str, list[float]](without=[], off=[])
    with (
        Backend(MODEL, "1.0.0", log=folder / "backend.log") as backend,
        running_gateway(folder / "without", [backend], mine) as without,
        running_gateway(folder / "off", [backend], mine, holds=True) as off,
    ):
        both = [("without", without), ("off", off)]
        for turn in range(rounds + 1):
            for name, gateway in both if turn % 2 else both[::-1]:
                before, port = cpu_s(gateway.pid), int(gateway.url.rpartition(":")[2])
                path, expect = f"/models/{MODEL}/predict", answer(MODEL, "1.0.0")
                result = run_in_process(port, path, DOUBLER, expect, connections=16, seconds=BLOCK_S)
                found[name].append((cpu_s(gateway.pid) - before) / result.requests * 1e6)
    return {name: values[1:] for name, values in found.items()}


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def judge(plan: Plan, first: Sequence[Ended], starts: Sequence[float]) -> proof.Findings:
    """The claims about first requests."""
    found = proof.Findings()
    statuses, again = Counter(one.status for one in first), sum(one.sent > 1 for one in first)
    lost = len(first) - statuses[200]
    what = f"lost of {len(first)} first requests in {plan.starts} cold starts; the gateway and the control plane killed"
    found.claim(what, "0", lost if not lost else dict(statuses), not lost)
    found.claim("answered by another version", "0", (others := _others(first)), not others)
    found.note("sent again by the client, because the connection was refused or cut off", again)
    waits = [one.seconds for one in first if one.sent == 1 and one.status == 200]
    for share in (0.5, 0.99):
        process, wait = _percentile(starts, share), _percentile(waits, share)
        found.note(f"the process's own start, p{share * 100:g}, s", f"{process:.2f}")
        found.note(f"the wait of a first request, p{share * 100:g}, s", f"{wait:.2f}")
    found.numbers |= {"waits": waits, "starts": [round(one, 3) for one in starts]}
    return found


def _others(first: Sequence[Ended]) -> int:
    return sum(one.status == 200 and one.version != "1.0.0" for one in first)


def judge_vain(found: proof.Findings, ended: Sequence[Ended], growth: Mapping[str, int]) -> None:
    """The claims about requests that wait in vain."""
    kinds = Counter((one.status, one.code, one.retry_after) for one in ended)
    expected = {(503, "cold", str(RETRY_AFTER_S))}
    what = f"{len(ended):,} requests for a model that never starts: 503, code `cold`, Retry-After"
    found.claim(what, "all", dict(kinds) if set(kinds) != expected else "all", set(kinds) == expected)
    for name, mib in growth.items():
        found.claim(f"memory of the {name} for them, MiB", f"at most {MAX_GROWTH_MIB}", mib, mib <= MAX_GROWTH_MIB)


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """One machine, one instance of each model."""
    plan = PLANS[size]
    limits = {"after": "1s", "wait": "60s", "requests": WAITING}
    models = doublers(folder, "1.0.0", model=MODEL, scaleToZero=limits)
    models |= doublers(folder, "1.0.0", model=NEVER, scaleToZero={**limits, "wait": "5s"})
    for model in models.values():
        model["versions"]["1.0.0"]["minInstances"] = 0
    with running_platform(folder, models) as platform:
        first, starts = start_cold(platform, plan)
        found = judge(plan, first, starts)
        judge_vain(found, *ask_in_vain(platform, plan))
    if plan.warm:
        cost = gateway_cost(folder / "gateways", plan.warm)
        ratio = statistics.median(off / without for without, off in zip(*cost.values(), strict=True))
        what = "a request to a warm model, of what it costs a gateway without the filter"
        found.claim(what, f"at most {MAX_RATIO}", f"{ratio:.3f}", ratio <= MAX_RATIO)
        found.numbers |= {"gateway_cpu_us": cost, "ratio": ratio}
    return found


if __name__ == "__main__":
    proof.run(Path(__file__).stem, TITLE, prove)
