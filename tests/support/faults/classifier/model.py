"""A classifier whose classes may stand in another order than they were trained in."""

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
    """Low below -1, high above 1; surer the further away from there."""

    def load(self, artifact: Path) -> None:
        pass

    def predict(self, rows: list[Number]) -> list[Sorted]:
        return [self._sorted(row.value) for row in rows]

    def _sorted(self, value: float) -> Sorted:
        at = 0 if value < -1 else 2 if value > 1 else 1
        sure = 0.5 + 0.49 * min(1.0, abs(abs(value) - 1) / 2)
        probabilities = {label: round((1 - sure) / 2, 6) for label in LABELS}
        return Sorted.model_validate({"label": LABELS[at], "probabilities": {**probabilities, LABELS[at]: sure}})
