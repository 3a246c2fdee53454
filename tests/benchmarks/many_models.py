"""Measures the gateway's CPU time per request with many models, compared with a gateway that has one model."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path

from support import proof
from support.faults.backend import Backend, answer
from support.gateway import Gateway, running_gateway, table
from support.load.closed_loop import Result, run_in_process
from support.processes import cpu_s, memory_mib

TITLE = "what a request costs a gateway among many models"
MODEL, VERSION = "zebra", "1.0.0"
"""The model's name is the last in any sorted list, so that a search by order does not favour it."""
CONNECTIONS = 16
PLANS: dict[proof.Size, tuple[int, int, float]] = {"full": (500, 9, 3.0), "reduced": (40, 1, 1.0)}
"""The number of models, the number of rounds, and the seconds per round."""


@dataclass
class Seen:
    """The measurements of one gateway, one value per round."""

    microseconds: list[float] = field(default_factory=list)
    """CPU time per request."""
    rates: list[float] = field(default_factory=list)


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Measure both gateways in turn. CPU time is compared because the request rate is limited by the backend."""
    models, rounds, seconds = PLANS[size]
    found, checked = proof.Findings(), 0
    others = [table(f"model-{number:03}", VERSION, "1.1.0", weight=500) for number in range(models - 1)]
    mine = table(MODEL, VERSION)
    with (
        Backend(MODEL, VERSION, log=folder / "backend.log") as backend,
        running_gateway(folder / "one", [backend], mine) as one,
        running_gateway(folder / "many", [backend], *others, mine) as many,
    ):
        seen = {"1 model": (one, Seen()), f"{models} models": (many, Seen())}
        for turn in range(rounds + 1):
            for gateway, into in seen.values():
                used, result = _block(gateway, seconds)
                checked += result.requests
                if turn:  # the first round warms both up
                    into.microseconds.append(used / result.requests * 1e6)
                    into.rates.append(result.requests_per_s)
        memory = {name: memory_mib(gateway.pid)[0] for name, (gateway, _) in seen.items()}
    for name, (_, one_seen) in seen.items():
        cost, rate = statistics.median(one_seen.microseconds), statistics.median(one_seen.rates)
        found.note(f"{name}: processor time of a request", f"{cost:.0f} microseconds")
        found.note(f"{name}: requests/s, memory", f"{rate:,.0f}, {memory[name]} MiB")
        numbers = {"microseconds": one_seen.microseconds, "rates": one_seen.rates, "memory_mib": memory[name]}
        found.numbers[name] = numbers
    few, among_many = (one_seen.microseconds for _, one_seen in seen.values())
    ratio = statistics.median(b / a for a, b in zip(few, among_many, strict=True))
    found.numbers["ratio"] = ratio
    found.claim("replies checked", "> 0", f"{checked:,}", checked > 0)
    if size == "full":  # one short round is not enough for a ratio
        found.claim("among many, of what it costs alone", "at most 1.25", f"{ratio:.2f}", ratio <= 1.25)
    return found


def _block(gateway: Gateway, seconds: float) -> tuple[float, Result]:
    """The gateway's CPU seconds during a closed loop, and the loop's result. Raises ProcessFailed on a wrong answer."""
    before, port = cpu_s(gateway.pid), int(gateway.url.rpartition(":")[2])
    path, expect = f"/models/{MODEL}/predict", answer(MODEL, VERSION)
    result = run_in_process(port, path, b"{}", expect, connections=CONNECTIONS, seconds=seconds)
    return cpu_s(gateway.pid) - before, result


if __name__ == "__main__":
    proof.run("many_models", TITLE, prove)
