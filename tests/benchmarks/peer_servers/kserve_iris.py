"""The example iris as a custom predictor of KServe's SDK, as its documentation writes one."""

import argparse
import os
from typing import Any

import joblib
import kserve


class Iris(kserve.Model):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.load()

    def load(self) -> bool:
        self.classifier = joblib.load(os.environ["ARTIFACT"])
        self.labels = self.classifier.classes_.tolist()
        self.ready = True
        return self.ready

    def predict(self, payload: dict[str, Any], headers: dict[str, str] | None = None, **_: Any) -> dict[str, Any]:
        answers = []
        for row in self.classifier.predict_proba(payload["instances"]).tolist():
            named = dict(zip(self.labels, row, strict=True))
            answers.append({"label": max(named, key=named.__getitem__), "probabilities": named})
        return {"predictions": answers}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    kserve.ModelServer(http_port=port, workers=1, enable_grpc=False, access_log_format=None).start([Iris("iris")])
