"""Models without a class whose artifact is a network: named tensors in, named tensors out, the first axis the rows.

`signature` makes `inputs` and `outputs` of what the artifact says, `agreed` compares them with those of the manifest,
and `model_class` calls the network: each field of the rows becomes one array of its own datatype. Rows whose lists have
different lengths are padded, where the manifest says so, or computed in groups, because an array has one shape.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from pydantic import BaseModel, TypeAdapter, ValidationError

from fairlead import errors
from fairlead.contracts.manifest import Manifest, Tensor
from fairlead.model import Model
from fairlead.serving.formats import (
    array_rows,
    base,
    datatypes,
    declared,
    estimator_output,
    padding,
    shared_dimensions,
    top_labels,
)
from fairlead.serving.formats.row_forms import RowForm
from fairlead.serving.inputs import pixel_arrays

MAX_VALUES = 2**22
"""The most values of one row in one tensor: an image of 1024 x 1024 pixels in four channels."""
MAX_TENSORS = 1024
_NAME = re.compile(r"[^A-Za-z0-9_.-]")


class Network(Protocol):
    """A loaded network. Its tensors have the names of the row's and the answer's fields.

    Arrays of BF16 have the type `datatypes.BF16` where it gets them, and may have any where it returns them.
    `inputs` and `outputs` are those that it states, or None; the answers of outputs in `unstated` have to show theirs.
    `row_form` says what a row is of the tensors that `run` takes and returns.
    """

    inputs: tuple[Tensor, ...] | None
    outputs: tuple[Tensor, ...] | None
    unstated: frozenset[str]
    row_form: RowForm

    def run(self, arrays: Mapping[str, np.ndarray], wanted: Sequence[str]) -> Sequence[Any]:
        """The wanted outputs of one call. May raise any exception."""


def field_name(name: str) -> str:
    """The name of a tensor as that of a field: `input_1:0` is `input_1_0`."""
    name = _NAME.sub("_", name)[:64]
    if not name or not (name[0].isalpha()):
        name = f"x{name}"[:64]
    return f"{name[:63]}_" if hasattr(BaseModel, name) else name


def tensor(where: str, name: str, datatype: str, shape: Sequence[int | None] | None) -> Tensor:
    """A tensor as the manifest would declare it. Raises Invalid, which begins with `where`, if it cannot be served."""
    if shape is None:
        raise errors.Invalid(
            f"{where} {name!r} does not say its shape", hint="Declare `inputs` and `outputs` in fairlead.yaml."
        )
    if not shape or shape[0] is not None:
        has = f"the fixed size {shape[0]}" if shape else "no dimension"
        raise errors.Invalid(
            f"{where} {name!r} has {has} where the rows of a batch must be: its first dimension must be open",
            hint="Export the model with a first dimension without a size: `dynamic_shapes` of torch.onnx.export, "
            "`FloatTensorType([None, 4])` of skl2onnx.",
        )
    sizes = (-1, *(-1 if size is None else size for size in shape[1:]))
    try:
        found = Tensor.model_validate({"name": field_name(name), "datatype": datatype, "shape": sizes})
    except ValidationError as cause:
        raise errors.Invalid(f"{where} {name!r}: {cause.errors()[0]['msg']}") from None
    _check_size(where, found)
    return found


def distinct(where: str, tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The tensors. Raises Invalid if there are none, too many, or two would have the same field."""
    found = tuple(tensors)
    names = [one.name for one in found]
    if not found or len(found) > MAX_TENSORS:
        raise errors.Invalid(f"{where}s: there are {len(found)}; a model has 1 to {MAX_TENSORS}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise errors.Invalid(f"{where}s: two would be the field {twice[0]!r}; rename one in the model")
    return found


def agreed(part: str, stated: Sequence[Tensor], own: Sequence[Tensor]) -> None:
    """Raise Invalid unless what the manifest states fits the network's own. Outputs may be left out, inputs may not.

    The manifest may fix a size that the network leaves open, and may leave out last dimensions of 1. It may leave a
    size open to which the input is always padded, and one of an output that is cut.
    """
    by_name = {one.name: one for one in own}
    missing = [name for name in by_name if part == "inputs" and name not in {one.name for one in stated}]
    unknown = [one.name for one in stated if one.name not in by_name]
    listed = ", ".join(f"{one.name} {one.datatype} {list(one.shape)}" for one in own)
    hint = f"The model has the {part} {listed}."
    if missing or unknown:
        what = "; ".join(
            f"{kind} {', '.join(those)}" for kind, those in (("missing:", missing), ("unknown:", unknown)) if those
        )
        raise errors.Invalid(f"fairlead.yaml: {part}: {what}", hint=hint)
    for one in stated:
        has = by_name[one.name]
        _check_size(f"fairlead.yaml: {part}:", one)
        wider = (*one.shape, *has.shape[len(one.shape) :])
        fits = len(wider) == len(has.shape) and set(has.shape[len(one.shape) :]) <= {1}
        if (
            one.datatype != has.datatype
            or not fits
            or any(not _fits(one, a, b) for a, b in zip(wider, has.shape, strict=True))
        ):
            raise errors.Invalid(
                f"fairlead.yaml: {part}: {one.name} is {one.datatype} {list(one.shape)}, "
                f"and in the model {has.datatype} {list(has.shape)}",
                hint=hint,
            )


def _fits(stated: Tensor, size: int, own: int) -> bool:
    if size == -1 and own != -1:
        return bool(stated.cut_to) or (stated.padding is not None and stated.padding.to == (own,))
    return own in (-1, size)


def model_class(
    manifest: Manifest,
    adapter: base.Format,
    dimensions: shared_dimensions.Names = MappingProxyType({}),
    labels: top_labels.Names = MappingProxyType({}),
) -> type[Model[Any, Any]]:
    """A model class that reads the network from the artifact with `adapter` and calls it.

    Open dimensions of the inputs that have one name in `dimensions` must have one size in each row. `labels` are those
    of the outputs that the manifest says have some.
    """

    padding.check_shared(manifest.inputs, dimensions)

    class Declared(Networked):
        def load(self, artifact: Path) -> None:
            self.open(adapter.read(artifact), manifest, labels)

    Declared.row_type = declared.object_type(
        "Row",
        manifest.inputs,
        checks=shared_dimensions.checks(manifest.inputs, dimensions),
        base=array_rows.base_of(manifest.inputs),
    )
    Declared.answer_type = declared.object_type("Answer", manifest.outputs)
    return Declared


class Networked(Model[BaseModel, BaseModel]):
    """Calls a network with one array for each field of the rows."""

    def open(self, network: Network, manifest: Manifest, labels: top_labels.Names = MappingProxyType({})) -> None:
        """Keep the network. Raises Invalid if it does not fit the manifest."""
        if network.inputs is not None:
            agreed("inputs", manifest.inputs, network.inputs)
        if network.outputs is not None:
            agreed("outputs", [one for one in manifest.outputs if one.name not in network.unstated], network.outputs)
        shapes = {one.name: one.shape for one in network.inputs or manifest.inputs}
        by_name = {one.name: one for one in manifest.inputs}
        self.network = network
        self._readers = [
            (one.name, pixel_arrays.reader(one, one.image) if one.image else _reader(one, shapes[one.name]))
            for one in manifest.inputs
        ]
        self._separate = padding.separate(manifest.inputs)
        self._cuts = [(place, one, by_name[one.cut_to]) for place, one in enumerate(manifest.outputs) if one.cut_to]
        self._columns = [
            top_labels.column(one, one.labels, labels[one.name]) if one.labels else partial(column, one)
            for one in manifest.outputs
        ]
        self._wanted = [one.name for one in manifest.outputs]
        self._read: Callable[[Any], list[BaseModel]] = TypeAdapter(list[self.answer_type]).validate_python  # type: ignore[name-defined]

    def predict(self, rows: list[BaseModel]) -> list[BaseModel]:
        """Call the network once for the whole batch, or once for each shape of rows that are of different ones.

        What is padded has one shape. A network that was exported for one row is called once for each.
        """
        if self.network.row_form.is_a_call:
            return [answer for row in rows for answer in self._computed([row])]
        if not self._separate or len(rows) == 1:
            return self._computed(rows)
        groups: dict[Any, list[int]] = {}
        for place, row in enumerate(rows):
            groups.setdefault(tuple(padding.sizes(getattr(row, name)) for name in self._separate), []).append(place)
        if len(groups) == 1:
            return self._computed(rows)
        answers: dict[int, BaseModel] = {}
        for places in groups.values():
            answers.update(zip(places, self._computed([rows[place] for place in places]), strict=True))
        return [answers[place] for place in range(len(rows))]

    def arrays(self, rows: Sequence[BaseModel]) -> dict[str, np.ndarray]:
        """The network's arguments: an array for each field. The rows are of one shape."""
        return {name: read(rows) for name, read in self._readers}

    def _computed(self, rows: Sequence[BaseModel]) -> list[BaseModel]:
        results = self.network.row_form.run(self.network.run, self.arrays(rows), self._wanted)
        columns = [values(result, len(rows)) for values, result in zip(self._columns, results, strict=True)]
        for place, output, source in self._cuts:
            columns[place] = padding.cut(output, columns[place], source, [getattr(row, source.name) for row in rows])
        names = self._wanted
        try:
            return self._read([dict(zip(names, answer, strict=True)) for answer in zip(*columns, strict=True)])
        except ValidationError as cause:
            raise declared.not_of_the_type(cause, "model", depth=1) from None


def _reader(stated: Tensor, shape: tuple[int, ...]) -> Callable[[Sequence[BaseModel]], np.ndarray]:
    """The function that makes the network's array, of this shape, of the rows' values."""
    values, dtype = operator.attrgetter(stated.name), datatypes.array_type(stated.datatype)
    ones, is_bf16 = shape[len(stated.shape) :], stated.datatype == "BF16"
    stack: Callable[..., np.ndarray] = np.array if stated.padding is None else partial(padding.array, stated)

    def to_array(rows: Sequence[BaseModel]) -> np.ndarray:
        array = stack([values(row) for row in rows], dtype=dtype)
        if is_bf16:
            array = datatypes.to_bf16(array)
        return array.reshape(*array.shape, *ones) if ones else array

    return to_array


def column(output: Tensor, result: Any, rows: int) -> list[Any]:
    """One output of a batch as a list with the value of each row. Raises ModelFailed if it is not as declared."""
    array = estimator_output.by_row(result, f"output {output.name}", output, rows)
    if array.dtype == datatypes.array_type(output.datatype) and output.datatype != "BF16":
        listed: list[Any] = array.tolist()
        return listed
    return datatypes.elements(array, output)


def check_sizes(where: str, tensors: Iterable[Tensor]) -> None:
    """Raise Invalid, which begins with `where`, if a row of one of the tensors is too large."""
    for one in tensors:
        _check_size(where, one)


def _check_size(where: str, one: Tensor) -> None:
    count = math.prod(size for size in one.shape[1:] if size > 0)
    if count > MAX_VALUES:
        raise errors.Invalid(
            f"{where} {one.name!r} has {count} values in each row, more than {MAX_VALUES}",
            hint="Give the model less in one row, or write a model.py that reads the row from elsewhere.",
        )
