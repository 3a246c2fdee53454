"""Measures what requests cost whose clients have left: half of them leave after 20 ms, at twice the model's capacity.

The model takes 100 ms for a row, so 10 a second are its capacity, and 20 a second are sent. Once all clients wait for
their answer; once every other one closes its connection after 20 ms. The model itself counts the rows that it gets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from support import folders, proof
from support.load.open_loop import OpenLoop
from support.load.prebuilt import Always, encode
from support.load.summary import Summary
from support.service import HOST, Service

TITLE = "requests whose clients have left"
SECONDS: Mapping[proof.Size, float] = {"full": 30.0, "reduced": 4.0}
RATE, PATIENCE_S, WORK_S = 20.0, 0.02, 0.1
SAVED = 0.45
"""The share of executions that must be saved; half of the requests are abandoned."""
COUNTING = f"""
import os
import time
from pathlib import Path
from pydantic import BaseModel
import fairlead

class Number(BaseModel):
    value: float

class Doubled(BaseModel):
    value: float

class Doubler(fairlead.Model[Number, Doubled]):
    def load(self, artifact: Path) -> None:
        self.executed = open(os.environ["EXECUTED"], "a", buffering=1)

    def predict(self, rows: list[Number]) -> list[Doubled]:
        for row in rows:
            time.sleep({WORK_S})
            self.executed.write(f"{{row.value}}\\n")
        return [Doubled(value=2 * row.value) for row in rows]
"""
ASKED = 7.0
"""Golden and made-up rows are other numbers, so the rows of the load can be told from them."""


def prove(size: proof.Size, folder: Path) -> proof.Findings:
    """Send the same load twice and compare how many rows the model was given."""
    seconds, found = SECONDS[size], proof.Findings()
    all_stay, (first, second) = _loaded(folder / "stay", seconds, leave=False)
    half_leave, (stayers, _) = _loaded(folder / "leave", seconds, leave=True)
    sent, saved = first.sent + second.sent, 1 - half_leave / all_stay
    failed = first.failed + second.failed + stayers.failed
    found.claim("rows executed while all stay", f"{sent}", all_stay, all_stay == sent)
    found.claim("executions saved while half leave", f">= {SAVED:.0%}", f"{saved:.1%}", saved >= SAVED)
    found.claim("failures of clients that stay", "0", failed, failed == 0)
    found.note("p50 of a client that stays, s, beside others that stay", round(first.latency_ms(0.5) / 1000, 2))
    found.note("p50 of a client that stays, s, beside others that leave", round(stayers.latency_ms(0.5) / 1000, 2))
    found.numbers = {
        "rate": RATE,
        "seconds": seconds,
        "left_after_s": PATIENCE_S,
        "work_s": WORK_S,
        "executed": {"all_stay": all_stay, "half_leave": half_leave},
        "stay": first.to_json(),
        "stay_beside_leavers": stayers.to_json(),
    }
    return found


def _loaded(folder: Path, seconds: float, *, leave: bool) -> tuple[int, tuple[Summary, Summary]]:
    """One load on a service of its own: the rows executed, and the two halves of the clients."""
    executed = folder / "executed.txt"
    model = folders.make(folder / "model", code=COUNTING, golden=(), batching={"max_rows": 1})
    request = Always(encode("POST", "/predict", body=json.dumps({"value": ASKED}).encode()))
    with Service(model, log=folder / "service.log", env={"EXECUTED": str(executed)}) as service, ExitStack() as stack:
        before = executed.read_text().count(f"{ASKED}\n") if executed.exists() else 0
        url = f"http://{HOST}:{service.port}"

        def load(patience_s: float) -> OpenLoop:
            return stack.enter_context(
                OpenLoop(url, rate=RATE / 2, seconds=seconds, request=request, timeout_s=patience_s)
            )

        first, second = load(10 * seconds), load(PATIENCE_S if leave else 10 * seconds)
        halves = first.result(), second.result()
        service.process.stop()  # drains
        return executed.read_text().count(f"{ASKED}\n") - before, halves


if __name__ == "__main__":
    proof.run("abandoned", TITLE, prove)
