"""A model that says a class and how sure it is, with the quality of held-out rows in its profile, and its clients."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.serving.reference.build import write_profile
from support import folders
from support.load.prebuilt import encode

CODE = """
import math
from typing import Literal
from pydantic import BaseModel
import fairlead

class Row(BaseModel):
    value: float

class Answer(BaseModel):
    label: Literal["high", "low"]
    probability: float

class Judge(fairlead.Model[Row, Answer]):
    def predict(self, rows: list[Row]) -> list[Answer]:
        shares = [1 / (1 + math.exp(-2 * row.value)) for row in rows]
        return [Answer(label="high" if one >= 0.5 else "low", probability=one) for one in shares]
"""
CLASSES = ("high", "low")
GOLDEN = tuple({"input": {"value": 0.0}, "expected": {"label": "high", "probability": 0.5}} for _ in range(3))
ROWS, SEED = 10_000, 20261130
MODEL, VERSION = "judge", "1.0.0"
Rows = list[tuple[float, str]]


def drawn(count: int, *, shift: float = 0.0, seed: int = SEED) -> Rows:
    """Values, and what is true of them: the model is surer than it should be."""
    random = np.random.default_rng(seed)
    values = random.normal(shift, 1.0, count).round(4)
    is_high = random.random(count) < 1 / (1 + np.exp(-1.3 * values))
    return [(value, "high" if one else "low") for value, one in zip(values.tolist(), is_high, strict=True)]


def judge(folder: Path, *, instances: int = 1) -> dict[str, dict[str, Any]]:
    """The `models:` of a platform.yaml with this model, whose folder is made."""
    source = folders.make(
        folder / MODEL, code=CODE, artifact=None, golden=GOLDEN, name=MODEL, version=VERSION, entry="model:Judge"
    )
    held_out = drawn(ROWS)
    write_profile(source, [{"value": value} for value, _ in held_out], truth=[truth for _, truth in held_out])
    return {MODEL: {"target": VERSION, "versions": {VERSION: {"source": str(source), "instances": instances}}}}


@dataclass(frozen=True)
class Labelled:
    """Labels of numbers; of this model, labels of classes in turn with predictions. The load's process uses it."""

    model: str = MODEL
    version: str = VERSION
    since: float = field(default_factory=time.time)

    def __call__(self, index: int) -> bytes:
        """The bytes of request `index`."""
        random = np.random.default_rng((SEED, index))
        value = round(float(random.normal()), 3)
        path = f"/models/{self.model}"
        if self.model == MODEL and index % 2 == 0:
            return encode("POST", f"{path}/predict", headers={}, body=json.dumps({"value": value}).encode())
        said: Any = 2 * value
        true: Any = round(said + float(random.normal()), 3)
        if self.model == MODEL:
            said, true = random.choice(CLASSES, 2).tolist()
        label = {"id": f"{index}", "version": self.version, "prediction": said, "truth": true}
        body = json.dumps({"feedback": [{**label, "answered_at": self.since}]}).encode()
        return encode("POST", f"{path}/versions/{self.version}/feedback", headers={}, body=body)
