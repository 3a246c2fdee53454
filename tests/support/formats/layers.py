"""Small Keras models of many shapes, each with rows and what Keras itself answers to them. Needs keras on torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import torch
from keras import layers

from support.formats.cases import Case, as_rows

ROWS = 6
RNG = np.random.default_rng(0)


def dense() -> Any:
    """A classifier that was trained for a moment, so that it has an optimizer and moving averages."""
    model = keras.Sequential(
        [
            keras.Input((16,), name="x"),
            layers.Dense(32, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(5, activation="softmax", name="probabilities"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(RNG.normal(size=(32, 16)).astype(np.float32), RNG.integers(0, 5, 32), verbose=0)
    return model


def image() -> Any:
    picture = keras.Input((24, 24, 3), name="image")
    shrunk = layers.MaxPooling2D()(layers.Conv2D(4, 5, strides=2, activation=keras.activations.silu)(picture))
    return keras.Model(picture, layers.Dense(4, name="scores")(layers.Flatten()(layers.Rescaling(2.0)(shrunk))))


def sequence() -> Any:
    steps = keras.Input((None, 2), name="steps")
    return keras.Model(steps, layers.Bidirectional(layers.GRU(8), name="state")(steps))


def two() -> Any:
    """Two inputs by name, one of them whole numbers, and two outputs."""
    scale, token = keras.Input((4,), name="scale"), keras.Input((), name="token", dtype="int32")
    scaled = layers.Embedding(10, 4)(token) * scale + 1.0
    return keras.Model({"scale": scale, "token": token}, {"scaled": scaled, "sum": layers.Dense(2)(scaled)})


MADE: Mapping[str, Callable[[], Any]] = {
    "keras-dense": dense,
    "keras-image": image,
    "keras-sequence": sequence,
    "keras-two": two,
    "keras-h5": dense,
}


def rows(name: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """Made-up rows: numbers of 0 to 9 for a token."""
    sizes = [ROWS, *(7 if size is None else size for size in shape[1:])]
    return RNG.integers(0, 10, sizes).astype(np.int32) if name == "token" else RNG.normal(size=sizes).astype(np.float32)


def case(name: str, folder: Path) -> Case:
    """A model, its rows as JSON, and the answers of Keras: to one row, and to all of them."""
    keras.utils.set_random_seed(0)
    model = MADE[name]()
    arrays = {one.name: rows(one.name, one.shape) for one in model.inputs}
    names = [model.layers[-1].name] if isinstance(model, keras.Sequential) else model.output_names

    def own(given: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        tensors = {name: torch.from_numpy(array) for name, array in given.items()}
        with torch.inference_mode():
            found = model(tensors if len(tensors) > 1 else next(iter(tensors.values())), training=False)
        parts = found if isinstance(found, dict) else dict(zip(names, [found], strict=True))
        return as_rows({name: part.numpy() for name, part in parts.items()})

    if name != "keras-h5":
        return Case({"format": "keras"}, model, as_rows(arrays), arrays, own)
    stated = {
        "format": "keras-h5",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 16]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 5]}],
    }
    return Case(stated, model, as_rows(arrays), arrays, own)
