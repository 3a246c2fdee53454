"""The models whose rows are JSON objects, as a user of any server wraps them: rows in, answers out.

The environment says which model it is (MODEL) and where its trained object is (ARTIFACT).
"""

import base64
import os
from collections.abc import Callable
from typing import Any

import joblib
import numpy as np
import pandas as pd

Rows = list[dict[str, Any]]
Answers = Callable[[Rows], Rows]


def load() -> Answers:
    """The model of this process."""
    return {"text": _text, "photo": _photo, "frame": _frame}[os.environ["MODEL"]](os.environ["ARTIFACT"])


def _text(artifact: str) -> Answers:
    pipeline = joblib.load(artifact)
    positive = pipeline.classes_.tolist().index("positive")

    def answer(rows: Rows) -> Rows:
        found = pipeline.predict_proba([row["text"] for row in rows])[:, positive].tolist()
        return [{"label": "positive" if p >= 0.5 else "negative", "positive": p} for p in found]

    return answer


def _photo(artifact: str) -> Answers:
    import onnxruntime  # noqa: PLC0415 - the other models run without it
    from photos import pixels  # noqa: PLC0415

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(artifact, options)

    def answer(rows: Rows) -> Rows:
        photos = np.array([pixels(base64.b64decode(row["photo"])) for row in rows])
        return [{"flower": one} for one in session.run(None, {"photo": photos})[0].tolist()]

    return answer


def _frame(artifact: str) -> Answers:
    pipeline = joblib.load(artifact)

    def answer(rows: Rows) -> Rows:
        frame = pd.DataFrame(rows, columns=pipeline.feature_names_in_)
        return [{"predict_proba": one} for one in pipeline.predict_proba(frame).tolist()]

    return answer
