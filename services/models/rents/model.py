"""The example model rents: predicts the monthly rent of a flat from a table with categories and missing values."""

from pathlib import Path
from typing import Literal

import joblib
import pandas as pd
from pydantic import BaseModel, Field

import fairlead


class Flat(BaseModel):
    """What an advertisement says about a flat; much may be missing."""

    city: Literal["Bonn", "Kassel", "Ulm"] = Field(description="Where it is")
    area: float = Field(gt=5, le=500, description="Floor area, square metres")
    rooms: int = Field(ge=1, le=20, description="Number of rooms")
    built: int | None = Field(default=None, ge=1500, le=2100, description="Year of construction")
    energy: float | None = Field(default=None, ge=0, le=1000, description="Energy use, kWh per square metre and year")
    balcony: bool | None = Field(default=None, description="Whether it has a balcony")
    heating: Literal["gas", "district", "heat pump"] | None = Field(default=None, description="Kind of heating")


class Rent(BaseModel):
    """The expected rent."""

    rent: float = Field(description="Euros per month, without heating")


class Rents(fairlead.Model[Flat, Rent]):
    """Serves any estimator that was trained on `frames.frame(Flat, rows)`."""

    def load(self, artifact: Path) -> None:
        self.estimator = joblib.load(artifact)

    def predict_frame(self, frame: pd.DataFrame) -> list[Rent]:
        return [Rent(rent=value) for value in self.estimator.predict(frame).tolist()]
