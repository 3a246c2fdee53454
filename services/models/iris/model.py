"""The example model iris: predicts the species of an iris flower from four lengths in centimetres."""

from pathlib import Path
from typing import Literal

import joblib
import numpy as np
from pydantic import BaseModel, Field

import fairlead

Label = Literal["setosa", "versicolor", "virginica"]


class Flower(BaseModel):
    """Four lengths of one flower."""

    sepal_length: float = Field(gt=0, le=10, description="Length of a sepal, cm")
    sepal_width: float = Field(gt=0, le=10, description="Width of a sepal, cm")
    petal_length: float = Field(gt=0, le=10, description="Length of a petal, cm")
    petal_width: float = Field(gt=0, le=10, description="Width of a petal, cm")


class Probabilities(BaseModel):
    """One probability per species; they add up to 1."""

    setosa: float = Field(ge=0, le=1)
    versicolor: float = Field(ge=0, le=1)
    virginica: float = Field(ge=0, le=1)


class Species(BaseModel):
    """The most probable species, and how probable each is."""

    label: Label
    probabilities: Probabilities


class Iris(fairlead.Model[Flower, Species]):
    """Serves any scikit-learn classifier that has `predict_proba` and was trained on the four lengths in this order."""

    def load(self, artifact: Path) -> None:
        self.classifier = joblib.load(artifact)
        self.labels: list[Label] = self.classifier.classes_.tolist()

    def predict_columns(self, batch: np.ndarray) -> list[Species]:
        return [self._species(row) for row in self.classifier.predict_proba(batch).tolist()]

    def _species(self, row: list[float]) -> Species:
        likeliest = self.labels[row.index(max(row))]
        return Species.model_validate({"label": likeliest, "probabilities": dict(zip(self.labels, row, strict=True))})
