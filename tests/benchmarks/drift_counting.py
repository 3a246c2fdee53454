"""Measures what the counting for drift costs a model service: a row of 20 numbers, with a profile and without one.

Two services of the same model share one core, and only one of them is busy at a time; the generator has another core.
Each round measures both for as long as the service counts once. The ratio of their CPU times per request decides: the
mean of the middle half of the rounds, because other work of the machine makes single rounds twice as slow. At full load
most rows are skipped; what a row costs that is counted is reported beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import statistics
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

from pydantic import create_model

from fairlead.contracts.drift_telemetry import DRIFT_PATH
from fairlead.contracts.profile import MAX_FEATURES, Profile
from fairlead.contracts.slices import MAX_SLICES, Slice, declared
from fairlead.profile import bins
from fairlead.profile.slicing import SlicedCount
from fairlead.serving.formats.folder import ModelFolder, load_folder
from fairlead.serving.observe.drift import CHUNK_ROWS, MAX_ROWS, PERIOD_S, Drift
from fairlead.serving.reference.build import write_profile
from support import folders, proof
from support.load.closed_loop import run_in_process
from support.load.servers import Cores
from support.processes import Child, cpu_s, free_port, memory_mib
from support.profiles import samples
from support.service import FAIRLEAD, HOST

TITLE = "counting for drift: 20 features, one core, closed loop, 32 connections"
FIELDS, CONNECTIONS, REFERENCE_ROWS = 20, 32, 5000
COST, BLOCKED_MS, GROWN_MIB = 0.02, 5.0, 16
IN_PROCESS_ROWS = 10_000_000
"""More rows than a service counts in a proof: it counts a thousand a second."""
PLANS: dict[proof.Size, tuple[int, float]] = {"full": (48, 1.0), "reduced": (1, 0.5)}
"""The number of rounds, and the seconds per service and round."""
CODE = f"""
from pydantic import BaseModel, create_model
import fairlead

Row = create_model("Row", **{{f"f{{number:02}}": (float, ...) for number in range({FIELDS})}})

class Answer(BaseModel):
    value: float

class Doubler(fairlead.Model[Row, Answer]):
    def predict(self, rows: list[Row]) -> list[Answer]:
        return [Answer(value=row.f00 + row.f01) for row in rows]
"""


def row(chance: random.Random) -> dict[str, float]:
    """A row of as many numbers as the model has fields."""
    return {f"f{number:02}": round(chance.gauss(0, 1), 3) for number in range(FIELDS)}


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Measure both services once per round, then the largest page of metrics."""
    rounds, seconds = PLANS[size]
    cores, chance = Cores.of_this_machine(), random.Random(0)
    kinds = ("without", "with")
    models = {kind: folders.make(folder / kind, code=CODE, artifact=None, golden=()) for kind in kinds}
    write_profile(models["with"], [row(chance) for _ in range(REFERENCE_ROWS)])
    sent = row(chance)
    body, answer = json.dumps(sent).encode(), json.dumps({"value": sent["f00"] + sent["f01"]}).encode()
    used: dict[str, list[tuple[float, int]]] = {kind: [] for kind in kinds}
    with contextlib.ExitStack() as running:
        services = {kind: running.enter_context(serving(models[kind], cores, folder)) for kind in kinds}

        def load(kind: str, for_s: float) -> int:
            port = services[kind][0]
            done = run_in_process(
                port, "/predict", body, answer, connections=CONNECTIONS, seconds=for_s, core=cores.generator
            )
            return done.requests

        for kind in kinds:
            load(kind, seconds / 2)
        before_mib = memory_mib(services["with"][1])[0]
        for number in range(rounds):
            for kind in kinds if number % 2 else kinds[::-1]:
                began = cpu_s(services[kind][1])
                requests = load(kind, seconds)
                used[kind].append((cpu_s(services[kind][1]) - began, requests))
        grown_mib = memory_mib(services["with"][1])[0] - before_mib
        page = page_of(services["with"][0], DRIFT_PATH)
    asked = sum(requests for _, requests in used["with"])
    counted, skipped = (samples(page)[name, ()] for name in ("drift_rows_total", "drift_skipped_rows_total"))
    page_size = blocked_ms(20 if size == "full" else 3)
    alone = counting(load_folder(models["with"]), IN_PROCESS_ROWS if size == "full" else MAX_ROWS)
    return judged(size, used, (counted, skipped, asked), grown_mib, page_size, alone)


def page_of(port: int, path: str) -> str:
    """The body of a page. Raises OSError if the service does not answer, or not with 200."""
    with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=5) as reply:
        body: bytes = reply.read()
        return body.decode()


@contextlib.contextmanager
def serving(model: Path, cores: Cores, folder: Path) -> Iterator[tuple[int, int]]:
    """Run a service on its core. Yields its port and its process id when it is ready."""
    port = free_port()
    command = ["taskset", "-c", str(cores.server), str(FAIRLEAD), "serve", str(model), "--port", str(port)]
    with Child(model.name, [*command, "--drain-s", "0"], log=folder / f"{model.name}.log") as process:
        process.wait_until(lambda: is_ready(port), "it is ready")
        yield port, process.pid


def is_ready(port: int) -> bool:
    """Whether the service on this port is ready."""
    with contextlib.suppress(OSError):
        return bool(page_of(port, "/readyz"))
    return False


def largest() -> Profile:
    """A profile with as many series as there can be."""
    values = [f"value {number:02}" for number in range(20)]
    features = [bins.category_feature(f"feature_{number:02}", "f", values) for number in range(MAX_FEATURES)]
    counts = tuple(one.counts for one in features)
    part = Slice(name="all", field="f", values=tuple(values), rows=len(values), counts=counts)
    return Profile(model="m", version="1", rows=len(values), features=tuple(features), slices=(part,))


def blocked_ms(scrapes: int) -> tuple[int, float]:
    """How many series the largest page has, and for how long a scrape of it keeps the event loop from its turns.

    The median of the longest turns of each scrape: one long turn alone is another process of the machine.
    """

    async def measure() -> tuple[int, float]:
        memory = SimpleNamespace(row=1, per_byte=1, has_files=False)
        drift = Drift("m", "1", largest(), create_model("Answer", value=(float, ...)), memory)
        longest, series = [], 0
        for _ in range(scrapes):
            page = asyncio.ensure_future(drift.text())
            worst, last = 0.0, time.perf_counter()
            while not page.done():
                await asyncio.sleep(0)
                now = time.perf_counter()
                worst, last = max(worst, now - last), now
            longest.append(1000 * worst)
            series = sum(not line.startswith(b"#") for line in page.result().splitlines())
        drift.close()
        return series, statistics.median(longest)

    return asyncio.run(measure())


@dataclass(frozen=True)
class Counting:
    """What counting costs in this process, without a service: microseconds of CPU time per row, and memory."""

    row_us: float
    sliced_us: float
    """With eight slices of one row in twenty each."""
    rows: int
    grown_mib: int


def counting(model: ModelFolder, rows: int) -> Counting:
    """Count so many rows of this model, as the service counts them."""
    assert model.profile is not None
    features, chance = model.profile.features, random.Random(1)
    parts = [declared(f"s{place}: f{place:02}=1.6449..") for place in range(MAX_SLICES)]
    drawn = [model.row_type.model_validate(row(chance)) for _ in range(MAX_ROWS)]
    chunks = [drawn[start : start + CHUNK_ROWS] for start in range(0, MAX_ROWS, CHUNK_ROWS)]

    def count(one: SlicedCount, times: int) -> float:
        began = time.process_time()
        for _ in range(times):
            for chunk in chunks:
                fields = [vars(each) for each in chunk]
                one(fields, (), one.members(fields))
        return 1e6 * (time.process_time() - began) / times / MAX_ROWS

    whole, sliced = SlicedCount(features, (), ()), SlicedCount(features, (), parts)
    sliced_us = count(sliced, 20)
    count(whole, 20)
    before = memory_mib(os.getpid())[0]
    times = max(1, rows // MAX_ROWS)
    row_us = count(whole, times)
    return Counting(row_us, sliced_us, times * MAX_ROWS, memory_mib(os.getpid())[0] - before)


def middle_mean(values: Sequence[float]) -> float:
    """The mean of the middle half."""
    ordered = sorted(values)
    quarter = len(ordered) // 4
    return statistics.mean(ordered[quarter : len(ordered) - quarter])


def judged(
    size: proof.Size,
    used: dict[str, list[tuple[float, int]]],
    rows: tuple[float, float, int],
    grown_mib: int,
    page: tuple[int, float],
    alone: Counting,
) -> proof.Findings:
    """The claims. The reduced size claims only that rows were counted or skipped: it is too short for ratios."""
    found = proof.Findings()
    counted, skipped, asked = rows
    each = {kind: 1e6 * sum(cpu for cpu, _ in runs) / sum(count for _, count in runs) for kind, runs in used.items()}
    cost = middle_mean([(b[0] / b[1]) / (a[0] / a[1]) - 1 for a, b in zip(used["without"], used["with"], strict=True)])
    for kind, value in each.items():
        found.note(f"CPU time per request {kind} a profile, microseconds", round(value, 1))
    found.claim("rows counted or skipped", f">= {asked}", int(counted + skipped), counted + skipped >= asked)
    found.note("of them counted", round(counted / max(1, counted + skipped), 3))
    found.note("rows that a process counts at most, per second", round(MAX_ROWS / PERIOD_S))
    found.note("CPU time to count a row, microseconds", round(alone.row_us, 2))
    found.note("the same with eight slices of one row in twenty", round(alone.sliced_us, 2))
    if size == "full":
        found.claim("CPU time per request, more", f"<= {COST:.0%}", f"{cost:.1%}", cost <= COST)
        found.claim("memory after the load, more", f"<= {GROWN_MIB} MiB", f"{grown_mib} MiB", grown_mib <= GROWN_MIB)
        what = f"memory after {alone.rows} rows counted in one process, more"
        found.claim(what, f"<= {GROWN_MIB} MiB", f"{alone.grown_mib} MiB", alone.grown_mib <= GROWN_MIB)
        series, blocked = page
        found.claim(
            f"event loop blocked by a scrape of {series} series", f"<= {BLOCKED_MS:g} ms", f"{blocked:.2f} ms",
            blocked <= BLOCKED_MS,
        )  # fmt: skip
    found.numbers = {
        "cpu_us_per_request": {
            kind: [round(1e6 * cpu / count, 1) for cpu, count in runs] for kind, runs in used.items()
        },
        "cost": round(cost, 4),
        "rows": {"counted": counted, "skipped": skipped},
        "grown_mib": grown_mib,
        "row_us": round(alone.row_us, 2),
        "sliced_us": round(alone.sliced_us, 2),
        "in_process": {"rows": alone.rows, "grown_mib": alone.grown_mib},
        "scrape": {"series": page[0], "blocked_ms": round(page[1], 2)},
    }
    return found


if __name__ == "__main__":
    proof.run("drift_counting", TITLE, prove)
