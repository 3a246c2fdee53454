"""Measures the latency that the gateway adds: the same requests to one backend, directly and through Envoy in turn.

A second gateway asks for keys: what that adds is measured in the same rounds.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from fairlead.contracts.access import KEY_HEADER, Access, key_hash
from fairlead.routing.snapshot import Guard
from support import proof
from support.faults.backend import Backend, answer
from support.gateway import running_gateway, table
from support.load.checks import OneOf
from support.load.open_loop import OpenLoop
from support.load.prebuilt import Users
from support.load.summary import Summary

RATE = 500
TITLE = f"added latency of the gateway, open loop, {RATE} requests/s"
KEY = "the key of a client that has a limit"
CLIENTS = {f"client-{number}": {"keys": [key_hash(f"key {number}")]} for number in range(100)}
LIMITED = {"keys": [key_hash(KEY)], "models": ["iris"], "limit": {"rate": 100_000}}
ACCESS = Access.model_validate({"clients": {**CLIENTS, "limited": LIMITED}})
BODY = b'{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}'


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Direct and through the gateway in turn, so that other work of the machine affects both."""
    rounds, seconds = (12, 5.0) if size == "full" else (3, 1.0)
    found = proof.Findings()
    with (
        Backend("iris", "1.0.0", log=folder / "backend.log") as backend,
        running_gateway(folder / "gateway", [backend], table("iris", "1.0.0")) as gateway,
        running_gateway(folder / "keys", [backend], table("iris", "1.0.0"), guard=Guard(ACCESS)) as keys,
    ):
        path = "/models/iris/predict"
        targets = {"direct": (backend.url, "/predict"), "gateway": (gateway.url, path), "keys": (keys.url, path)}
        runs: dict[str, list[Summary]] = {name: [] for name in targets}
        for turn in range(rounds + 1):
            for name, (url, path) in targets.items():
                summary = _block(url, path, seconds)
                if turn:  # the first round warms both up
                    runs[name].append(summary)
    for name, quantile in (("p50", 0.5), ("p99", 0.99)):
        direct, through = ([run.latency_ms(quantile) for run in runs[target]] for target in ("direct", "gateway"))
        added = statistics.median(b - a for a, b in zip(direct, through, strict=True))
        found.note(f"{name} direct, ms", f"{statistics.median(direct):.2f}")
        found.note(f"{name} through the gateway, ms", f"{statistics.median(through):.2f}")
        found.note(f"{name} added, ms (median of {rounds} pairs)", f"{added:.2f}")
        with_keys = [run.latency_ms(quantile) for run in runs["keys"]]
        more = statistics.median(b - a for a, b in zip(through, with_keys, strict=True))
        found.note(f"{name} added by a key and a limit among 101 clients, ms (median of {rounds} pairs)", f"{more:.2f}")
        found.numbers[name] = {"direct_ms": direct, "gateway_ms": through, "added_ms": added, "keys_added_ms": more}
    sent, failed = (sum(getattr(run, what) for one in runs.values() for run in one) for what in ("sent", "failed"))
    found.claim(f"failed of {sent}", "0", failed, failed == 0)
    found.numbers["generator_core_share"] = max(run.cpu_s / run.wall_s for one in runs.values() for run in one)
    return found


def _block(url: str, path: str, seconds: float) -> Summary:
    request, check = Users(path, body=BODY, headers={KEY_HEADER: KEY}), OneOf.these(answer("iris", "1.0.0"))
    with OpenLoop(url, rate=RATE, seconds=seconds, request=request, check=check) as load:
        return load.result()


if __name__ == "__main__":
    proof.run("gateway_overhead", TITLE, prove)
