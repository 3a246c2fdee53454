"""A model that doubles a number, unless the file beside its folder says how to fail."""

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
    """`{"fail": 0.3}`, `{"delay_ms": 300}`, `{"slow_ms": 6}`, `{"hang": true}`; no file: well. Read at each call.

    In a container the file is where DOUBLER_CONTROL says; before there is one, DOUBLER_FAULTS counts.
    """

    def load(self, artifact: Path) -> None:
        beside = artifact.parent / f"{artifact.name}.faults.json"
        self.control = Path(os.environ.get("DOUBLER_CONTROL", beside))
        self.at_first: dict[str, Any] = json.loads(os.environ.get("DOUBLER_FAULTS", "{}"))
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
            return self.at_first
        faults: dict[str, Any] = json.loads(self.control.read_text())
        return faults
