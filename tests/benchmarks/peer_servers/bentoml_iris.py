"""The example iris as a service of BentoML, as its documentation writes one."""

import os
from typing import Any

import bentoml
import joblib


@bentoml.service
class Iris:
    def __init__(self) -> None:
        self.classifier = joblib.load(os.environ["ARTIFACT"])
        self.labels = self.classifier.classes_.tolist()

    @bentoml.api
    def predict(
        self, sepal_length: float, sepal_width: float, petal_length: float, petal_width: float
    ) -> dict[str, Any]:
        row = self.classifier.predict_proba([[sepal_length, sepal_width, petal_length, petal_width]])[0].tolist()
        named = dict(zip(self.labels, row, strict=True))
        return {"label": max(named, key=named.__getitem__), "probabilities": named}
