"""Measures other model servers and Fairlead with the same model, each pair side by side on the same core.

One pair at a time, because some servers use their core while nobody asks them: Fairlead and a peer, each with one
process for the model. A closed loop with 32 connections gives throughput, and CPU time of the server's whole family of
processes per prediction. 100 requests a second that do not wait for each other give latency. Each server gets the
iris in its own protocol, and must answer with the label and the probabilities of this model.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from support import environments, proof
from support.load.checks import SameValues
from support.load.closed_loop import Result
from support.load.columns import KINDS, WRONG
from support.load.open_loop import OpenLoop
from support.load.prebuilt import Always, encode
from support.load.servers import Cores, Server, closed_loop, first_answer, serving
from support.processes import ProcessFailed, cpu_s, family, shared_memory_mib
from support.service import FAIRLEAD, HOST

TITLE = "peers: iris through other model servers, one core for the server"
HERE = Path(__file__).parent
SERVERS = HERE / "peer_servers"
MODEL = HERE.parents[1] / "build" / "models" / "iris" / "1.1.0"
ROW = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
CONNECTIONS = 32
TIMES_PEERS, OF_BARE = 10.0, 0.6
SILENT = {"BENTOML_DO_NOT_TRACK": "1", "RAY_USAGE_STATS_ENABLED": "0", "DISABLE_LITSERVE_TELEMETRY": "1"}


@dataclass(frozen=True)
class Plan:
    """Rounds of the closed loop, the seconds of each, the constant rate and its seconds, and the servers."""

    rounds: int
    seconds: float
    rate: int
    rate_seconds: float
    peers: Sequence[str]


OURS = ("bare", "plain FastAPI")
OTHERS = ("KServe SDK", "MLServer", "LitServe", "BentoML", "Ray Serve")
PLANS: Mapping[proof.Size, Plan] = {
    "full": Plan(7, 1.5, 100, 30.0, (*OURS, *OTHERS)),
    # Of the servers, the one whose environment the tests have anyway.
    "reduced": Plan(1, 0.3, 50, 1.0, ("bare", "KServe SDK")),
}


@dataclass
class Seen:
    """The measurements of one server in one pair. `cpu_s` is what all its processes used in the closed loop."""

    start_s: float = 0.0
    rates: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    latency_ms: dict[str, float] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    memory_mib: float = 0.0
    checked: int = 0
    generator: float = 0.0

    @property
    def cpu_us(self) -> float:
        """CPU time of one prediction in microseconds."""
        return 1e6 * self.cpu_s / max(self.checked, 1)

    def to_json(self) -> dict[str, Any]:
        """The numbers, rounded."""
        return {
            "requests_per_s": [round(one) for one in self.rates],
            "cpu_us_per_request": round(self.cpu_us, 1),
            "latency_ms_at_constant_rate": self.latency_ms,
            "failed_at_constant_rate": self.lost,
            "memory_mib": round(self.memory_mib),
            "start_to_first_answer_s": round(self.start_s, 2),
            "replies_checked": self.checked,
            "generator_core_share": round(self.generator, 2),
        }


def fairlead() -> Server:
    """Fairlead as `fairlead serve` starts it."""
    return Server("Fairlead", [FAIRLEAD, "serve", MODEL, "--drain-s", "0"], json.dumps(ROW).encode())


def peer(name: str, size: proof.Size, answer: bytes) -> Server:
    """Another server with the same artifact. `answer` is what the bare application returns: as many bytes as ours."""
    artifact = {"IRIS_ARTIFACT": str(next((MODEL / "artifact").iterdir())), **SILENT}
    values, row = list(ROW.values()), json.dumps(ROW).encode()
    uvicorn = [sys.executable, "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    uvicorn += ["--log-level", "warning", "--no-server-header", "--app-dir", str(SERVERS)]
    if name == "bare":
        return Server(name, [*uvicorn, "--lifespan", "off", "bare:app"], row, env={"BARE_ANSWER": answer.decode()})
    if name == "plain FastAPI":
        return Server(name, [*uvicorn, "plain_fastapi:app"], row, env=artifact)
    python = environments.python(environment(name, size))
    if name == "KServe SDK":
        body = json.dumps({"instances": [values]}).encode()
        return Server(name, [python, SERVERS / "kserve_iris.py"], body, "/v1/models/iris:predict", env=artifact)
    if name == "MLServer":
        tensor = {"name": "x", "shape": [1, 4], "datatype": "FP64", "data": values}
        body = json.dumps({"id": "1", "inputs": [tensor]}).encode()
        return Server(name, [python, SERVERS / "mlserver_iris.py"], body, "/v2/models/iris/infer", env=artifact)
    if name == "BentoML":
        serve: list[str | Path] = [
            python,
            "-m",
            "bentoml",
            "serve",
            "bentoml_iris:Iris",
            "--working-dir",
            SERVERS,
            "--host",
            HOST,
        ]
        return Server(name, serve, row, env=artifact)
    return Server(
        name, [python, SERVERS / {"LitServe": "litserve_iris.py", "Ray Serve": "ray_iris.py"}[name]], row, env=artifact
    )


def environment(name: str, size: proof.Size) -> str:
    """The list of requirements that a peer runs with."""
    if name == "MLServer":
        return "mlserver"
    return "clients" if size == "reduced" else "peers"


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Measure each pair. A ratio is the median of the ratios of the pair's rounds."""
    plan, cores, found = PLANS[size], Cores.of_this_machine(), proof.Findings()
    pairs: dict[str, tuple[Seen, Seen]] = {}
    for name in plan.peers:
        pairs[name] = _pair(name, size, plan, cores, folder / name.replace(" ", "-"))
    _judge(found, pairs, size)
    found.numbers = {
        "model": "iris 1.1.0",
        "connections": CONNECTIONS,
        "constant_rate": plan.rate,
        "versions": _versions(plan.peers, size),
        "pairs": {
            name: {"fairlead": ours.to_json(), "peer": theirs.to_json()} for name, (ours, theirs) in pairs.items()
        },
    }
    return found


@dataclass(frozen=True)
class Place:
    """One running server of a pair."""

    server: Server
    port: int
    pid: int
    answer: bytes


def _pair(name: str, size: proof.Size, plan: Plan, cores: Cores, folder: Path) -> tuple[Seen, Seen]:
    ours, theirs = Seen(), Seen()
    with contextlib.ExitStack() as running:

        def started(server: Server, one: Seen) -> Place:
            began = time.monotonic()
            port, pid = running.enter_context(serving(server, cores.server, folder))
            one.start_s = time.monotonic() - began
            answer = first_answer(server, port)
            if _label_in(answer) != "setosa":
                raise ProcessFailed(f"{server.name} answered {answer!r}")
            return Place(server, port, pid, answer)

        first = started(fairlead(), ours)
        places = ((ours, first), (theirs, started(peer(name, size, first.answer), theirs)))
        for _, place in places:  # warms up caches and lazy imports
            _closed_loop(place, cores, plan.seconds / 3)
        for _ in range(plan.rounds):
            for one, place in places:
                _round(one, place, cores, plan.seconds)
        for one, place in places:
            _constant(one, place, plan)
            one.memory_mib = sum(shared_memory_mib(member) for member in family(place.pid))
    return ours, theirs


def _closed_loop(place: Place, cores: Cores, seconds: float) -> Result:
    server, port, answer = place.server, place.port, place.answer
    return closed_loop(server, port, answer, cores.generator, connections=CONNECTIONS, seconds=seconds)


def _round(one: Seen, place: Place, cores: Cores, seconds: float) -> None:
    members = family(place.pid)
    before = sum(cpu_s(member) for member in members)
    run = _closed_loop(place, cores, seconds)
    one.cpu_s += sum(cpu_s(member) for member in members) - before
    one.rates.append(run.requests_per_s)
    one.checked += run.requests
    one.generator = max(one.generator, run.cpu_share)


def _constant(one: Seen, place: Place, plan: Plan) -> None:
    request = Always(encode("POST", place.server.path, body=place.server.body))
    url, check = f"http://{HOST}:{place.port}", SameValues(place.answer)
    with OpenLoop(url, rate=plan.rate, seconds=plan.rate_seconds, request=request, check=check) as load:
        summary = load.result()
    one.latency_ms = {f"p{100 * q:g}": round(summary.latency_ms(q), 2) for q in (0.5, 0.99, 0.999)}
    one.lost = summary.failures


def _judge(found: proof.Findings, pairs: Mapping[str, tuple[Seen, Seen]], size: proof.Size) -> None:
    """The reduced size claims only that every response was right: it is too short for ratios."""
    everyone = [one for pair in pairs.values() for one in pair]
    ratios = {name: _ratio(ours, theirs) for name, (ours, theirs) in pairs.items()}
    for name, (ours, theirs) in pairs.items():
        found.note(
            f"{name}: CPU of one prediction, us (Fairlead beside it)", f"{theirs.cpu_us:.0f} ({ours.cpu_us:.0f})"
        )
        found.note(f"{name}: Fairlead's requests/s divided by its", ratios[name])
    least = min(one.checked for one in everyone)
    found.claim("replies checked, every server", "> 0 each", sum(one.checked for one in everyone), least > 0)
    wrong = sum(one.lost.get(KINDS[WRONG], 0) for one in everyone)
    found.claim("wrong at the constant rate, every server", "0", wrong, wrong == 0)
    lost = sum(sum(ours.lost.values()) for ours, _ in pairs.values())
    found.claim("failed at the constant rate, Fairlead", "0", lost, lost == 0)
    for name, (_, theirs) in pairs.items():
        if theirs.lost:
            found.note(
                f"{name}: failed at the constant rate", ", ".join(f"{n} {kind}" for kind, n in theirs.lost.items())
            )
    if size == "full":
        closest = min(OTHERS, key=ratios.__getitem__)
        what = f"requests/s, times those of the fastest other server ({closest})"
        found.claim(what, f">= {TIMES_PEERS:g}", ratios[closest], ratios[closest] >= TIMES_PEERS)
        found.claim(
            "requests/s, of a bare ASGI application", f">= {OF_BARE}", ratios["bare"], ratios["bare"] >= OF_BARE
        )


def _ratio(ours: Seen, theirs: Seen) -> float:
    return round(statistics.median(a / b for a, b in zip(ours.rates, theirs.rates, strict=True)), 2)


def _label_in(answer: bytes) -> str:
    """The label of an answer in any of the protocols."""
    document = json.loads(answer)
    if "outputs" in document:
        return str(document["outputs"][0]["data"][0])
    return str(document.get("predictions", [document])[0]["label"])


def _versions(peers: Sequence[str], size: proof.Size) -> dict[str, str]:
    """The versions of the packages that the peers run with."""
    packages = {"KServe SDK": "kserve", "Ray Serve": "ray"}
    found = {}
    for name in set(peers) & set(OTHERS):
        package, path = packages.get(name, name.lower()), str(environments.packages(environment(name, size)))
        (one,) = metadata.distributions(name=package, path=[path])
        found[package] = one.version
    return dict(sorted(found.items()))


if __name__ == "__main__":
    proof.run("peers", TITLE, prove)
