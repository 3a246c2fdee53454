"""Author's classes with `predict_tensors`: networks whose code is in the model folder.

The manifest's `inputs` and `outputs` are the types of such a class. So it is served as a network is: tensors that
arrive in binary form stay arrays on their way to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from fairlead import errors
from fairlead.contracts.manifest import Manifest, Tensor
from fairlead.model import Model
from fairlead.serving.formats import methods, networks
from fairlead.serving.formats.datatypes import BF16, from_bf16
from fairlead.serving.formats.row_forms import RowForm

_EXAMPLE = "`inputs: [{name: x, datatype: FP32, shape: [-1, 3]}]`"


def model_class(manifest: Manifest, author: type[Model[Any, Any]]) -> type[Model[Any, Any]]:
    """A model class that calls `predict_tensors` of the author's class. Raises Invalid if the manifest does not fit."""
    for part, tensors in (("inputs", manifest.inputs), ("outputs", manifest.outputs)):
        if not tensors:
            raise errors.Invalid(
                f"fairlead.yaml: {part}: {author.__name__} defines predict_tensors, and the manifest has no `{part}`",
                hint=f"Declare the name, datatype and shape of each tensor: {_EXAMPLE}.",
            )
        if taken := [one.name for one in tensors if one.name[0] == "_" or hasattr(BaseModel, one.name)]:
            raise errors.Invalid(
                f"fairlead.yaml: {part}: {taken[0]!r} cannot be a field's name", hint="Choose another name."
            )
        networks.check_sizes(f"fairlead.yaml: {part}:", tensors)
    if wrong := [one.name for one in manifest.inputs if one.nullable or one.column or one.column_type]:
        raise errors.Invalid(
            f"fairlead.yaml: inputs: {wrong[0]!r} has null or a column, and arrays have neither",
            hint="Leave nullable, column and column_type out, or write predict_frame, which gets a table.",
        )
    if methods.explains(author):
        raise errors.Invalid(
            f"fairlead.yaml: entry: {author.__name__} defines explain, which gets rows, and predict_tensors",
            hint="Leave one of them out: only a class with types of rows can explain.",
        )
    return networks.model_class(manifest, _Class(author))


class _Class:
    """The author's class as a format: an object of it reads the artifact itself."""

    def __init__(self, author: type[Model[Any, Any]]) -> None:
        self._author = author

    def read(self, artifact: Path) -> networks.Network:
        """The loaded model, as a network. May raise any exception."""
        model = self._author()
        model.load(artifact)
        return _Network(model)

    def write(self, value: Any, artifact: Path) -> None:
        """Nothing: the format of the manifest writes its artifact."""
        raise NotImplementedError


class _Network:
    """A model as a network. The manifest alone says what its tensors are."""

    inputs: tuple[Tensor, ...] | None = None
    outputs: tuple[Tensor, ...] | None = None
    unstated: frozenset[str] = frozenset()
    row_form = RowForm.OF_A_BATCH

    def __init__(self, model: Model[Any, Any]) -> None:
        self._predict = model.predict_tensors

    def run(self, arrays: Mapping[str, np.ndarray], wanted: Sequence[str]) -> Sequence[Any]:
        """The wanted outputs. Raises ModelFailed if the model returns something else than a dictionary with them."""
        given = {name: from_bf16(array) if array.dtype == BF16 else array for name, array in arrays.items()}
        found: Any = self._predict(given)
        if not isinstance(found, Mapping):
            raise errors.ModelFailed(
                f"predict_tensors returned a {type(found).__name__}, not a dictionary with an array for each output"
            )
        if missing := [name for name in wanted if name not in found]:
            has = ", ".join(map(str, found)) or "nothing"
            raise errors.ModelFailed(f"predict_tensors returned {has}, and without {', '.join(missing)}")
        return [found[name] for name in wanted]
