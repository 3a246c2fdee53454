"""Measures a model folder: starts its service once for each setting of batching, and sweeps the rates."""

from __future__ import annotations

import dataclasses
import json
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fairlead import errors
from fairlead.calibration import arrivals, knee
from fairlead.calibration.advice import Curve
from fairlead.calibration.load import Load, request, without_collections
from fairlead.calibration.points import Point, summary
from fairlead.calibration.result import Result
from fairlead.calibration.service import Service, with_batching
from fairlead.calibration.sweep import Sweep
from fairlead.contracts import manifest_file
from fairlead.contracts.manifest import Batching
from fairlead.serving import cpu_quota
from fairlead.serving import settings as serving

ALONE_SHARE = 0.1
"""Share of the time in which requests are sent one after the other."""
MOST_ALONE = 200
WARM_UP = 20
"""Requests before anything is measured: connections, caches and lazy imports."""
MOST_BODIES = 1000
LARGER = 4
WAIT_MS = 2.0


class Tell(Protocol):
    """Told what was measured, and how many seconds of load have passed."""

    def __call__(self, what: str, passed_s: float) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Asked:
    """What to measure. `rows` are JSON objects as clients send them; none: the golden rows. `goal_s` is None for the
    knee of the curve. `batchings` are settings beside the manifest's; None: a few usual ones."""

    seconds: float
    goal_s: float | None = None
    rows: Sequence[Mapping[str, Any]] = ()
    rows_per_request: int = 1
    batchings: Sequence[Batching] | None = None
    flags: Sequence[str] = ()
    settings: serving.Settings = serving.Settings()


def settings_to_try(stated: Batching, asked: Sequence[Batching] | None, *, can_batch: bool) -> list[Batching]:
    """The manifest's setting, and others to compare it with. A model that does not batch has only the first."""
    if not can_batch:
        return [stated]
    usual = (
        stated.model_copy(update={"max_rows": 1, "max_wait_ms": 0}),
        stated.model_copy(update={"max_rows": min(LARGER * stated.max_rows, 4096)}),
        stated.model_copy(update={"max_wait_ms": 0 if stated.max_wait_ms else WAIT_MS}),
    )
    return list(dict.fromkeys([stated, *(usual if asked is None else asked)]))


def calibrate(folder: Path, asked: Asked, tell: Tell, estimate: Callable[[int, float], None]) -> Result:
    """Measure the model of a folder.

    `estimate` is told how many settings are measured and how many seconds that takes, before it begins. Raises
    Invalid where there is nothing to ask or the model refuses the rows, and Unavailable if it cannot be served.
    """
    manifest = manifest_file.read(folder)
    with Service(folder, asked.flags) as first:
        can_batch, _ = first.batching_reason()
        tried = settings_to_try(manifest.batching, asked.batchings, can_batch=can_batch)
        bodies = _bodies(asked, first)
        each = asked.seconds / len(tried)
        estimate(len(tried), asked.seconds + len(tried) * first.load_s)
        curves = [_curve(first, bodies, asked.goal_s, manifest.batching, each, tell)]
    goal_s = curves[0].goal_s  # the same for all: settings are compared by what they answer in the same time
    for place, one in enumerate(tried[1:], 1):
        with with_batching(folder, one) as copy, Service(copy, asked.flags) as service:
            curves.append(_curve(service, bodies, goal_s, one, each, tell, place * each))
    cpus = cpu_quota.available()
    return Result(
        model=manifest.name,
        version=manifest.version,
        rows_per_request=asked.rows_per_request,
        threads=asked.settings.threads,
        workers=cpu_quota.workers(asked.settings.workers, cpus) or 1,
        cpus=cpus,
        curves=curves,
    )


def _bodies(asked: Asked, service: Service) -> list[bytes]:
    """The bodies to send in turn: a row each, or a list of rows. No more rows are read than are sent."""
    size = asked.rows_per_request
    all_rows = asked.rows or [one["input"] for one in service.get("/golden")["rows"]]
    rows = list(all_rows[: MOST_BODIES + size - 1])
    if not rows:
        raise errors.Invalid(
            "there is nothing to ask the model: its folder has no golden rows",
            hint="Name a file with rows: --data rows.csv, or --data rows.json",
        )
    if size == 1:
        return [json.dumps(one).encode() for one in rows]
    starts = range(min(len(rows), MOST_BODIES))
    return [json.dumps([rows[(start + at) % len(rows)] for at in range(size)]).encode() for start in starts]


def _curve(
    service: Service,
    bodies: Sequence[bytes],
    asked_s: float | None,
    batching: Batching,
    seconds: float,
    tell: Tell,
    passed_s: float = 0.0,
) -> Curve:
    _, reason = service.batching_reason()
    load = Load(service.port, [request(body) for body in bodies])
    end = time.monotonic() + seconds
    try:
        load.alone(WARM_UP, ALONE_SHARE * seconds / 2)
        alone_s = statistics.median(load.alone(MOST_ALONE, ALONE_SHARE * seconds / 2))
        if load.refusal:
            hint = "Give rows as clients send them."
            raise errors.Invalid(f"the model refuses a row: {_sentence(load.refusal)}", hint=hint)
        goal_s = knee.goal(asked_s, alone_s)

        def measure(rate: float, seconds: float, goal_s: float, seed: int) -> Point:
            _settle(load, goal_s)
            due = arrivals.plan(rate, seconds, seed)
            with without_collections():
                before = service.usage()
                window = load.run(rate, due, goal_s)
                after = service.usage()
            used = after.cpu_s - before.cpu_s
            others = after.machine_cpu_s - before.machine_cpu_s - used - window.generator_cpu_s
            return summary(
                dataclasses.replace(
                    window,
                    service_cpu_s=used,
                    others_cpu_s=max(others, 0.0),
                    watched_s=after.at_s - before.at_s,
                    cores=os.cpu_count() or 1,
                    memory_bytes=after.memory_bytes,
                )
            )

        sweep = Sweep(goal_s, alone_s, end - time.monotonic())
        for point in sweep.run(measure, time.monotonic):
            what = f"max_rows {batching.max_rows}: {point.rate:,.0f} requests/s, p95 {1000 * point.p95_s:.1f} ms"
            tell(what, passed_s + seconds - max(end - time.monotonic(), 0.0))
    finally:
        load.close()
    return Curve(batching, reason, alone_s, goal_s, sweep.points, sweep.found)


def _settle(load: Load, goal_s: float) -> None:
    """Wait until the service has dropped what the window before had left."""
    for _ in range(MOST_ALONE):
        if load.alone(1, goal_s)[0] <= goal_s:
            break


def _sentence(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
