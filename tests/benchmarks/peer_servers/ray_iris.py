"""The example iris as a deployment of Ray Serve with FastAPI, as its documentation writes one."""

import argparse
import os
import signal

import joblib
from fastapi import FastAPI
from pydantic import BaseModel
from ray import serve

app = FastAPI()


class Flower(BaseModel):
    sepal_length: float
    sepal_width: float
    petal_length: float
    petal_width: float


class Species(BaseModel):
    label: str
    probabilities: dict[str, float]


@serve.deployment(ray_actor_options={"num_cpus": 0.1})
@serve.ingress(app)
class Iris:
    def __init__(self) -> None:
        self.classifier = joblib.load(os.environ["ARTIFACT"])
        self.labels = self.classifier.classes_.tolist()

    @app.post("/predict")
    def predict(self, flower: Flower) -> Species:
        row = [flower.sepal_length, flower.sepal_width, flower.petal_length, flower.petal_width]
        named = dict(zip(self.labels, self.classifier.predict_proba([row])[0].tolist(), strict=True))
        return Species(label=max(named, key=named.__getitem__), probabilities=named)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    serve.start(http_options={"host": "127.0.0.1", "port": port, "access_log": False})
    serve.run(Iris.bind(), name="iris", logging_config={"enable_access_log": False})
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
