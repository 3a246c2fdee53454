"""A classifier for tests. `faults.classifiers` can change the order of its LABELS, as a faulty training would."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field

import fairlead

LABELS = ("low", "middle", "high")


class Number(BaseModel):
    value: float = Field(ge=-1000, le=1000, description="any unit")


class Sorted(BaseModel):
    label: Literal["low", "middle", "high"]
    probabilities: dict[str, float]


class Sorter(fairlead.Model[Number, Sorted]):
    """Predicts low below -1, high above 1, else middle. The probability rises with the distance from -1 and 1."""

    def load(self, artifact: Path) -> None:
        pass

    def predict(self, rows: list[Number]) -> list[Sorted]:
        return [self._sorted(row.value) for row in rows]

    def _sorted(self, value: float) -> Sorted:
        at = 0 if value < -1 else 2 if value > 1 else 1
        sure = 0.5 + 0.49 * min(1.0, abs(abs(value) - 1) / 2)
        probabilities = {label: round((1 - sure) / 2, 6) for label in LABELS}
        return Sorted.model_validate({"label": LABELS[at], "probabilities": {**probabilities, LABELS[at]: sure}})
