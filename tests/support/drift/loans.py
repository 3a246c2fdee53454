"""A model of loans that has everything that drift and quality are measured by, and its clients, who change.

Its inputs are a number, a category and a vector; it says a class and how sure it is. One slice is declared.
"""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.serving.reference.build import write_profile
from support import folders
from support.drift.requests import KINDS, MEAN, SHARES, SIZE, SPREAD, STRANGE, embedded
from support.load.prebuilt import encode

CODE = f"""
import math
from typing import Annotated, Literal
from pydantic import BaseModel, Field
import fairlead

class Applicant(BaseModel):
    income: float
    region: str = "a"
    letter: Annotated[list[float], Field(min_length={SIZE}, max_length={SIZE})] = [0.0] * {SIZE}

class Answer(BaseModel):
    label: Literal["grant", "refuse"]
    probability: float

class Loans(fairlead.Model[Applicant, Answer]):
    def predict(self, rows: list[Applicant]) -> list[Answer]:
        shares = [1 / (1 + math.exp({MEAN} - row.income)) for row in rows]
        return [Answer(label="grant" if one >= 0.5 else "refuse", probability=one) for one in shares]
"""
SURE, UNSURE = 0.9, 0.2
"""How well the class follows from the income, in the held-out rows and after the world has changed."""
LAG_S = 20.0
ROWS, SEED = 4000, 20261130
"""Of the profile, and of all that is drawn."""


def loans(folder: Path, model: str, *versions: str, **more: Any) -> dict[str, dict[str, Any]]:
    """The `models:` of a platform.yaml with this model in these versions, whose folders are made."""
    random = np.random.default_rng(SEED)
    rows = [_row(random, MEAN, 0.0) for _ in range(ROWS)]
    truth = [_true(random, row["income"], SURE) for row in rows]
    sources = {}
    for version in versions:
        golden = [{"input": {"income": MEAN + 0.5 * at}, "expected": _said(MEAN + 0.5 * at)} for at in range(3)]
        source = folders.make(
            folder / model / version,
            code=CODE,
            artifact=None,
            golden=golden,
            name=model,
            version=version,
            entry="model:Loans",
        )
        write_profile(source, rows, truth=truth, slices=[f"{KINDS[1]}s: region={KINDS[1]}"])
        sources[version] = {"source": str(source)}
    return {model: {"target": versions[0], "versions": sources, **more}}


@dataclass(frozen=True)
class Applicants:
    """Predictions and the labels of them, in turn, the labels for each of these versions in turn.

    Incomes are higher by `shift`; if they are, they also say less. `rate` is that of the load, by which the labels say
    when the answer was given: LAG_S seconds before, in the mean.
    """

    model: str
    versions: tuple[str, ...]
    rate: float
    shift: float = 0.0
    began: float = field(default_factory=time.time)

    def __call__(self, index: int) -> bytes:
        """The bytes of request `index`: an odd one is the label of the row before it."""
        turn = index // 2
        random = np.random.default_rng((SEED, turn))
        row = _row(random, MEAN + self.shift, STRANGE)
        path = f"/models/{self.model}"
        if index % 2 == 0:
            headers = {"x-user-id": f"u{turn}"}
            return encode("POST", f"{path}/predict", headers=headers, body=json.dumps(row).encode())
        version = self.versions[turn % len(self.versions)]
        label = {
            "id": f"{self.began:.0f}-{turn}",
            "version": version,
            "prediction": _said(row["income"])["label"],
            "truth": _true(random, row["income"], UNSURE if self.shift else SURE),
            "answered_at": self.began + index / self.rate - float(random.exponential(LAG_S)),
        }
        body = json.dumps({"feedback": [label]}).encode()
        return encode("POST", f"{path}/versions/{version}/feedback", headers={}, body=body)


def _row(random: np.random.Generator, mean: float, strange: float) -> dict[str, Any]:
    return {
        "income": round(float(random.normal(mean, SPREAD)), 3),
        "region": "z" if random.random() < strange else str(random.choice(KINDS, p=SHARES)),
        "letter": (embedded(random, 1)[0] + mean - MEAN).tolist(),
    }


def _said(income: float) -> dict[str, Any]:
    share = 1 / (1 + math.exp(MEAN - income))
    return {"label": "grant" if share >= 0.5 else "refuse", "probability": share}


def _true(random: np.random.Generator, income: float, how_sure: float) -> str:
    return "grant" if random.random() < 1 / (1 + math.exp(how_sure * (MEAN - income))) else "refuse"
