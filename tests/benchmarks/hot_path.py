"""What /predict costs above a bare ASGI application, and what it saves over plain FastAPI with scikit-learn.

Closed loop, 32 connections, one row of iris per request. The servers share one core, one of them busy at a time, and
the generator has another; all of them in every round, so that whatever else the machine does meets all of them.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import urllib.request
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fairlead.contracts.answers import KEEP_HEADER, RECORD
from support import proof
from support.load.closed_loop import Result, run_in_process
from support.processes import Child, free_port
from support.service import FAIRLEAD, HOST

TITLE = "the hot path: iris on one core, closed loop, 32 connections"
TESTS = Path(__file__).parents[1]
MODEL = TESTS.parent / "build" / "models" / "iris" / "1.1.0"
ROW = b'{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}'
CONNECTIONS = 32
COMPARED = (f"x-request-id: {uuid.UUID(int=1)}", f"{KEEP_HEADER}: {RECORD}")
"""What the gateway adds: always, and while two versions are compared. The service then keeps a record of its answer."""
OF_BARE, TIMES_PLAIN, GENERATOR_SHARE = 0.5, 5.0, 0.8
PLANS: Mapping[proof.Size, tuple[int, float]] = {"full": (15, 1.0), "reduced": (1, 0.3)}
"""Rounds, and the seconds of each candidate in each of them."""


@dataclass(frozen=True)
class Candidate:
    """One server: its command without the port, the path that is asked, and what more the request's head has."""

    name: str
    command: Sequence[str]
    path: str = "/predict"
    headers: Sequence[str] = ()


@dataclass(frozen=True)
class Cores:
    """Where the server and the generator run; the same where the machine has only one."""

    server: int
    generator: int

    @classmethod
    def of_this_machine(cls) -> Cores:
        """The first two that this process may use."""
        mine = sorted(os.sched_getaffinity(0))
        return cls(mine[0], mine[1 % len(mine)])


def candidates() -> tuple[Candidate, ...]:
    """Ours and the peers; the peers run under the same loop, parser and log settings."""
    uvicorn = [sys.executable, "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
    uvicorn += ["--log-level", "warning", "--no-server-header", "--app-dir", str(TESTS / "benchmarks" / "peers")]
    ours = [str(FAIRLEAD), "serve", str(MODEL), "--drain-s", "0"]
    return (
        Candidate("fairlead", ours),
        Candidate("fairlead_behind_gateway", ours, headers=COMPARED[:1]),
        Candidate("fairlead_while_compared", ours, headers=COMPARED),
        Candidate("bare", [*uvicorn, "--lifespan", "off", "bare:app"]),
        Candidate("plain", [*uvicorn, "plain_fastapi:app"]),
        Candidate("plain_in_thread", [*uvicorn, "plain_fastapi:app"], "/predict-in-thread"),
    )


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Every candidate once per round; ratios are taken within a round, and the median of them counts."""
    rounds, seconds = PLANS[size]
    cores, everyone = Cores.of_this_machine(), candidates()
    seen: dict[str, list[Result]] = {candidate.name: [] for candidate in everyone}
    with contextlib.ExitStack() as running:
        answer = b""
        ports = {}
        for candidate in everyone:  # ours first: the bare application returns as many bytes as it
            ports[candidate.name] = port = running.enter_context(serving(candidate, cores, answer, folder))
            answer = answer or first_answer(candidate, port)
        for candidate in everyone:
            load(candidate, ports[candidate.name], answer, cores, seconds / 3)  # caches and lazy imports
        for _ in range(rounds):
            for candidate in everyone:
                seen[candidate.name].append(load(candidate, ports[candidate.name], answer, cores, seconds))
    return judged(seen, cores, size)


@contextlib.contextmanager
def serving(candidate: Candidate, cores: Cores, answer: bytes, folder: Path) -> Iterator[int]:
    """The candidate on its core, answering; its port."""
    port = free_port()
    command = ["taskset", "-c", str(cores.server), *candidate.command, "--port", str(port)]
    artifact = next((MODEL / "artifact").iterdir())
    env = {"IRIS_ARTIFACT": str(artifact), "BARE_ANSWER": answer.decode(), "OMP_NUM_THREADS": "1"}
    env["OPENBLAS_NUM_THREADS"] = "1"
    with Child(candidate.name, command, log=folder / f"{candidate.name}.log", env=env) as process:
        process.wait_until(lambda: answers(candidate, port), "it predicts")
        yield port


def answers(candidate: Candidate, port: int) -> bool:
    """Whether it predicts by now."""
    with contextlib.suppress(OSError):
        return bool(first_answer(candidate, port))
    return False


def first_answer(candidate: Candidate, port: int) -> bytes:
    """One answer. Raises OSError where it is not a good one."""
    url = f"http://{HOST}:{port}{candidate.path}"
    request = urllib.request.Request(url, ROW, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as reply:
        body: bytes = reply.read()
        return body


def load(candidate: Candidate, port: int, answer: bytes, cores: Cores, seconds: float) -> Result:
    """One closed loop on the other core. Raises ProcessFailed where a reply was not what it must be."""
    return run_in_process(
        port,
        candidate.path,
        ROW,
        answer,
        connections=CONNECTIONS,
        seconds=seconds,
        headers=candidate.headers,
        core=cores.generator,
    )


def judged(seen: Mapping[str, Sequence[Result]], cores: Cores, size: proof.Size) -> proof.Findings:
    """Rates and ratios; at the reduced size only that every reply was right, because nothing else can be told then."""
    found = proof.Findings()
    rates = {name: [run.requests_per_s for run in runs] for name, runs in seen.items()}
    checked = {name: sum(run.requests for run in runs) for name, runs in seen.items()}
    busiest = max(run.cpu_share for runs in seen.values() for run in runs)
    # Whichever way of writing it is the faster one in that round: a peer is measured at its best.
    plain = [max(pair) for pair in zip(rates["plain"], rates["plain_in_thread"], strict=True)]
    of_bare, times_plain = ratio(rates["fairlead"], rates["bare"]), ratio(rates["fairlead"], plain)
    compared = ratio(rates["fairlead_while_compared"], rates["fairlead_behind_gateway"])
    for name, values in rates.items():
        found.note(f"{name}, requests/s", round(statistics.median(values)))
    found.claim("replies checked, every candidate", "> 0 each", sum(checked.values()), min(checked.values()) > 0)
    if size == "full":
        found.claim("of a bare ASGI application", f">= {OF_BARE}", of_bare, of_bare >= OF_BARE)
        found.claim("times plain FastAPI", f">= {TIMES_PLAIN:g}", times_plain, times_plain >= TIMES_PLAIN)
        # Told, not claimed: rounds differ by more on two shared cores than the few microseconds that a record costs.
        found.note("while answers are kept, of itself otherwise", compared)
        share = round(busiest, 2)
        found.claim("generator, of its core, at most", f"< {GENERATOR_SHARE}", share, busiest < GENERATOR_SHARE)
        found.claim("cores", "two", f"{cores.server}, {cores.generator}", cores.server != cores.generator)
    found.numbers = {
        "model": "iris 1.1.0",
        "requests_per_s": {name: [round(value) for value in values] for name, values in rates.items()},
        "replies_checked": checked,
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
