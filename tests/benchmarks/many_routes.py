"""Many routes on several gateways over xDS: what a change costs, how soon it serves, and what rest costs."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx

from fairlead.contracts.route import RouteSpec, Step, Strategy, Target, Timeouts, VersionSpec, WarmUp
from fairlead.contracts.table import Table
from fairlead.control.endpoints import ServiceNames
from fairlead.routing.compile import compile as compile_tables
from fairlead.routing.envoy.sources import from_control_plane
from fairlead.routing.publish.admin import AdminClient
from fairlead.routing.publish.content import Desired, Order, Written, make_version
from fairlead.routing.publish.publication import Shown
from fairlead.routing.snapshot import Routed, Settings
from integration.routing.backends import running_backends
from support import proof
from support.processes import wait_until
from support.replicas import Platform, a_platform

TITLE = "many routes on several gateways: compile, push, memory, rest"
VERSIONS = {version: VersionSpec(source=version) for version in ("1.0.0", "1.1.0", "1.2.0")}
REFS = [spec.ref(version) for version, spec in VERSIONS.items()]
STRATEGY = Strategy(warm_up=WarmUp(smoke=False), steps=(Step(weight=500, approval=True),))


@dataclass(frozen=True)
class Plan:
    """How many routes, gateways and changes, and how long rest is watched."""

    routes: int
    gateways: int
    changes: int
    rest_s: float
    timed: bool


PLANS: Mapping[proof.Size, Plan] = {"full": Plan(50, 3, 40, 20.0, True), "reduced": Plan(6, 2, 4, 1.0, False)}


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    plan, findings = PLANS[size], proof.Findings()
    _pure(plan, findings)
    with running_backends() as backends, a_platform(folder) as platform:
        backend = backends.start("1.0.0")
        platform.lead("a")
        for name in ("a", "b"):
            platform.start(name)
        platform.through("a")
        began = time.monotonic()
        for number in range(plan.routes):
            platform.put_route(_spec(number, "1.0.0"), dict.fromkeys(VERSIONS, backend.port))
        for number in range(plan.routes):
            platform.wait_revision(f"model-{number}", "created", within=60)
        findings.told("all routes have their first revision", f"{time.monotonic() - began:.1f} s")
        for number in range(plan.gateways):
            platform.add_gateway(f"edge-{number}")
        began = time.monotonic()
        for number in range(plan.routes):
            platform.put_route(_spec(number, "1.1.0"), dict.fromkeys(VERSIONS, backend.port))
        for number in range(plan.routes):
            platform.wait_revision(f"model-{number}", "Canary", within=60)
        findings.told("all routes released to their first step", f"{time.monotonic() - began:.1f} s")
        _settled(platform)
        with load(platform, plan.routes) as seen:
            _pushed(platform, plan, findings)
        failed = sum(count for status, count in seen.items() if status != 200)
        findings.claim("requests while tables changed: failed", "0", f"{failed} of {sum(seen.values())}", failed == 0)
        _settled(platform)
        _at_rest(platform, plan, findings)
    return findings


def _pure(plan: Plan, findings: proof.Findings) -> None:
    """In this process: one change among all routes, compiled and digested, and what is kept of it."""
    tables = [
        Routed(
            f"model-{number}",
            1,
            Table(model=f"model-{number}", stable=REFS[0], candidate=REFS[1], weight=500, pins=tuple(REFS), attempt=1),
        )
        for number in range(plan.routes)
    ]
    endpoints = ServiceNames().endpoints([one.table for one in tables])
    settings = Settings(host="0.0.0.0", routes_from=from_control_plane())
    compiled, digested = [], []
    for _ in range(5):
        began = time.perf_counter()
        snapshot = compile_tables(tables, endpoints, settings)
        compiled.append(time.perf_counter() - began)
        began = time.perf_counter()
        desired = Desired.of(snapshot)
        digested.append(time.perf_counter() - began)
    findings.numbers["compile_ms"] = _ms(statistics.median(compiled))
    findings.numbers["digest_ms"] = _ms(statistics.median(digested))
    findings.told("compile all routes", f"{_ms(statistics.median(compiled))} ms")
    findings.told("digest all resources", f"{_ms(statistics.median(digested))} ms")
    for kind, content in desired.kinds.items():
        began = time.perf_counter()
        shown = Shown.of(Written(make_version(Order(1, "a"), content), content))
        took, raw, packed = time.perf_counter() - began, len(shown.resources), len(shown.packed)
        findings.numbers[kind] = {"resources": len(content.resources), "bytes": raw, "packed": packed}
        findings.told(f"{kind} as sent / as kept", f"{raw >> 10} KiB / {packed >> 10} KiB, encoded in {_ms(took)} ms")


def _spec(number: int, target: str, request_s: float = 10.0) -> RouteSpec:
    return RouteSpec(
        model=f"model-{number}",
        versions=VERSIONS,
        target=Target(version=target),
        strategy=STRATEGY,
        timeouts=Timeouts(request=request_s),
    )


def _pushed(platform: Platform, plan: Plan, findings: proof.Findings) -> None:
    """From the wish's commit to the moment every gateway says that it uses the new routes."""
    times = []
    with _asking(platform) as gateways:
        for change in range(plan.changes):
            before = [_version(one) for one in gateways]
            spec = _spec(change % plan.routes, "1.1.0", request_s=20.0 + change)
            began = time.monotonic()
            platform.store.put_route(spec.model, spec, now=datetime.now(UTC), actor="bench")
            waiting = dict(enumerate(gateways))
            while waiting:
                for index, one in list(waiting.items()):
                    if _version(one) != before[index]:
                        del waiting[index]
                time.sleep(0.005)
                assert time.monotonic() < began + 20, "a change did not arrive"
            times.append(time.monotonic() - began)
            time.sleep(0.3)
        reads = []
        for _ in range(20):
            began = time.perf_counter()
            gateways[0].read()
            reads.append(time.perf_counter() - began)
    times.sort()
    p50, p99 = times[len(times) // 2], times[min(len(times) - 1, round(0.99 * len(times)))]
    findings.numbers["push_ms"] = {"p50": _ms(p50), "p99": _ms(p99), "all": [_ms(one) for one in times]}
    # At the reduced size beside other tests a time tells nothing.
    findings.claim(
        "wish committed to served by every gateway, p50", "300 ms", f"{_ms(p50)} ms", p50 < 0.3 or not plan.timed
    )
    findings.claim("the same, p99", "1000 ms", f"{_ms(p99)} ms", p99 < 1 or not plan.timed)
    findings.told("one look at a gateway's admin page", f"{_ms(statistics.median(reads))} ms")


def _at_rest(platform: Platform, plan: Plan, findings: proof.Findings) -> None:
    processes = {name: child.pid for name, child in platform.children.items()}
    processes |= {name: envoy.process.pid for name, envoy in platform.envoys.items()}
    before = {name: _cpu_s(pid) for name, pid in processes.items()}
    time.sleep(plan.rest_s)
    for name, pid in processes.items():
        busy = (_cpu_s(pid) - before[name]) / plan.rest_s * 100
        rss, peak = _memory_mib(pid)
        findings.numbers[name] = {"cpu_percent": round(busy, 1), "rss_mib": rss, "peak_mib": peak}
        what = {"a": "leader", "b": "follower"}.get(name, name)
        findings.told(f"{what} at rest", f"{busy:.1f} % of a core, {rss} MiB (peak {peak})")
    leader = findings.numbers["a"]["rss_mib"]
    findings.claim("memory of the leader", "100 MiB", f"{leader} MiB", leader <= 100)


def _settled(platform: Platform) -> None:
    """The clusters that nobody routes to are gone too."""

    def settled() -> bool:
        with _asking(platform) as gateways:
            versions = {sample.versions["cds"] for one in gateways if (sample := one.read())}
        seen.append(versions)
        return len(versions) == 1 and seen[-40:].count(versions) == 40

    seen: list[set[str]] = []
    wait_until(settled, "the gateways come to rest", within=60, every=0.3)


@contextmanager
def _asking(platform: Platform) -> Iterator[Sequence[AdminClient]]:
    clients = [AdminClient(site.host, site.admin_port, timeout_s=2) for site in platform.sites]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


def _version(admin: AdminClient) -> str:
    # Versions alone: to count is work for the thread that takes the configuration, and would be measured with it.
    while (sample := admin.read(counters=False)) is None:
        time.sleep(0.005)
    return sample.versions["rds"]


@contextmanager
def load(platform: Platform, routes: int) -> Iterator[Counter[int]]:
    """About 200 requests a second, over all models."""
    seen: Counter[int] = Counter()
    stop = threading.Event()

    def ask() -> None:
        limits = httpx.Limits(max_keepalive_connections=0)
        url = f"http://127.0.0.1:{platform.gateway_port}"
        with closing(httpx.Client(base_url=url, trust_env=False, limits=limits)) as client:
            number = 0
            while not stop.wait(0.005):
                number += 1
                seen[client.post(f"/models/model-{number % routes}/predict", json={}).status_code] += 1

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mib(pid: int) -> tuple[int, int]:
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(lines["VmRSS"].split()[0]) >> 10, int(lines["VmHWM"].split()[0]) >> 10


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


if __name__ == "__main__":
    proof.run("many_routes", TITLE, prove)
