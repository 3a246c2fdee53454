"""Asks two running services the same rows, and measures their times in turn. The only module here with sockets."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fairlead.calibration import arrivals
from fairlead.calibration.load import Load, request, without_collections
from fairlead.calibration.points import corrected, percentile
from fairlead.calibration.service import Service
from fairlead.local.probe import Reply, ask
from fairlead.optimization import timing
from fairlead.optimization.answers import Asked, Failed

Row = Mapping[str, Any]
ANSWER_S = 60.0
WARM_UP = 30
ALONE = 50
ALONE_S = 2.0
BUSY_SHARE = 0.4
"""Share of its time in which the slower of the two computes: more, and a window measures waiting."""
MOST_RATE = 400.0
PAIRS = 20
LEAST_REQUESTS = 20
"""Requests in each window."""


def answers(rows: Sequence[tuple[str, Row]], original: Service, candidate: Service) -> list[Asked]:
    """What both answer to each row, each in a request of its own."""
    return [Asked(name, row, _answer(original, row), _answer(candidate, row)) for name, row in rows]


def listed(rows: Sequence[tuple[str, Row]], service: Service) -> list[Any]:
    """What a service answers to the same rows in one request. Each is a Failed if the request failed."""
    found = _answer(service, [row for _, row in rows])
    if isinstance(found, Failed) or not isinstance(found, list) or len(found) != len(rows):
        has = found.why if isinstance(found, Failed) else f"{len(found)} answers to {len(rows)} rows"
        return [Failed(has)] * len(rows)
    return found


def _answer(service: Service, body: Any) -> Any:
    return answer_in(ask(service.port, "POST", "/predict", json.dumps(body).encode(), timeout_s=ANSWER_S))


def answer_in(reply: Reply) -> Any:
    """The JSON of a response to /predict; a Failed with its sentence if there is none."""
    if reply.status == 200:
        try:
            return json.loads(reply.body)
        except ValueError:
            return Failed(f"no JSON: {reply.body[:60].decode(errors='replace')!r}")
    try:
        why = json.loads(reply.body)["detail"]
    except (ValueError, KeyError, TypeError):
        why = reply.body.decode(errors="replace")
    return Failed(f"{reply.status or 'no answer'}: {why if isinstance(why, str) else json.dumps(why)}"[:400])


def measure(
    rows: Sequence[Row], original: Service, candidate: Service, seconds: float, tell: Callable[[float], None]
) -> timing.Times:
    """The times of both under the same load: requests of one row at the same random moments, in windows in turn.

    `tell` gets the share that is done. Requests that a service does not answer take forever.
    """
    requests = [request(json.dumps(row).encode()) for row in rows]
    loads = [Load(one.port, requests) for one in (original, candidate)]
    try:
        alone = []
        for load in loads:
            load.alone(WARM_UP, ALONE_S)
            alone.append(statistics.median(load.alone(ALONE, ALONE_S)))
        rate = min(BUSY_SHARE / max(alone), MOST_RATE)
        window_s = max(seconds / (2 * PAIRS), LEAST_REQUESTS / rate)
        pairs = max(timing.LEAST_PAIRS, min(PAIRS, int(seconds / (2 * window_s))))
        p50, p95 = [], []
        for number in range(pairs):
            due = arrivals.plan(rate, window_s, number)
            found: dict[int, list[float]] = {}
            for place in (0, 1) if number % 2 else (1, 0):
                with without_collections():
                    window = loads[place].run(rate, due, 10 * max(alone))
                found[place] = corrected(window.due, window.answered)
            p50.append((percentile(found[0], 0.5), percentile(found[1], 0.5)))
            p95.append((percentile(found[0], 0.95), percentile(found[1], 0.95)))
            tell((number + 1) / pairs)
    finally:
        for load in loads:
            load.close()
    return timing.times(rate, p50, p95)
