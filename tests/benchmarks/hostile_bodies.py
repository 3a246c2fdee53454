"""Sends hostile bodies through the gateway during a canary; what do honest clients, /livez and memory notice?"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from fairlead.contracts.instance import Instance
from support import proof
from support.hostile_bodies import PROTOCOLS, fuzzed
from support.load.open_loop import OpenLoop
from support.load.prebuilt import Always, Users, encode
from support.load.summary import Summary
from support.platform import Platform, running_platform

TITLE = "hostile bodies beside honest requests during a canary"
MODEL, STABLE, CANDIDATE = "iris", "1.0.0", "1.1.0"
BUILT = Path(__file__).resolve().parents[2] / "build" / "models" / MODEL
ROW = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
HONEST_RATE, HEALTH_RATE = 50, 20
MEMORY_MIB = 512
"""The memory limit of the chart."""
SEED = 1


@dataclass(frozen=True)
class Plan:
    """The bodies of each protocol, the seconds in which they are sent, and the p99 of /livez that is wanted."""

    bodies: int
    seconds: float
    livez_ms: float


PLANS: Mapping[proof.Size, Plan] = {"full": Plan(1000, 600, 100), "reduced": Plan(25, 20, 500)}


@dataclass
class Attack:
    """Sends the bodies of one protocol on a thread, evenly over the time, and keeps the statuses and failures."""

    url: str
    protocol: str
    plan: Plan
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def run(self) -> None:
        """Send all bodies, each on a connection of its own."""
        began = time.monotonic()
        for number, body in enumerate(fuzzed(MODEL, ROW, self.protocol, SEED, self.plan.bodies)):
            time.sleep(max(0.0, began + number * self.plan.seconds / self.plan.bodies - time.monotonic()))
            path = f"/models/{MODEL}/predict" if body.path == "/predict" else body.path
            sent = time.monotonic()
            try:
                self.statuses[self._send(path, body.body)] += 1
            except (OSError, http.client.HTTPException) as problem:
                self.failures.append(f"{body.name}: {problem!r}")
            self.slowest_s = max(self.slowest_s, time.monotonic() - sent)

    def _send(self, path: str, body: bytes) -> int:
        gateway = urlsplit(self.url)
        connection = http.client.HTTPConnection(gateway.hostname or "", gateway.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", path, body, {"content-type": "application/json"})
            answered = connection.getresponse()
            answered.read()
            return answered.status


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Half of the requests go to the candidate, so both versions get hostile bodies."""
    found, plan = proof.Findings(), PLANS[size]
    versions = {version: {"source": str(BUILT / version)} for version in (STABLE, CANDIDATE)}
    strategy = {"steps": [{"weight": 5000, "minDuration": "1h"}], "minRequests": 0, "warmUp": {"soak": "0s"}}
    models = {MODEL: {"target": STABLE, "versions": versions, "strategy": strategy}}
    with running_platform(folder, models) as platform:
        platform.command("release", MODEL, CANDIDATE)
        canary = platform.wait_for(MODEL, "the candidate has half of the requests", weight=5000)
        instances = sorted(
            (one for one in platform.store.instances() if one.model == MODEL), key=lambda one: one.ref.version
        )
        attacks = [Attack(platform.url, protocol, plan) for protocol in PROTOCOLS]
        honest, health = _under_attack(platform, instances, attacks, plan)
        peaks = {one.ref.version: _peak_mib(one) for one in instances}
        _judge(found, plan, attacks, honest, health, peaks)
        same = platform.head(MODEL).table == canary.table
        found.claim("the candidate has its weight afterwards", "yes", "yes" if same else "no", same)
    return found


def _under_attack(
    platform: Platform, instances: list[Instance], attacks: list[Attack], plan: Plan
) -> tuple[Summary, dict[str, Summary]]:
    """Send the hostile bodies beside honest predictions and questions to /livez of each instance."""
    honest = OpenLoop(
        platform.url,
        rate=HONEST_RATE,
        seconds=plan.seconds + 600,
        request=Users(f"/models/{MODEL}/predict", body=json.dumps(ROW).encode()),
    )
    loads = {
        one.ref.version: OpenLoop(
            f"http://{one.host}:{one.port}",
            rate=HEALTH_RATE,
            seconds=plan.seconds + 600,
            request=Always(encode("GET", "/livez")),
        )
        for one in instances
    }
    with contextlib.ExitStack() as stack:
        for load in (honest, *loads.values()):
            stack.enter_context(load)
        threads = [threading.Thread(target=attack.run) for attack in attacks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for load in (honest, *loads.values()):
            load.stop()
        return honest.result(), {version: load.result() for version, load in loads.items()}


def _peak_mib(instance: Instance) -> float:
    status = Path(f"/proc/{instance.pid}/status").read_text()
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert match is not None
    return round(int(match[1]) / 1024, 1)


def _judge(
    found: proof.Findings,
    plan: Plan,
    attacks: list[Attack],
    honest: Summary,
    health: Mapping[str, Summary],
    peaks: Mapping[str, float],
) -> None:
    found.claim(f"failed of {honest.sent} honest requests", "0", honest.failed, honest.failed == 0)
    found.note("honest requests, p99, ms", f"{honest.latency_ms(0.99):.0f}")
    for version, load in health.items():
        p99 = load.latency_ms(0.99)
        good = p99 <= plan.livez_ms and not load.failed
        found.claim(f"/livez of {version}, p99, ms", f"at most {plan.livez_ms:.0f}", f"{p99:.0f}", good)
        found.note(f"/livez of {version}, slowest, ms", f"{load.latency_ms(1.0):.0f}")
        peak = peaks[version]
        found.claim(f"peak memory of {version}, MiB", f"at most {MEMORY_MIB}", f"{peak:.0f}", peak <= MEMORY_MIB)
    for attack in attacks:
        failed = sum(count for status, count in attack.statuses.items() if status >= 500) + len(attack.failures)
        what = f"hostile bodies, {attack.protocol}: without an answer, or with 5xx, of {plan.bodies}"
        found.claim(what, "0", failed, failed == 0)
        found.numbers[attack.protocol] = {
            "statuses": {str(status): count for status, count in sorted(attack.statuses.items())},
            "failures": attack.failures[:10],
            "slowest_s": round(attack.slowest_s, 3),
        }
    found.numbers["honest"] = honest.to_json()
    found.numbers["livez"] = {version: load.to_json() for version, load in health.items()}
    found.numbers["peak_mib"] = dict(peaks)


if __name__ == "__main__":
    proof.run("hostile_bodies", TITLE, prove)
