"""The models of the comparison with other servers: their folders, and a row of each.

Nothing is downloaded: the photos are crops of the two that scikit-learn ships, the table is made up, and the texts are
those of the example sentiment.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_sample_image
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from benchmarks.peer_servers.photos import SIDE, pixels
from fairlead.serving.formats.writer import write_folder
from support import environments

HERE = Path(__file__).parent
BUILT = HERE.parents[1] / "build" / "models"
PHOTO_SIDE = 224
"""Pixels of the photos that clients send."""
NUMBERS, TEXTS = 1900, 100
"""Columns of the table."""


@dataclass(frozen=True)
class Trained:
    """A model folder, and a row as JSON data for every server."""

    folder: Path
    row: Mapping[str, Any]

    @property
    def artifact(self) -> Path:
        """The file with the trained object."""
        return next((self.folder / "artifact").iterdir())


def _text(_: Path) -> Trained:
    """A TF-IDF pipeline: sentiment of `ci/models`."""
    return Trained(
        BUILT / "sentiment" / "1.0.0",
        {"text": "The battery lasts two days, and the screen is better than I had hoped."},
    )


def _photo(out: Path) -> Trained:
    """An ONNX graph of a perceptron on 64 x 64 colours, decoded from a JPEG in base64: is it the flower?"""
    environments.add(environments.packages("formats"))
    random, files, labels = np.random.default_rng(0), [], []
    for name in ("china.jpg", "flower.jpg"):
        whole = load_sample_image(name)
        for _ in range(150):
            top, left = (int(random.integers(0, size - PHOTO_SIDE)) for size in whole.shape[:2])
            crop = PIL.Image.fromarray(whole[top : top + PHOTO_SIDE, left : left + PHOTO_SIDE])
            file = io.BytesIO()
            crop.save(file, "JPEG", quality=90)
            files.append(file.getvalue())
            labels.append(name.removesuffix(".jpg"))
    table = np.array([pixels(one) for one in files]).reshape(len(files), -1) / 255.0
    classifier = MLPClassifier((32,), max_iter=30, early_stopping=True, random_state=0).fit(table, labels)
    golden = [_written(out / f"{at}.jpg", files[at]) for at in (0, 150, 299)]
    manifest = {
        "name": "photo",
        "version": "1.0.0",
        "format": "onnx",
        "inputs": [
            {"name": "photo", "datatype": "UINT8", "shape": [-1, SIDE, SIDE, 3], "image": {"resize": "stretch"}}
        ],
        "outputs": [{"name": "flower", "datatype": "FP64", "shape": [-1, 1]}],
        "batching": {"max_rows": 32},
    }
    images = [{"photo": one} for one in golden]
    folder = out / "photo"
    write_folder(folder, manifest, _graph(classifier), golden_inputs=images, requirements=["pillow==13.0.0"])
    return Trained(folder, {"photo": base64.b64encode(files[7]).decode()})


def _frame(out: Path) -> Trained:
    """A pipeline on a DataFrame of 2,000 columns: numbers are scaled, and texts are encoded."""
    random, rows = np.random.default_rng(0), 600
    numbers = {f"n{at:04}": random.normal(size=rows).round(3) for at in range(NUMBERS)}
    kinds = np.array(["north", "east", "south", "west"])
    texts = {f"t{at:03}": kinds[random.integers(0, 4, rows)] for at in range(TEXTS)}
    table = pd.DataFrame(numbers | texts)
    leaves = table["n0000"] + table["n0001"] + (table["t000"] == "north") > 0.3
    pipeline = make_pipeline(
        make_column_transformer((StandardScaler(), list(numbers)), (OneHotEncoder(sparse_output=False), list(texts))),
        LogisticRegression(C=0.01, max_iter=300),
    ).fit(table, np.where(leaves, "leaves", "stays"))
    listed = table.head(4).to_dict("records")
    manifest = {
        "name": "frame",
        "version": "1.0.0",
        "format": "sklearn",
        "inputs": [
            *({"name": name, "datatype": "FP64", "shape": [-1]} for name in numbers),
            *({"name": name, "datatype": "BYTES", "shape": [-1], "choices": kinds.tolist()} for name in texts),
        ],
        "outputs": [{"name": "predict_proba", "datatype": "FP64", "shape": [-1, 2]}],
        "batching": {"max_rows": 32},
    }
    write_folder(out / "frame", manifest, pipeline, golden_inputs=listed[:3])
    return Trained(out / "frame", listed[3])


def _iris(_: Path) -> Trained:
    """Linear discriminant analysis of four numbers: iris of `ci/models`."""
    row = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
    return Trained(BUILT / "iris" / "1.1.0", row)


def _graph(classifier: MLPClassifier) -> Any:
    """The perceptron as a graph from colours to how probable a flower is. In float64: a batch rounds as a row does."""
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415 - importable only when the environment was added

    (first, second), (first_bias, second_bias) = classifier.coefs_, classifier.intercepts_
    weights = {"first": first / 255.0, "first_bias": first_bias, "second": second, "second_bias": second_bias}
    nodes = [
        helper.make_node("Flatten", ["photo"], ["bytes"]),
        helper.make_node("Cast", ["bytes"], ["colors"], to=TensorProto.DOUBLE),
        helper.make_node("MatMul", ["colors", "first"], ["weighed"]),
        helper.make_node("Add", ["weighed", "first_bias"], ["shifted"]),
        helper.make_node("Relu", ["shifted"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "second"], ["score"]),
        helper.make_node("Add", ["score", "second_bias"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["flower"]),
    ]
    ends = [
        helper.make_tensor_value_info("photo", TensorProto.UINT8, ["rows", SIDE, SIDE, 3]),
        helper.make_tensor_value_info("flower", TensorProto.DOUBLE, ["rows", 1]),
    ]
    constants = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "photo", ends[:1], ends[1:], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def _written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


MODELS: Mapping[str, Callable[[Path], Trained]] = {"iris": _iris, "text": _text, "photo": _photo, "frame": _frame}
"""What writes a model below a folder, if `ci/models` does not write it."""
