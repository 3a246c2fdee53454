"""Files of Keras that nobody should serve, written by hand. Needs h5py when it is called."""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from support.formats.skops_files import packed

Config = dict[str, Any]


def layer(name: str, module: str | None = "keras.layers", /, **config: Any) -> Config:
    return {"module": module, "class_name": name, "config": config, "registered_name": None}


def first(*shape: int | None) -> Config:
    return layer("InputLayer", batch_shape=[None, *(shape or (4,))], dtype="float32", name="x")


def model(*layers: Config) -> Config:
    """A model of layers, one after the other."""
    return layer("Sequential", "keras", name="m", layers=[first(), *layers])


def dense(units: int = 3, **config: Any) -> Config:
    return layer("Dense", units=units, name="dense", **config)


def weights(write: Callable[[Any], None] | None = None) -> bytes:
    """The weights of `dense()`, or a file that the function writes."""
    h5py = importlib.import_module("h5py")
    written = io.BytesIO()
    with h5py.File(written, "w") as file:
        if write is not None:
            write(file)
        else:
            group = file.create_group("layers/dense/vars")
            group["0"], group["1"] = np.ones((4, 3), np.float32), np.zeros(3, np.float32)
    return written.getvalue()


def file(config: Config | bytes, parts: Mapping[str, bytes] | None = None, stored: bytes | None = None) -> bytes:
    """A file `.keras` with this configuration."""
    told = config if isinstance(config, bytes) else json.dumps(config).encode()
    metadata = json.dumps({"keras_version": "3.15.1"}).encode()
    own = {"metadata.json": metadata, "config.json": told}
    return packed(own | {"model.weights.h5": weights() if stored is None else stored} | dict(parts or {}))


def function(name: str, module: str) -> Config:
    return {"module": module, "class_name": "function", "config": name, "registered_name": name}


def bytecode(mark: Path) -> str:
    """The text of a lambda, as Keras writes it, that makes the file `mark`."""
    dumped = importlib.import_module("keras.src.utils.python_utils").func_dump
    found: Any = dumped(eval(f"lambda x: (open({str(mark)!r}, 'w').close(), x)[1]"))
    return str(found[0]).strip()


def lambda_layer(mark: Path, name: str = "evil") -> Config:
    code = {"class_name": "__lambda__", "config": {"code": bytecode(mark), "defaults": None, "closure": None}}
    return layer("Lambda", name=name, function=code)


def hdf5(config: Config | str | None) -> bytes:
    """A file `.h5` with this configuration."""

    def write(opened: Any) -> None:
        if config is not None:
            opened.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        opened.attrs["keras_version"] = "3.15.1"
        opened.create_group("model_weights").attrs["layer_names"] = []

    return weights(write)


def link_out(opened: Any) -> None:
    opened["layers"] = importlib.import_module("h5py").ExternalLink("/etc/passwd", "/")


def soft_link(opened: Any) -> None:
    opened["layers"] = importlib.import_module("h5py").SoftLink("/elsewhere")


def values_of_another_file(opened: Any) -> None:
    opened.create_dataset("layers/dense/vars/0", (12,), np.float32, external=[("/etc/passwd", 0, 48)])


def array_of_a_terabyte(opened: Any) -> None:
    opened.create_dataset("layers/dense/vars/0", (2**38,), np.float32, chunks=(2**20,), compression="gzip")


def array_of_texts(opened: Any) -> None:
    opened["layers/dense/vars/0"] = np.array([b"a", b"b"])


def group_in_itself(opened: Any) -> None:
    opened.create_group("layers")["again"] = opened["/"]
