"""The example iris as an API of LitServe, as its documentation writes one."""

import os
from typing import Any

import joblib
import litserve
from litserve_start import start


class Iris(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.classifier = joblib.load(os.environ["ARTIFACT"])
        self.labels = self.classifier.classes_.tolist()

    def decode_request(self, request: dict[str, float]) -> list[float]:
        return [request[name] for name in ("sepal_length", "sepal_width", "petal_length", "petal_width")]

    def predict(self, row: list[float]) -> list[float]:
        return self.classifier.predict_proba([row])[0].tolist()

    def encode_response(self, row: list[float]) -> dict[str, Any]:
        named = dict(zip(self.labels, row, strict=True))
        return {"label": max(named, key=named.__getitem__), "probabilities": named}


if __name__ == "__main__":
    start(Iris())
