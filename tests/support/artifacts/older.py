"""Fits artifacts with the scikit-learn of another environment, which has none of our code: python older.py FOLDER."""

from __future__ import annotations

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

COLUMNS = ("age", "income", "years")
TABLE = np.random.default_rng(3).normal(size=(90, 3))
TEXTS = [" ".join(np.random.default_rng(seed).choice(["good", "bad", "fine", "poor"], 4)) for seed in range(90)]


def main(folder: Path) -> None:
    """Write a pickle and, beside it, rows with the library's own answers."""
    price = TABLE @ [1.0, 2.0, 3.0]
    tables: dict[str, Any] = {
        "linear": LinearRegression(),
        "scaled": make_pipeline(StandardScaler(), Ridge()),
        "forest": RandomForestRegressor(5, random_state=0),
        "boosting": HistGradientBoostingRegressor(max_iter=5),
    }
    for name, estimator in tables.items():
        rows = [dict(zip(COLUMNS, row, strict=True)) for row in TABLE[:20].tolist()]
        _write(folder / name, estimator.fit(TABLE, price), TABLE[:20], rows)
    texts = make_pipeline(TfidfVectorizer(), Ridge()).fit(TEXTS, price)
    _write(folder / "texts", texts, TEXTS[:20], [{"text": text} for text in TEXTS[:20]])


def _write(file: Path, fitted: Any, given: Any, rows: list[dict[str, Any]]) -> None:
    truth = {"version": sklearn.__version__, "rows": rows, "answers": [[y] for y in fitted.predict(given).tolist()]}
    file.with_suffix(".pkl").write_bytes(pickle.dumps(fitted))
    file.with_suffix(".json").write_text(json.dumps(truth))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
