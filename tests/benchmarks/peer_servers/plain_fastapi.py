"""A model service as in a good tutorial: FastAPI, a pydantic model, and scikit-learn in the handler.

`/predict` predicts in an async handler, which is faster here but blocks the event loop. `/predict-in-thread` predicts
in a thread, which is FastAPI's way for blocking code.
"""

import os
from pathlib import Path

import joblib
from fastapi import FastAPI
from pydantic import BaseModel, Field

app = FastAPI()
classifier = joblib.load(Path(os.environ["ARTIFACT"]))
labels = classifier.classes_.tolist()


class Flower(BaseModel):
    sepal_length: float = Field(gt=0, le=10)
    sepal_width: float = Field(gt=0, le=10)
    petal_length: float = Field(gt=0, le=10)
    petal_width: float = Field(gt=0, le=10)


class Species(BaseModel):
    label: str
    probabilities: dict[str, float]


def answer(flower: Flower) -> Species:
    row = [flower.sepal_length, flower.sepal_width, flower.petal_length, flower.petal_width]
    probabilities = classifier.predict_proba([row])[0].tolist()
    named = dict(zip(labels, probabilities, strict=True))
    return Species(label=max(labels, key=named.__getitem__), probabilities=named)


@app.post("/predict")
async def predict(flower: Flower) -> Species:
    return answer(flower)


@app.post("/predict-in-thread")
def predict_in_thread(flower: Flower) -> Species:
    return answer(flower)
