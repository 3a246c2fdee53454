"""A model that is a Python class, whose artifact is a text, with rows and the answers that it must give."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from support.formats.cases import Case

CODE = """
from pydantic import BaseModel
import fairlead

class Parcel(BaseModel):
    weight: float
    stops: list[int]
    to: str

class Price(BaseModel):
    cents: int
    label: str
    per_stop: dict[str, float]

class Prices(fairlead.Model[Parcel, Price]):
    def load(self, artifact):
        self.cents = int(artifact.read_text())

    def predict(self, rows):
        return [
            Price(
                cents=int(row.weight * self.cents) + sum(row.stops),
                label=row.to.upper(),
                per_stop={str(stop): row.weight / 3 for stop in row.stops},
            )
            for row in rows
        ]
"""
ROWS: list[dict[str, Any]] = [
    {"weight": 0.1 + place, "stops": list(range(place)), "to": city}
    for place, city in enumerate(["Bern", "Oslo", "Łódź", "", "a b", '"'])
]


def case(name: str, folder: Path) -> Case:
    """The class, rows whose lists have every length from none on, and the answers to them."""
    (folder / "model.py").write_text(CODE)

    def own(given: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        return [
            {
                "cents": int(row["weight"] * 100) + sum(row["stops"]),
                "label": row["to"].upper(),
                "per_stop": {str(stop): row["weight"] / 3 for stop in row["stops"]},
            }
            for row in given["row"]
        ]

    rows = np.empty(len(ROWS), object)
    rows[:] = ROWS
    stated = {"format": "python", "entry": "model:Prices"}
    return Case(stated, b"100", ROWS, {"row": rows}, own, [folder / "model.py"])
