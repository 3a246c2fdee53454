"""Measures many routes with a real API server and real Envoys: push latency, CPU, memory, DNS lookups."""

from __future__ import annotations

import itertools
import re
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from fairlead.contracts.route import RouteSpec, Step, Strategy, Target, Timeouts, VersionSpec, WarmUp
from fairlead.contracts.table import Table
from fairlead.control.chart_settings import API_PORT
from fairlead.control.endpoints import SERVICE_PORT, ServiceNames
from fairlead.routing.compile import compile as compile_tables
from fairlead.routing.envoy.sources import from_control_plane
from fairlead.routing.publish.admin import AdminClient
from fairlead.routing.publish.publication import EncodedUpdate
from fairlead.routing.publish.resource_sets import DesiredResources, Update, UpdateOrder, make_version
from fairlead.routing.snapshot import Routed, Settings
from integration.routing.backends import running_backends
from support import proof
from support.background import repeat_in_background
from support.cluster_routes import ClusterRoutes, cluster_routes
from support.nameserver import running_nameserver
from support.processes import cpu_s, memory_mib, wait_until

TITLE = "many routes in a cluster: reconcile, push, memory, rest, names looked up"
VERSIONS = {f"1.{n}.0": VersionSpec(image=f"registry/model@sha256:{n}") for n in range(3)}
REFS = [spec.ref(version) for version, spec in VERSIONS.items()]
STRATEGY = Strategy(warm_up=WarmUp(smoke=False), steps=(Step(weight=500, approval=True),))
BACKEND = "127.0.3.1"
LEADER, FOLLOWER = "a", "b"


@dataclass(frozen=True)
class Plan:
    """The number of routes, gateways and changes, and the seconds at rest. `timed`: the claims about time are made."""

    routes: int
    gateways: int
    changes: int
    rest_s: float
    timed: bool


PLANS: Mapping[proof.Size, Plan] = {"full": Plan(50, 3, 40, 20.0, True), "reduced": Plan(6, 2, 4, 1.0, False)}


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Create all routes, release all of them to their first step, then measure single changes and a time at rest."""
    plan, findings = PLANS[size], proof.Findings()
    _measure_compile(plan, findings)
    models = [f"model-{number}" for number in range(plan.routes)]
    with (
        running_backends() as backends,
        running_nameserver(BACKEND) as names,
        cluster_routes(folder, names) as platform,
    ):
        backends.start("1.0.0", port=SERVICE_PORT, host=BACKEND)
        for name in (LEADER, FOLLOWER):
            platform.add_replica(name)
            wait_for_replica(platform, name)
        specs = [_spec(model, "1.0.0") for model in models]
        platform.deploy(specs)
        began = time.monotonic()
        for spec in specs:
            platform.put(spec)
        platform.wait_for(models, "created", within=120)
        findings.note("all routes written and have their first revision", f"{time.monotonic() - began:.1f} s")
        for number in range(plan.gateways):
            platform.add_gateway(f"edge-{number}", (LEADER, FOLLOWER)[number % 2])
        settle(platform)
        _measure_idle_memory(platform, findings)
        began = time.monotonic()
        for model in models:
            platform.put(_spec(model, "1.1.0"))
        platform.wait_for(models, "Canary", within=180)
        findings.note("all routes released to their first step", f"{time.monotonic() - began:.1f} s")
        settle(platform)
        with load(platform, plan.routes) as seen:
            measure_pushes(platform, plan, findings)
        failed = sum(count for status, count in seen.items() if status != 200)
        findings.claim("requests while tables changed: failed", "0", f"{failed} of {sum(seen.values())}", failed == 0)
        settle(platform)
        _measure_rest(platform, plan, findings)
    return findings


def _measure_compile(plan: Plan, findings: proof.Findings) -> None:
    """In this process: the time to compile and to digest all routes, and the size of the stored publication."""
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
        desired = DesiredResources.of(snapshot)
        digested.append(time.perf_counter() - began)
    findings.numbers["compile_ms"] = ms(statistics.median(compiled))
    findings.numbers["digest_ms"] = ms(statistics.median(digested))
    findings.note("compile all routes", f"{ms(statistics.median(compiled))} ms")
    findings.note("digest all resources", f"{ms(statistics.median(digested))} ms")
    for kind, content in desired.kinds.items():
        began = time.perf_counter()
        encoded = EncodedUpdate.of(Update(make_version(UpdateOrder(1, "a"), content), content))
        took, raw, packed = time.perf_counter() - began, len(encoded.resources), len(encoded.compressed)
        findings.numbers[kind] = {"resources": len(content.resources), "bytes": raw, "packed": packed}
        findings.note(f"{kind} as sent / as kept", f"{raw >> 10} KiB / {packed >> 10} KiB, encoded in {ms(took)} ms")


def _spec(model: str, target: str, request_s: float = 10.0) -> RouteSpec:
    return RouteSpec(
        model=model,
        versions=VERSIONS,
        target=Target(version=target),
        strategy=STRATEGY,
        timeouts=Timeouts(request=request_s),
    )


def measure_pushes(platform: ClusterRoutes, plan: Plan, findings: proof.Findings) -> None:
    """The time from writing a spec until every gateway reports that it uses the new routes."""
    times = []
    with _admin_clients(platform) as gateways:
        ticks = ticks_of(platform)
        for change in range(plan.changes):
            before = [_version(one) for one in gateways]
            spec = _spec(f"model-{change % plan.routes}", "1.1.0", request_s=20.0 + change)
            began = time.monotonic()
            platform.put(spec)
            waiting = dict(enumerate(gateways))
            while waiting:
                for index, one in list(waiting.items()):
                    if _version(one) != before[index]:
                        del waiting[index]
                # Envoy answers on the thread that applies the configuration: more frequent polls would slow it down.
                time.sleep(0.02)
                assert time.monotonic() < began + 20, "a change did not arrive"
            times.append(time.monotonic() - began)
            time.sleep(0.3)
        ticked = ticks_of(platform)
    times.sort()
    p50, p99 = times[len(times) // 2], times[min(len(times) - 1, round(0.99 * len(times)))]
    findings.numbers["push_ms"] = {"p50": ms(p50), "p99": ms(p99), "all": [ms(one) for one in times]}
    findings.note("one tick of the engine over all routes, while tables change", f"{mean_ms(ticks, ticked)} ms")
    findings.numbers["tick_changing_ms"] = mean_ms(ticks, ticked)
    # The reduced size runs in parallel with other tests, so its times are not compared with the targets.
    aims = (("wish sent to served by every gateway, p50", 500.0, ms(p50)), ("the same, p99", 1000.0, ms(p99)))
    for what, aim, took in aims:
        if plan.timed:
            findings.claim(what, f"{aim:g} ms", f"{took} ms", took < aim)
        else:
            findings.note(what, f"{took} ms")


def _measure_idle_memory(platform: ClusterRoutes, findings: proof.Findings) -> None:
    """The control plane's memory before any rollout, which its memory limit must cover."""
    for name, what in ((LEADER, "leader"), (FOLLOWER, "follower")):
        rss, _ = memory_mib(platform.replicas[name].pid)
        findings.numbers[f"idle_rss_mib_{what}"] = rss
        findings.claim(f"memory of the {what}, all routes idle", "100 MiB", f"{rss} MiB", rss <= 100)


def _measure_rest(platform: ClusterRoutes, plan: Plan, findings: proof.Findings) -> None:
    """CPU and memory of each process, and DNS lookups, while nothing changes."""
    processes = {name: child.pid for name, child in platform.replicas.items()}
    processes |= {name: envoy.process.pid for name, envoy in platform.envoys.items()}
    processes |= {part: platform.cluster.pid(part) for part in ("kube-apiserver", "etcd")}
    before, ticks = {name: cpu_s(pid) for name, pid in processes.items()}, ticks_of(platform)
    asked, began = Counter(platform.names.asked), time.monotonic()
    time.sleep(plan.rest_s)
    looked = {kind: (count - asked[kind]) / (time.monotonic() - began) for kind, count in platform.names.asked.items()}
    ticked = ticks_of(platform)
    for name, pid in processes.items():
        busy = (cpu_s(pid) - before[name]) / plan.rest_s * 100
        rss, peak = memory_mib(pid)
        findings.numbers[name] = {"cpu_percent": round(busy, 1), "rss_mib": rss, "peak_mib": peak}
        what = {LEADER: "leader", FOLLOWER: "follower"}.get(name, name)
        findings.note(f"{what} at rest", f"{busy:.1f} % of a core, {rss} MiB (peak {peak})")
    findings.numbers["tick_at_rest_ms"] = mean_ms(ticks, ticked)
    findings.note("one tick of the engine over all routes, at rest", f"{mean_ms(ticks, ticked)} ms")
    findings.numbers["lookups_per_s"] = {kind: round(rate / plan.gateways, 1) for kind, rate in looked.items()}
    each = ", ".join(f"{rate / plan.gateways:.0f} {kind}" for kind, rate in sorted(looked.items()))
    findings.note("names looked up each second by one gateway", f"{each}; {len(platform.names.names)} names")


def wait_for_replica(platform: ClusterRoutes, name: str) -> None:
    """Wait until a replica answers, and until LEADER leads. The second replica starts only then, so it cannot lead."""

    def leads() -> bool:
        try:
            page = metrics_of(platform, name)
        except httpx.HTTPError:
            return False
        return name != LEADER or "fairlead_control_leader 1.0" in page

    platform.replicas[name].wait_until(leads, f"{name} answers")


def metrics_of(platform: ClusterRoutes, name: str) -> str:
    answer = httpx.get(f"http://{platform.addresses[name]}:{API_PORT}/metrics", trust_env=False, timeout=5)
    return answer.raise_for_status().text


def ticks_of(platform: ClusterRoutes) -> tuple[float, float]:
    """The number of the leader's ticks so far, and their total seconds."""
    page = metrics_of(platform, LEADER)
    count, total = (
        float(re.findall(rf"^fairlead_control_reconcile_seconds_{part} (.+)$", page, re.M)[0])
        for part in ("count", "sum")
    )
    return count, total


def mean_ms(before: tuple[float, float], after: tuple[float, float]) -> float:
    return ms((after[1] - before[1]) / max(1.0, after[0] - before[0]))


def settle(platform: ClusterRoutes) -> None:
    """Wait until all gateways use the same resources and these stay the same: unused clusters are removed last."""

    def settled() -> bool:
        with _admin_clients(platform) as gateways:
            samples = [one.read() for one in gateways]
        versions = {sample.versions.get("rds") and sample.versions.get("cds") if sample else None for sample in samples}
        seen.append(versions)
        return None not in versions and len(versions) == 1 and seen[-40:].count(versions) == 40

    seen: list[set[str | None]] = []
    wait_until(settled, "the gateways come to rest", every=0.3)


@contextmanager
def _admin_clients(platform: ClusterRoutes) -> Iterator[Sequence[AdminClient]]:
    clients = [AdminClient(site.host, site.admin_port, timeout_s=2) for site in platform.sites]
    try:
        yield clients
    finally:
        for client in clients:
            client.close()


def _version(admin: AdminClient) -> str:
    # Versions only: reading counters is work for the thread that applies the configuration.
    while (sample := admin.read(counters=False)) is None:
        time.sleep(0.005)
    return sample.versions["rds"]


@contextmanager
def load(platform: ClusterRoutes, routes: int) -> Iterator[Counter[int]]:
    """Send about 200 requests per second, over all models. Yields the counts by status."""
    seen: Counter[int] = Counter()
    numbers = itertools.count(1)
    limits = httpx.Limits(max_keepalive_connections=0)
    url = f"http://127.0.0.1:{platform.gateway_port}"
    with httpx.Client(base_url=url, trust_env=False, limits=limits) as client:

        def ask() -> None:
            seen[client.post(f"/models/model-{next(numbers) % routes}/predict", json={}).status_code] += 1

        with repeat_in_background(ask, pause_s=0.005):
            yield seen


def ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


if __name__ == "__main__":
    proof.run("many_routes", TITLE, prove)
