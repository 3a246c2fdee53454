"""A model that doubles a number, and that fails as a file next to its folder says."""

import json
import os
import random
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

import fairlead

_NAMED = Path(__file__).with_name("faults_file")
CONTROL = Path(os.environ.get("DOUBLER_CONTROL") or (_NAMED.read_text() if _NAMED.exists() else "/tmp/faults.json"))
INITIAL_FAULTS: dict[str, Any] = json.loads(os.environ.get("DOUBLER_FAULTS", "{}"))


def faults() -> dict[str, Any]:
    if not CONTROL.exists():
        return INITIAL_FAULTS
    found: dict[str, Any] = json.loads(CONTROL.read_text())
    return found


if faults().get("broken"):
    raise RuntimeError("no such library")


class Number(BaseModel):
    value: float = Field(ge=-1000, le=1000, description="any unit")


class Doubled(BaseModel):
    value: float


class Doubler(fairlead.Model[Number, Doubled]):
    """Reads its faults from the file at each call: `{"fail": 0.3, "delay_ms": 300, "slow_ms": 6, "hang": true}`.
    With `"broken": true` its code cannot be imported, with `"unloadable": true` it cannot be loaded.

    The path of the file is in `faults_file` of the model folder, in a container in DOUBLER_CONTROL. While there is no
    file, the faults of DOUBLER_FAULTS apply; without both there are none.
    """

    def load(self, artifact: Path) -> None:
        self.random = random.Random(1)
        if faults().get("unloadable"):
            raise RuntimeError("no weights")

    def predict(self, rows: list[Number]) -> list[Doubled]:
        now = faults()
        time.sleep(now.get("delay_ms", 0) / 1000)
        time.sleep(now.get("slow_ms", 0) / 1000 * self.random.lognormvariate(0, 0.6))
        while faults().get("hang"):
            time.sleep(0.02)
        if self.random.random() < now.get("fail", 0):
            raise RuntimeError("failed on command")
        return [Doubled(value=2 * row.value) for row in rows]
