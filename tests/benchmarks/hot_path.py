"""What /predict costs above a bare ASGI application, and what it saves over plain FastAPI with scikit-learn.

    python tests/benchmarks/hot_path.py [--write]

Closed loop, 32 connections, one row of iris per request; server on one core, generator on another, all candidates
in every round, five rounds, the median of each round's ratio. Needs build/models/iris (services/models/iris/train.py).
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BODY = '{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}'
CONNECTIONS = 32
SERVER_CORE, GENERATOR_CORE = 0, 1
PACKAGES = ("fastapi", "starlette", "uvicorn", "uvloop", "httptools", "pydantic", "scikit-learn", "numpy")
TARGETS = {"of_bare_asgi": 0.5, "times_plain_fastapi": 5.0}


@dataclass(frozen=True)
class Candidate:
    """One server: its command without the port, and the path that is asked."""

    name: str
    command: tuple[str, ...]
    path: str = "/predict"


def candidates(model: Path) -> tuple[Candidate, ...]:
    """Ours and the peers; the peers run under the same loop, parser and log settings."""
    uvicorn: tuple[str, ...] = (sys.executable, "-m", "uvicorn", "--loop", "uvloop", "--http", "httptools")
    uvicorn += ("--no-access-log", "--log-level", "warning", "--no-server-header", "--app-dir", str(HERE / "peers"))
    return (
        Candidate("fairlead", (str(Path(sys.executable).with_name("fairlead")), "serve", str(model), "--drain-s", "0")),
        Candidate("bare_asgi", (*uvicorn, "--lifespan", "off", "bare:app")),
        Candidate("plain_fastapi", (*uvicorn, "plain_fastapi:app")),
        Candidate("plain_fastapi_in_thread", (*uvicorn, "plain_fastapi:app"), "/predict-in-thread"),
    )


@contextlib.contextmanager
def serving(candidate: Candidate, model: Path) -> Iterator[int]:
    """The candidate on its core, answering; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    artifact = next((model / "artifact").iterdir())
    environment = os.environ | {"IRIS_ARTIFACT": str(artifact), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    process = subprocess.Popen(
        ["taskset", "-c", str(SERVER_CORE), *candidate.command, "--port", str(port)],
        env=environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_answering(f"http://127.0.0.1:{port}{candidate.path}")
        yield port
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_answering(url: str) -> None:
    request = urllib.request.Request(url, BODY.encode(), {"content-type": "application/json"})
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(request, timeout=5):
                return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def load(candidate: Candidate, port: int, seconds: float) -> dict[str, float]:
    """One closed loop on the other core."""
    command = [sys.executable, "-m", "support.load.closed_loop", "--port", str(port), "--path", candidate.path]
    command += ["--body", BODY, "--expect", '{"label":"setosa"', "--connections", str(CONNECTIONS)]
    command += ["--seconds", str(seconds), "--core", str(GENERATOR_CORE)]
    done = subprocess.run(command, cwd=ROOT / "tests", check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def measure(model: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """All candidates once per round, so that whatever else the machine does meets all of them."""
    everyone = candidates(model)
    seen: dict[str, list[dict[str, float]]] = {candidate.name: [] for candidate in everyone}
    with contextlib.ExitStack() as running:
        ports = {candidate.name: running.enter_context(serving(candidate, model)) for candidate in everyone}
        for candidate in everyone:
            load(candidate, ports[candidate.name], 1.0)  # caches and lazy imports
        for _ in range(rounds):
            for candidate in everyone:
                seen[candidate.name].append(load(candidate, ports[candidate.name], seconds))
    rates = {name: [round(run["requests_per_s"]) for run in runs] for name, runs in seen.items()}
    fastest_plain = [max(pair) for pair in zip(rates["plain_fastapi"], rates["plain_fastapi_in_thread"], strict=True)]
    return {
        "requests_per_s": rates,
        "generator_cpu_share": {name: round(max(run["cpu_share"] for run in runs), 2) for name, runs in seen.items()},
        "of_bare_asgi": _median_ratio(rates["fairlead"], rates["bare_asgi"]),
        "times_plain_fastapi": _median_ratio(rates["fairlead"], fastest_plain),
        "targets": TARGETS,
    }


def _median_ratio(ours: list[int], theirs: list[int]) -> float:
    return round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 3)


def described() -> dict[str, Any]:
    """When, with what and on what; no host names, no paths."""
    model = "unknown processor"
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": "python tests/benchmarks/hot_path.py --write",
        "machine": f"{os.cpu_count()} cores, {model}, {platform.system()}; server and generator on one core each",
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in PACKAGES},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=ROOT / "build/models/iris/1.1.0")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--write", action="store_true", help="keep the result in tests/benchmarks/results")
    options = parser.parse_args()
    result = described() | measure(options.model, options.rounds, options.seconds)
    text = json.dumps(result, indent=2) + "\n"
    print(text, end="")
    if options.write:
        (HERE / "results" / "hot_path.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
