"""A model of rows.py behind FastAPI, predicted in an async handler as in plain_fastapi.py."""

from typing import Any

import rows
from fastapi import FastAPI

app = FastAPI()
answers = rows.load()


@app.post("/predict")
async def predict(row: dict[str, Any]) -> dict[str, Any]:
    return answers([row])[0]
