"""A model that doubles a number, and that fails as a file next to its folder says."""

import json
import os
import random
import time
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

import fairlead


class Number(BaseModel):
    value: float = Field(ge=-1000, le=1000, description="any unit")


class Doubled(BaseModel):
    value: float


class Doubler(fairlead.Model[Number, Doubled]):
    """Reads its faults from the file at each call: `{"fail": 0.3, "delay_ms": 300, "slow_ms": 6, "hang": true}`.

    DOUBLER_CONTROL gives the path of the file in a container. While there is no file, the faults of DOUBLER_FAULTS
    apply; without both there are none.
    """

    def load(self, artifact: Path) -> None:
        beside = artifact.parent / f"{artifact.name}.faults.json"
        self.control = Path(os.environ.get("DOUBLER_CONTROL", beside))
        self.initial_faults: dict[str, Any] = json.loads(os.environ.get("DOUBLER_FAULTS", "{}"))
        self.random = random.Random(1)

    def predict(self, rows: list[Number]) -> list[Doubled]:
        faults = self._faults()
        time.sleep(faults.get("delay_ms", 0) / 1000)
        time.sleep(faults.get("slow_ms", 0) / 1000 * self.random.lognormvariate(0, 0.6))
        while self._faults().get("hang"):
            time.sleep(0.02)
        if self.random.random() < faults.get("fail", 0):
            raise RuntimeError("failed on command")
        return [Doubled(value=2 * row.value) for row in rows]

    def _faults(self) -> dict[str, Any]:
        if not self.control.exists():
            return self.initial_faults
        faults: dict[str, Any] = json.loads(self.control.read_text())
        return faults
