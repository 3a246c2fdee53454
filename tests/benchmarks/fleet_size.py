"""Measures a platform with 200 models of two versions on simulated nodes, and says what ends first."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks import many_routes
from benchmarks.many_routes import FOLLOWER, LEADER, mean_ms, metrics_of, ms, settle, ticks_of, wait_for_replica
from fairlead.contracts.route import RouteSpec, Target, VersionSpec
from fairlead.contracts.table import Table
from fairlead.control.endpoints import SERVICE_PORT, ServiceNames
from fairlead.control.publications import MAX_BYTES
from fairlead.routing.compile import compile as compile_tables
from fairlead.routing.envoy.sources import from_control_plane
from fairlead.routing.publish.publication import EncodedUpdate
from fairlead.routing.publish.resource_sets import DesiredResources, Update, UpdateOrder, make_version
from fairlead.routing.snapshot import Routed, Settings
from integration.routing.backends import running_backends
from support import proof
from support.cluster_routes import ClusterRoutes, cluster_routes
from support.nameserver import running_nameserver
from support.processes import cpu_s, memory_mib

TITLE = "200 models of two versions: memory, processor time, pushes, series, and what ends first"
VERSIONS = {f"1.{n}.0": VersionSpec(image=f"registry/model@sha256:{n}") for n in range(2)}
REFS = [spec.ref(version) for version, spec in VERSIONS.items()]
PODS_PER_NODE = 100
LIMIT_MIB, SERIES_PER_MODEL = 256, 2500


@dataclass(frozen=True)
class Plan:
    """The number of models, of those released at the same time, of changes, and the seconds at rest."""

    models: int
    released: int
    changes: int
    rest_s: float


PLANS = {"full": Plan(200, 20, 10, 20.0), "reduced": Plan(6, 2, 2, 1.0)}


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """All models at rest; then a tenth of them in the middle of a release, and changes of others."""
    plan, findings = PLANS[size], proof.Findings()
    models = [f"model-{number}" for number in range(plan.models)]
    _what_ends_first(findings)
    with (
        running_backends() as backends,
        running_nameserver(many_routes.BACKEND) as names,
        cluster_routes(folder, names) as platform,
    ):
        backends.start("1.0.0", port=SERVICE_PORT, host=many_routes.BACKEND)
        for number in range(1, 2 * plan.models // PODS_PER_NODE + 1):
            platform.cluster.add_fake_node(f"fake{number}", tainted=False)
        for name in (LEADER, FOLLOWER):
            platform.add_replica(name)
            wait_for_replica(platform, name)
        platform.deploy([_spec(model, "1.0.0") for model in models])
        began = time.monotonic()
        for model in models:
            platform.put(_spec(model, "1.0.0"))
        platform.wait_for(models, "created", within=300)
        findings.note("all routes written and have their first revision", f"{time.monotonic() - began:.1f} s")
        platform.add_gateway("edge", LEADER)
        settle(platform)
        _at_rest(platform, plan, findings, "idle")
        for model in models[: plan.released]:
            platform.put(_spec(model, "1.1.0"))
        platform.wait_for(models[: plan.released], "Canary", within=180)
        settle(platform)
        _at_rest(platform, plan, findings, "releasing")
        pushes = many_routes.Plan(plan.models, 1, plan.changes, plan.rest_s, timed=False)
        with many_routes.load(platform, plan.models) as seen:
            many_routes.measure_pushes(platform, pushes, findings)
        failed = sum(count for status, count in seen.items() if status != 200)
        findings.claim("requests while tables changed: failed", "0", f"{failed} of {sum(seen.values())}", failed == 0)
        _count_series(platform, plan, findings)
    return findings


def _spec(model: str, target: str) -> RouteSpec:
    return RouteSpec(model=model, versions=VERSIONS, target=Target(version=target), strategy=many_routes.STRATEGY)


def _at_rest(platform: ClusterRoutes, plan: Plan, findings: proof.Findings, state: str) -> None:
    """Memory and processor time of each process while no spec changes."""
    pids = {"leader": platform.replicas[LEADER].pid, "follower": platform.replicas[FOLLOWER].pid}
    pids |= {name: envoy.process.pid for name, envoy in platform.envoys.items()}
    pids |= {part: platform.cluster.pid(part) for part in ("kube-apiserver", "etcd")}
    before, ticks = {name: cpu_s(pid) for name, pid in pids.items()}, ticks_of(platform)
    time.sleep(plan.rest_s)
    findings.numbers[state] = {"tick_ms": mean_ms(ticks, ticks_of(platform))}
    what = "no release" if state == "idle" else f"{plan.released} releases"
    findings.note(f"one tick of the engine, {what}", f"{findings.numbers[state]['tick_ms']} ms")
    for name, pid in pids.items():
        busy, (rss, _) = (cpu_s(pid) - before[name]) / plan.rest_s * 100, memory_mib(pid)
        findings.numbers[state][name] = {"cpu_percent": round(busy, 1), "rss_mib": rss}
        said = f"{busy:.1f} % of a core, {rss} MiB"
        if name in ("leader", "follower"):
            findings.claim(f"{name}, {what}", f"{LIMIT_MIB} MiB, the limit of the chart", said, rss <= LIMIT_MIB)
        else:
            findings.note(f"{name}, {what}", said)


def _count_series(platform: ClusterRoutes, plan: Plan, findings: proof.Findings) -> None:
    """The series that Prometheus would store of the control plane and of one gateway."""
    [site] = platform.sites
    page = httpx.get(f"http://{site.host}:{site.admin_port}/stats/prometheus", trust_env=False, timeout=30)
    for name, text in (("control plane", metrics_of(platform, LEADER)), ("gateway", page.raise_for_status().text)):
        count = sum(1 for line in text.splitlines() if line and not line.startswith("#"))
        each = count / plan.models
        findings.numbers[f"series_{name.replace(' ', '_')}"] = count
        said = f"{count}, {each:.0f} for each model"
        findings.claim(f"series of one {name}", f"{SERIES_PER_MODEL} for each model", said, each <= SERIES_PER_MODEL)


def _what_ends_first(findings: proof.Findings) -> None:
    """The size of the routes and of the publication, computed for more models than a cluster here could hold."""
    found = {}
    for count in (200, 500, 1000):
        raw, packed, seconds = _sizes([_table(number, released=number < count // 10) for number in range(count)])
        found[count] = packed
        findings.numbers[f"{count}_models"] = {"routes_bytes": raw, "stored_bytes": packed, "compile_ms": ms(seconds)}
        said = f"{raw / 2**20:.1f} MiB to each gateway, {packed >> 10} KiB stored, compiled in {ms(seconds)} ms"
        findings.note(f"{count} models, a tenth in a release: all routes", said)
    room = int(MAX_BYTES / (found[1000] / 1000))
    findings.numbers["models_in_a_publication"] = room
    findings.claim("models that one publication has room for", "500", f"{room}", room >= 500)


def _sizes(tables: Sequence[Table]) -> tuple[int, int, float]:
    """Bytes of the routes as a gateway reads them, of everything as it is stored, and the seconds to compile it."""
    routed = [Routed(table.model, 1, table) for table in tables]
    endpoints = ServiceNames().endpoints(tables)
    began = time.perf_counter()
    snapshot = compile_tables(routed, endpoints, Settings(host="0.0.0.0", routes_from=from_control_plane()))
    took = time.perf_counter() - began
    kinds = DesiredResources.of(snapshot).kinds
    encoded = {
        kind: EncodedUpdate.of(Update(make_version(UpdateOrder(1, "a"), content), content))
        for kind, content in kinds.items()
    }
    stored = sum(len(base64.b64encode(one.compressed)) for one in encoded.values())
    return len(encoded["rds"].resources), stored, took


def _table(number: int, *, released: bool) -> Table:
    name, pins = f"model-{number}", tuple(REFS)
    if released:
        return Table(model=name, stable=REFS[0], candidate=REFS[1], weight=500, pins=pins, attempt=1)
    return Table(model=name, stable=REFS[0], pins=pins)


if __name__ == "__main__":
    proof.run("fleet_size", TITLE, prove)
