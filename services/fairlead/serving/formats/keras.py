"""Formats `keras` and `keras-h5`: networks of Keras 3, which PyTorch computes.

A file `.keras` is data: its configuration names layers, which are checked before Keras sees them, and its weights are
arrays. A file `.h5` of older releases is treated as code, as its library does: its digest is checked before it is read.
Lambda layers hold bytecode, so both refuse those that `trusted` of the manifest does not name.
"""

from __future__ import annotations

import copy
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.contracts import json_text
from fairlead.contracts.manifest import Tensor
from fairlead.serving.formats import (
    base,
    device,
    hdf5_file,
    keras_config,
    keras_file,
    networks,
    shared_dimensions,
    torch_runtime,
)
from fairlead.serving.formats.archives import Broken
from fairlead.serving.formats.torch_export import DATATYPES

_AGAIN = "Copy the whole file again, or save it again: model.save('model.keras')."
_WIDER = {"float16": "FP32", "bfloat16": "FP32"}
_BACKEND = "KERAS_BACKEND"


class Keras:
    """`format: keras`: a file of `model.save("model.keras")`."""

    name = "keras"

    def __init__(self, trusted: Iterable[str] = ()) -> None:
        self._trusted = tuple(trusted)

    def trusting(self, names: Iterable[str]) -> Keras:
        """The same format, which also runs the Lambda layers with these names."""
        return type(self)(names)

    def read(self, artifact: Path) -> Any:
        """The network with its weights. Raises Invalid for a damaged file, and Refused for Lambda layers."""
        keras, torch = self._libraries()
        where = device.of_torch(torch)
        config, has_lambdas = self._config(artifact)
        with _telling(self.name, artifact), tempfile.TemporaryDirectory(prefix="fairlead-weights-") as scratch:
            with keras.device(where):
                model = self._loaded(keras, artifact, Path(scratch), config, is_safe=not has_lambdas)
            return _network(keras, torch, model, where)

    def write(self, value: Any, artifact: Path) -> None:
        """Write a model, or copy a file. The same model gives the same bytes."""
        if isinstance(value, str | Path):
            shutil.copyfile(value, artifact)
            return
        keras, _ = self._libraries()
        if not isinstance(value, keras.Model):
            raise errors.Invalid(
                f"format '{self.name}' writes a model of Keras or copies a path; a {type(value).__name__} is neither"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Keras uses numpy in a way that numpy 2 warns of
            self._save(value, artifact)

    def signature(self, artifact: Path) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The inputs and outputs of the layers. No weights are read. Raises Invalid if there are Lambda layers."""
        keras, torch = self._libraries()
        config, has_lambdas = self._config(artifact)
        if has_lambdas:
            raise errors.Invalid(
                f"format '{self.name}': what the Lambda layers of {artifact.name} return is known only when they run",
                hint="Declare `inputs` and `outputs` in fairlead.yaml.",
            )
        with _telling(self.name, artifact):
            found = _network(keras, torch, self._without_weights(keras, artifact, config), "meta")
        assert found.inputs is not None
        assert found.outputs is not None
        return found.inputs, found.outputs

    def dimensions(self, artifact: Path) -> shared_dimensions.Names:
        """None: the dimensions of Keras have no names."""
        return {}

    def _libraries(self) -> tuple[Any, Any]:
        torch = torch_runtime.library(self.name)
        if "keras" not in sys.modules:
            os.environ[_BACKEND] = "torch"
        keras = base.library_of(self.name, "keras")
        if keras.backend.backend() != "torch":
            raise errors.Invalid(
                f"format '{self.name}': Keras runs on {keras.backend.backend()} here, and it is served on torch",
                hint=f"Set {_BACKEND}=torch in the environment before Keras is imported.",
            )
        return keras, torch

    def _config(self, artifact: Path) -> tuple[Any, bool]:
        """The checked configuration, and whether it has Lambda layers that are trusted."""
        with _telling(self.name, artifact):
            config = keras_config.with_open_rows(self._read_config(artifact))
            try:
                return config, keras_config.check(config, self._trusted)
            except keras_config.Lambdas as cause:
                listed = ", ".join(cause.names)
                raise errors.Refused(
                    f"format '{self.name}': {artifact.name} has Lambda layers, which are code: {listed}",
                    hint=f"If you trust who wrote the file, name them in the manifest: `trusted: [{listed}]`. Better, "
                    "replace them by layers of Keras, such as Rescaling.",
                ) from None

    def _read_config(self, artifact: Path) -> Any:
        return keras_file.config(artifact)

    def _without_weights(self, keras: Any, artifact: Path, config: Any) -> Any:
        return _built(keras, config, "meta")

    def _loaded(self, keras: Any, artifact: Path, scratch: Path, config: Any, *, is_safe: bool) -> Any:
        weights = scratch / keras_file.WEIGHTS
        keras_file.copy_weights(artifact, weights)
        has = hdf5_file.check(base.library_of(self.name, "h5py"), weights)
        # On the device `meta` tensors have shapes and no values. Functions of Lambda layers may not compute there.
        if is_safe and (states := _built(keras, config, "meta").count_params()) > has:
            raise Broken(f"states layers with {states} weights, and has {has}")
        model = _built(keras, config, is_safe=is_safe)
        model.load_weights(weights)
        return model

    def _save(self, model: Any, artifact: Path) -> None:
        model.save(artifact)
        keras_file.rewrite(artifact)


class KerasH5(Keras):
    """`format: keras-h5`: a file of HDF5 that Keras wrote, with its configuration and its weights."""

    name = "keras-h5"

    def _read_config(self, artifact: Path) -> Any:
        h5py = base.library_of(self.name, "h5py")
        hdf5_file.check(h5py, artifact)
        with h5py.File(artifact, "r") as opened:
            text = opened.attrs.get("model_config")
        if not isinstance(text, str | bytes):
            raise Broken("has weights, and no model: save the whole model")
        return json_text.read(text)

    def _without_weights(self, keras: Any, artifact: Path, config: Any) -> Any:
        with tempfile.TemporaryDirectory(prefix="fairlead-weights-") as scratch:
            return self._loaded(keras, artifact, Path(scratch), config, is_safe=True)

    def _loaded(self, keras: Any, artifact: Path, scratch: Path, config: Any, *, is_safe: bool) -> Any:
        named = scratch / "model.h5"  # Keras goes by the name
        shutil.copyfile(artifact, named)
        return keras.saving.load_model(named, compile=False, safe_mode=is_safe)

    def _save(self, model: Any, artifact: Path) -> None:
        model.save(artifact, include_optimizer=False)


@contextmanager
def _telling(name: str, artifact: Path) -> Iterator[None]:
    """Exceptions of Keras and of our checks as Invalid, which names the file."""
    try:
        yield
    except errors.FairleadError:
        raise
    except Broken as cause:
        raise errors.Invalid(f"format '{name}': {artifact.name} {cause}", hint=_AGAIN) from None
    except Exception as cause:  # Keras has no class for its errors
        raise errors.Invalid(
            f"format '{name}': Keras cannot read {artifact.name}: {_said(cause)}", hint=_AGAIN
        ) from None


def _said(cause: Exception) -> str:
    """The end of a message of Keras: it begins with the whole configuration."""
    text = " ".join(str(cause).split())
    for start in ("Exception encountered: ", "Error encountered during deserialization: "):
        text = text.rpartition(start)[2]
    return text[:300]


def _built(keras: Any, config: Any, where: str | None = None, *, is_safe: bool = True) -> Any:
    """The model of a configuration that was checked. Its weights are those that a training begins with."""
    with keras.device(where) if where else nullcontext():
        return keras.saving.deserialize_keras_object(copy.deepcopy(config), safe_mode=is_safe)  # it takes it apart


def _network(keras: Any, torch: Any, model: Any, where: str) -> torch_runtime.Module:
    """The model as a network. Raises Invalid if its inputs or outputs cannot be those of a service."""
    if isinstance(model, keras.Sequential):
        given, returned = model.inputs[0], model.outputs[0]
    else:
        given, returned = model.input, model.output
    names = given if isinstance(given, Mapping) else None
    answered = list(returned) if isinstance(returned, Mapping) else _output_names(keras, model)

    def call(*tensors: Any) -> dict[str, Any]:
        one: Any = dict(zip(names, tensors, strict=True)) if names is not None else list(tensors)
        with keras.device(where):
            found = model(one if names is not None or isinstance(given, list | tuple) else tensors[0], training=False)
        parts = found.values() if isinstance(found, Mapping) else found if isinstance(found, list | tuple) else [found]
        return dict(zip(fields, parts, strict=True))

    inputs = _tensors("input", given, [one.name for one in _flat(given)] if names is None else list(names))
    outputs = _tensors("output", returned, answered)
    fields = [one.name for one in outputs]
    module = torch_runtime.Module(torch, call, where, inputs)
    module.outputs = outputs
    return module


def _output_names(keras: Any, model: Any) -> list[str]:
    return [model.layers[-1].name] if isinstance(model, keras.Sequential) else list(model.output_names)


def _tensors(what: str, struct: Any, names: Sequence[str]) -> tuple[Tensor, ...]:
    where = f"the model's {what}"
    tensors = _flat(struct)
    if len(tensors) != len(names) or not all(hasattr(one, "shape") and hasattr(one, "dtype") for one in tensors):
        raise errors.Invalid(f"{where}s are nested; they must be one tensor, a list, or a dictionary of tensors")
    found = []
    for name, one in zip(names, tensors, strict=True):
        kind = str(one.dtype)
        datatype = DATATYPES.get(kind) if kind not in _WIDER else _WIDER[kind] if what == "output" else None
        if datatype is None:
            raise errors.Invalid(f"{where} {name!r} is of the type {one.dtype}, which no datatype stands for")
        found.append(networks.tensor(where, name, datatype, one.shape))
    return networks.distinct(where, found)


def _flat(struct: Any) -> list[Any]:
    if isinstance(struct, Mapping):
        return list(struct.values())
    return list(struct) if isinstance(struct, list | tuple) else [struct]
