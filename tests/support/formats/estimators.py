"""Estimators of scikit-learn in each format that holds them, with rows and what scikit-learn itself answers to them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import sklearn.ensemble
import sklearn.linear_model
import sklearn.pipeline
import sklearn.preprocessing
from sklearn.datasets import load_iris

from support.formats.cases import Case, as_rows

TREE = "sklearn.tree._tree.Tree"
INPUTS: list[dict[str, Any]] = [{"name": "flower", "datatype": "FP64", "shape": [-1, 4]}]
OUTPUTS: list[dict[str, Any]] = [
    {"name": "label", "datatype": "INT64"},
    {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 3]},
]
STATED: Mapping[str, Any] = {"format": "skops", "inputs": INPUTS, "outputs": OUTPUTS}


def fitted(name: str) -> Any:
    """`FORMAT-line`: a pipeline, of types that skops trusts. `FORMAT-forest`: trees, which it does not."""
    made = {
        "line": sklearn.pipeline.make_pipeline(
            sklearn.preprocessing.StandardScaler(), sklearn.linear_model.LogisticRegression()
        ),
        "forest": sklearn.ensemble.RandomForestClassifier(5, max_depth=3, random_state=0),
    }[name.partition("-")[2]]
    return made.fit(*load_iris(return_X_y=True))


def case(name: str, folder: Path) -> Case:
    """An estimator, rows of iris, and scikit-learn's own answers."""
    estimator = fitted(name)
    arrays = {"flower": load_iris(return_X_y=True)[0][::25]}

    def own(given: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        rows = given["flower"]
        return as_rows({"label": estimator.predict(rows), "predict_proba": estimator.predict_proba(rows)})

    stated = {**STATED, "format": name.partition("-")[0]}
    if name == "skops-forest":
        stated["trusted"] = [TREE]
    return Case(stated, estimator, as_rows(arrays), arrays, own)
