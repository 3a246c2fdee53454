"""The example model churn: predicts from a list of six numbers whether a customer leaves."""

import pickle
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

import fairlead

FEATURES = ("months", "monthly_charge", "calls_to_support", "late_payments", "products", "days_since_login")
MOST = 1_000_000  # far beyond any customer; sums of numbers without a limit overflow, and the probability would be NaN


class Customer(BaseModel):
    """What is known of a customer."""

    features: list[Annotated[float, Field(ge=0, le=MOST)]] = Field(
        min_length=len(FEATURES), max_length=len(FEATURES), description=f"In this order: {', '.join(FEATURES)}"
    )


class Churn(BaseModel):
    """How probable it is that the customer leaves within three months."""

    probability: float = Field(ge=0, le=1, description="That the customer leaves")
    leaves: bool = Field(description="Whether the probability is at least one half")
    version: str = Field(description="The training that the answer comes from")


class Churns(fairlead.Model[Customer, Churn]):
    """Serves any classifier of two classes that was trained on these features and pickled beside its version."""

    def load(self, artifact: Path) -> None:
        trained = pickle.loads(artifact.read_bytes())
        self.classifier, self.version = trained["classifier"], trained["version"]

    def predict(self, rows: list[Customer]) -> list[Churn]:
        features = np.array([row.features for row in rows])
        found = self.classifier.predict_proba(features)[:, 1].tolist()
        return [Churn(probability=one, leaves=one >= 0.5, version=self.version) for one in found]
