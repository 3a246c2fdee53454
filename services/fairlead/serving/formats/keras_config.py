"""Checks the configuration of a Keras model: every class and function that it names has to be one of Keras itself.

Keras builds a model by looking up the names in its configuration. Names of its layers are data. A Lambda layer holds
the bytecode of a function, and other names import modules, read files, or need a library that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from fairlead.serving.formats.archives import Broken

LAMBDA = "Lambda"
_DATA = frozenset({"__keras_tensor__", "__tensor__", "__numpy__", "__bytes__", "__ellipsis__", "__slice__"})
_MODELS = frozenset({"Functional", "Model", "Sequential"})
_OF_KERAS = _MODELS | {"DTypePolicy", "FloatDTypePolicy", "DTypePolicyMap", "QuantizedDTypePolicy"}
_SAFE_MODULES = re.compile(
    r"keras\.(layers|initializers|regularizers|constraints|dtype_policies"
    r"|src\.models\.(functional|sequential|model)|src\.ops\.(numpy|nn|math|linalg|image|einops))"
)
_FUNCTIONS = frozenset({"builtins", "keras.activations", "keras.initializers", "keras.regularizers"})
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_NO_DATA = frozenset({"TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"})
"""Layers that wrap code of a library."""
_WITH_FILES = frozenset({"StringLookup", "IntegerLookup", "TextVectorization"})
"""Layers that read files, and need TensorFlow."""


class Lambdas(Exception):
    """The model has Lambda layers, which nobody has allowed. `names` are those of the layers."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(", ".join(names))
        self.names = names


def check(config: Any, trusted: Collection[str]) -> bool:
    """Whether the model has Lambda layers, all of which `trusted` names. Raises Lambdas, or Broken for other code."""
    named = config.get("class_name") if isinstance(config, dict) else None
    if not isinstance(named, str) or named not in _MODELS:
        what = f"is a {str(named)[:60]}" if named else "is none"
        raise Broken(f"holds a model that {what}; only models of layers are served, Functional and Sequential")
    found: list[str] = []
    for one in _objects(config, found):
        _check_name(one)
    if refused := [name for name in dict.fromkeys(found) if name not in trusted]:
        raise Lambdas(refused)
    return bool(found)


def with_open_rows(config: Any) -> Any:
    """The same model, with a first dimension of any size: Keras notes the batch that a model was built with."""
    if isinstance(config, list):
        return [with_open_rows(one) for one in config]
    if not isinstance(config, Mapping):
        return config
    opened = {name: with_open_rows(one) for name, one in config.items() if name != "compile_config"}
    for name in ("batch_shape", "build_input_shape"):
        if isinstance(opened.get(name), list) and opened[name]:
            opened[name] = [None, *opened[name][1:]]
    return opened


def _objects(value: Any, lambdas: list[str]) -> Iterator[Mapping[str, Any]]:
    """All objects with a class, except those inside of Lambda layers, whose names are added to `lambdas`."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting.extend(one)
        if not isinstance(one, dict):
            continue
        if one.get("class_name") == LAMBDA:
            inner = one.get("config")
            lambdas.append(str(inner.get("name") if isinstance(inner, dict) else None))
            continue
        if "class_name" in one:
            yield one
        waiting.extend(part for name, part in one.items() if name != "compile_config")


def _check_name(one: Mapping[str, Any]) -> None:
    name, module, inner = one["class_name"], one.get("module"), one.get("config")
    if isinstance(name, str) and name in _DATA:
        return
    if not isinstance(name, str) or not isinstance(module, str | None) or not _NAME.fullmatch(name):
        raise Broken(f"names the class {str(name)[:60]!r}, which is none of Keras")
    if name in _NO_DATA:
        raise Broken(f"has a layer {name}, which runs code of another library")
    if name in _WITH_FILES:
        raise Broken(f"has a layer {name}, which reads files and needs TensorFlow")
    if isinstance(inner, dict) and inner.get("stateful"):
        raise Broken("has a layer that is stateful: an answer would depend on the rows that were asked before")
    if name == "function":
        is_known = module in _FUNCTIONS and isinstance(inner, str) and _NAME.fullmatch(inner) is not None
        name = str(inner)
    else:  # files of HDF5 name no modules
        is_known = module is None or bool(_SAFE_MODULES.fullmatch(module)) or (module == "keras" and name in _OF_KERAS)
        is_known = is_known and one.get("registered_name") in (None, name)
    if not is_known:
        raise Broken(f"needs {str(module)[:60]}.{name[:60]}, which is no layer or function of Keras")
