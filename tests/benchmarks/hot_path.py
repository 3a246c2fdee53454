"""Measures the throughput of /predict, compared with a bare ASGI application and with plain FastAPI.

Closed loop, 32 connections, one row of iris per request. The servers share one core, and only one of them is busy at a
time; the generator has another core. Each round measures all servers, so that other work of the machine affects all.

With FAIRLEAD_BEFORE=FOLDER, a checkout of an earlier commit that was set up (`ci/setup dev`), that commit's service is
measured beside this one. CPU time per request decides: the rates of single rounds differ by a third on shared cores.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from fairlead.contracts.answers import KEEP_HEADER, RECORD
from support import proof
from support.load.closed_loop import Result
from support.load.servers import Cores, Server, closed_loop, first_answer, serving
from support.processes import cpu_s
from support.service import FAIRLEAD

TITLE = "the hot path: iris on one core, closed loop, 32 connections"
TESTS = Path(__file__).parents[1]
MODEL = TESTS.parent / "build" / "models" / "iris" / "1.1.0"
ROW = b'{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}'
CONNECTIONS = 32
COMPARED = (f"x-request-id: {uuid.UUID(int=1)}", f"{KEEP_HEADER}: {RECORD}")
"""The headers that the gateway adds: one always, one while two versions are compared. With the second one the service
keeps an answer record."""
OF_BARE, TIMES_PLAIN, GENERATOR_SHARE, OF_BEFORE = 0.5, 5.0, 0.8, 0.98
PLANS: Mapping[proof.Size, tuple[int, float]] = {"full": (15, 1.0), "reduced": (1, 0.3)}
"""The number of rounds, and the seconds per server and round."""


def all_servers() -> tuple[Server, ...]:
    """Fairlead, and applications of one file. These run with the same event loop, parser and log settings."""
    uvicorn = [sys.executable, "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    uvicorn += ["--log-level", "warning", "--no-server-header", "--app-dir", str(TESTS / "benchmarks" / "peer_servers")]
    ours = [str(FAIRLEAD), "serve", str(MODEL), "--drain-s", "0"]
    earlier = os.environ.get("FAIRLEAD_BEFORE")
    before = [Server("fairlead_before", [f"{earlier}/.venv/bin/fairlead", *ours[1:]], ROW)] if earlier else []
    plain = [*uvicorn, "plain_fastapi:app"]
    artifact = {"ARTIFACT": str(next((MODEL / "artifact").iterdir()))}
    return (
        Server("fairlead", ours, ROW),
        *before,
        Server("fairlead_behind_gateway", ours, ROW, headers=COMPARED[:1]),
        Server("fairlead_while_compared", ours, ROW, headers=COMPARED),
        Server("bare", [*uvicorn, "--lifespan", "off", "bare:app"], ROW),
        Server("plain", plain, ROW, env=artifact),
        Server("plain_in_thread", plain, ROW, "/predict-in-thread", env=artifact),
    )


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Measure every server once per round. A ratio is the median of the ratios within a round."""
    rounds, seconds = PLANS[size]
    cores, servers = Cores.of_this_machine(), all_servers()
    seen: dict[str, list[Result]] = {server.name: [] for server in servers}
    with contextlib.ExitStack() as running:
        answer = b""
        ports: dict[str, int] = {}
        pids: dict[str, int] = {}
        for server in servers:  # Fairlead comes first: the bare application returns as many bytes as its answer has
            env = {**server.env, "BARE_ANSWER": answer.decode()}
            port, pid = running.enter_context(serving(replace(server, env=env), cores.server, folder))
            ports[server.name], pids[server.name] = port, pid
            answer = answer or first_answer(server, port)

        def load(server: Server, seconds: float) -> Result:
            port, core = ports[server.name], cores.generator
            return closed_loop(server, port, answer, core, connections=CONNECTIONS, seconds=seconds)

        for server in servers:
            load(server, seconds / 3)  # warms up caches and lazy imports
        began = {name: cpu_s(pid) for name, pid in pids.items()}
        for _ in range(rounds):
            for server in servers:
                seen[server.name].append(load(server, seconds))
        used = {name: cpu_s(pid) - began[name] for name, pid in pids.items()}
    return judged(seen, used, cores, size)


def judged(
    seen: Mapping[str, Sequence[Result]], used: Mapping[str, float], cores: Cores, size: proof.Size
) -> proof.Findings:
    """The rates and ratios; `used` is each server's CPU time in seconds.

    The reduced size claims only that every response was right: it is too short for ratios.
    """
    found = proof.Findings()
    rates = {name: [run.requests_per_s for run in runs] for name, runs in seen.items()}
    checked = {name: sum(run.requests for run in runs) for name, runs in seen.items()}
    busiest = max(run.cpu_share for runs in seen.values() for run in runs)
    # The faster of the two handlers in each round, so that the peer is measured at its best.
    plain = [max(pair) for pair in zip(rates["plain"], rates["plain_in_thread"], strict=True)]
    of_bare, times_plain = ratio(rates["fairlead"], rates["bare"]), ratio(rates["fairlead"], plain)
    compared = ratio(rates["fairlead_while_compared"], rates["fairlead_behind_gateway"])
    cpu_us = {name: round(1e6 * used[name] / max(checked[name], 1), 1) for name in seen}
    for name, values in rates.items():
        found.note(f"{name}, requests/s", round(statistics.median(values)))
    found.claim("replies checked, every candidate", "> 0 each", sum(checked.values()), min(checked.values()) > 0)
    if size == "full":
        found.claim("of a bare ASGI application", f">= {OF_BARE}", of_bare, of_bare >= OF_BARE)
        found.claim("times plain FastAPI", f">= {TIMES_PLAIN:g}", times_plain, times_plain >= TIMES_PLAIN)
        # A note, not a claim: on two shared cores, rounds differ by more than the few microseconds of a record.
        found.note("while answers are kept, of itself otherwise", compared)
        share = round(busiest, 2)
        found.claim("generator, of its core, at most", f"< {GENERATOR_SHARE}", share, busiest < GENERATOR_SHARE)
        if "fairlead_before" in cpu_us:
            of_before = round(cpu_us["fairlead_before"] / cpu_us["fairlead"], 3)
            found.claim(
                "speed of the earlier commit, by CPU time", f">= {OF_BEFORE}", of_before, of_before >= OF_BEFORE
            )
        found.claim("cores", "two", f"{cores.server}, {cores.generator}", cores.server != cores.generator)
    found.numbers = {
        "model": "iris 1.1.0",
        "requests_per_s": {name: [round(value) for value in values] for name, values in rates.items()},
        "replies_checked": checked,
        "cpu_us_per_request": cpu_us,
        "generator_core_share": {name: round(max(run.cpu_share for run in runs), 2) for name, runs in seen.items()},
        "of_bare": of_bare,
        "while_compared": compared,
        "times_plain": times_plain,
    }
    return found


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the rounds' ratios."""
    return round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 3)


if __name__ == "__main__":
    proof.run("hot_path", TITLE, prove)
