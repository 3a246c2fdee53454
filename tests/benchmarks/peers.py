"""Measures other model servers and Fairlead with the same models, each pair side by side on the same core.

One pair at a time, because some servers use their core while nobody asks them: Fairlead and a peer, each with one
process for the model. A closed loop with 32 connections gives throughput, and CPU time of the server's whole family of
processes per prediction. Requests at a constant rate, which do not wait for each other, give latency. Each server gets
the row in its own protocol, and must answer with the labels and the probabilities of Fairlead. The models: iris, which
costs nearly nothing; a text (TF-IDF); a photo, which each server decodes; a table of 2,000 columns.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.peer_answers import differs
from benchmarks.peer_commands import OTHERS, environment, servers
from benchmarks.peer_models import MODELS
from support import environments, proof
from support.load.checks import SameValues
from support.load.closed_loop import Result
from support.load.columns import KINDS, WRONG
from support.load.open_loop import OpenLoop
from support.load.prebuilt import Always, encode
from support.load.servers import Cores, Server, closed_loop, first_answer, serving
from support.processes import ProcessFailed, cpu_s, family, shared_memory_mib
from support.service import HOST

TITLE = "peers: four models through other model servers, one core for the server"
CONNECTIONS = 32
TIMES_PEERS, OF_BARE = 10.0, 0.6


@dataclass(frozen=True)
class Plan:
    """Of a model: rounds of the closed loop, the seconds of each, the constant rate and its seconds, the servers."""

    rounds: int
    seconds: float
    rate: int
    rate_seconds: float
    peers: Sequence[str]


# Without Ray Serve: its half a dozen processes get no further on one core than with iris.
_LARGER = Plan(5, 1.0, 20, 8.0, ("plain FastAPI", *(name for name in OTHERS if name != "Ray Serve")))
PLANS: Mapping[proof.Size, Mapping[str, Plan]] = {
    "full": {
        "iris": Plan(7, 1.5, 100, 15.0, ("bare", "plain FastAPI", *OTHERS)),
        "text": _LARGER,
        "photo": _LARGER,
        "frame": _LARGER,
    },
    # Of the servers, the one whose environment the tests have anyway.
    "reduced": {
        "iris": Plan(1, 0.3, 50, 1.0, ("bare", "KServe SDK")),
        "text": Plan(1, 0.3, 20, 1.0, ("KServe SDK",)),
        "photo": Plan(1, 0.3, 20, 1.0, ("KServe SDK",)),
    },
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


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Measure each pair of each model. A ratio is the median of the ratios of the pair's rounds."""
    plans, cores, found = PLANS[size], Cores.of_this_machine(), proof.Findings()
    models: dict[str, Pairs] = dict.fromkeys(plans, {})
    for model in reversed(list(plans)):  # iris last: its pairs take longest
        plan, trained = plans[model], MODELS[model](folder)
        models[model] = {
            name: _pair(servers(name, model, trained, size), plan, cores, folder / f"{model}-{name}".replace(" ", "-"))
            for name in plan.peers
        }
    _judge(found, models, size)
    found.numbers = {
        "connections": CONNECTIONS,
        "versions": _versions({name for plan in plans.values() for name in plan.peers}, size),
        "models": {
            model: {
                "constant_rate": plans[model].rate,
                "pairs": {
                    name: {"fairlead": ours.to_json(), "peer": theirs.to_json()}
                    for name, (ours, theirs) in pairs.items()
                },
            }
            for model, pairs in models.items()
        },
    }
    return found


Pairs = Mapping[str, tuple[Seen, Seen]]
"""By the name of a peer: Fairlead beside it, and the peer."""


@dataclass(frozen=True)
class Place:
    """One running server of a pair."""

    server: Server
    port: int
    pid: int
    answer: bytes


def _pair(
    servers: tuple[Server, Callable[[bytes], Server]], plan: Plan, cores: Cores, folder: Path
) -> tuple[Seen, Seen]:
    """Fairlead, and the server that is made of its answer."""
    ours, theirs = Seen(), Seen()
    with contextlib.ExitStack() as running:

        def started(server: Server, one: Seen) -> Place:
            began = time.monotonic()
            port, pid = running.enter_context(serving(server, cores.server, folder))
            one.start_s = time.monotonic() - began
            return Place(server, port, pid, first_answer(server, port))

        first = started(servers[0], ours)
        places = ((ours, first), (theirs, started(servers[1](first.answer), theirs)))
        if problem := differs(first.answer, places[1][1].answer):
            raise ProcessFailed(f"{places[1][1].server.name} answered otherwise: {problem}")
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


def _judge(found: proof.Findings, models: Mapping[str, Pairs], size: proof.Size) -> None:
    """The reduced size claims only that every response was right: it is too short for ratios."""
    everyone = [one for pairs in models.values() for pair in pairs.values() for one in pair]
    ratios = {model: {name: _ratio(*pair) for name, pair in pairs.items()} for model, pairs in models.items()}
    for model, pairs in models.items():
        for name, (ours, theirs) in pairs.items():
            of = f"{model}, {name}"
            cost = f"{theirs.cpu_us:.0f} ({ours.cpu_us:.0f})"
            found.note(f"{of}: CPU of one prediction, us (Fairlead beside it)", cost)
            found.note(f"{of}: Fairlead's requests/s divided by its", ratios[model][name])
            if theirs.lost:
                lost = ", ".join(f"{count} {kind}" for kind, count in theirs.lost.items())
                found.note(f"{of}: failed at the constant rate", lost)
    least = min(one.checked for one in everyone)
    found.claim("replies checked, every server", "> 0 each", sum(one.checked for one in everyone), least > 0)
    wrong = sum(one.lost.get(KINDS[WRONG], 0) for one in everyone)
    found.claim("wrong at the constant rate, every server", "0", wrong, wrong == 0)
    failed = sum(sum(ours.lost.values()) for pairs in models.values() for ours, _ in pairs.values())
    found.claim("failed at the constant rate, Fairlead", "0", failed, failed == 0)
    if size == "full":
        for model, by_name in ratios.items():
            wanted = TIMES_PEERS if model == "iris" else 1.0
            closest = min(set(by_name) & set(OTHERS), key=by_name.__getitem__)
            what = f"{model}: requests/s, times those of the fastest other server ({closest})"
            found.claim(what, f">= {wanted:g}", by_name[closest], by_name[closest] >= wanted)
        bare = ratios["iris"]["bare"]
        found.claim("iris: requests/s, of a bare ASGI application", f">= {OF_BARE}", bare, bare >= OF_BARE)


def _ratio(ours: Seen, theirs: Seen) -> float:
    """The median of the rounds. A round in which the peer answered nothing counts as one request a second."""
    return round(statistics.median(a / max(b, 1.0) for a, b in zip(ours.rates, theirs.rates, strict=True)), 2)


def _versions(peers: Collection[str], size: proof.Size) -> dict[str, str]:
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
