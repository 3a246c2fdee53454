"""Models without a class: builds the types and a `fairlead.Model` from the manifest's `inputs` and `outputs`.

Each input is one field of the row. Its first dimension, -1, is the batch; the others are the shape within one row.
Nested lists of an open shape have one length on each axis.
One that is `nullable` may be null or left out; one with `choices` has no other value.
`estimator_input` makes the estimator's argument of them, `estimator_output` reads what it returns. An output that is
named like a method of the estimator (`predict_proba`, `decision_function`, `transform`) gets the result of that method,
any other the result of `predict`.
"""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, ValidationError, create_model
from pydantic_core import PydanticCustomError

from fairlead import errors
from fairlead.contracts.manifest import Manifest, Tensor
from fairlead.model import Model
from fairlead.serving.formats import base, datatypes, estimator_columns, estimator_input, estimator_output, top_labels
from fairlead.serving.inputs.image_field import ImageField

METHODS = frozenset({"predict", "predict_proba", "predict_log_proba", "decision_function", "transform"})


def row_type(manifest: Manifest) -> type[BaseModel]:
    """The row type that `inputs` declares. Its integers are limited to those that the estimator's array has."""
    return object_type("Row", manifest.inputs, held=estimator_columns.array_type(manifest.inputs).name)


def answer_type(manifest: Manifest) -> type[BaseModel]:
    """The answer type that `outputs` declares."""
    return object_type("Answer", manifest.outputs)


def model_class(manifest: Manifest, adapter: base.Format) -> type[Model[Any, Any]]:
    """A model class that reads the estimator from the artifact with `adapter` and calls it. Raises Invalid."""
    _check_inputs(manifest)

    class Declared(_Declared):
        def load(self, artifact: Path) -> None:
            self.outputs = manifest.outputs
            self.estimator = adapter.read(artifact)
            self.convert = estimator_input.of(self.estimator, manifest.inputs)

    Declared.row_type, Declared.answer_type = row_type(manifest), answer_type(manifest)
    return Declared


class _Declared(Model[BaseModel, BaseModel]):
    """Calls an estimator with the declared inputs and returns the declared outputs."""

    outputs: tuple[Tensor, ...]
    estimator: Any
    convert: estimator_input.Convert

    def predict(self, rows: list[BaseModel]) -> list[BaseModel]:
        """Call the methods that the outputs name, each once, for the whole batch."""
        # Each call gets an argument of its own: an estimator may change it in place (`StandardScaler(copy=False)`).
        methods = dict.fromkeys(map(_method, self.outputs))
        results = {method: getattr(self.estimator, method)(self.convert(rows)) for method in methods}
        columns = {output.name: self._column(results, output, len(rows)) for output in self.outputs}
        answers = zip(*columns.values(), strict=True)
        try:
            return [self.answer_type.model_validate(dict(zip(columns, answer, strict=True))) for answer in answers]
        except ValidationError as cause:
            raise not_of_the_type(cause, "estimator") from None

    def _column(self, results: Mapping[str, Any], output: Tensor, rows: int) -> list[Any]:
        method = _method(output)
        return datatypes.elements(estimator_output.by_row(results[method], method, output, rows), output)


def not_of_the_type(problem: ValidationError, owner: str, depth: int = 0) -> errors.ModelFailed:
    """The error for an answer of the `owner` that its type refuses. `depth`: how many places are before the output."""
    wrong = problem.errors()[0]
    where = ".".join(map(str, wrong["loc"][depth:]))
    return errors.ModelFailed(f"output {where}: the {owner}'s answer is not of the declared type: {wrong['msg']}")


def object_type(
    name: str,
    tensors: Sequence[Tensor],
    held: str = "",
    checks: Mapping[str, AfterValidator] = types.MappingProxyType({}),
    base: type[BaseModel] = BaseModel,
) -> type[BaseModel]:
    """A pydantic model with one field for each tensor. `held` is that of the array that gets them, if it has one.

    `checks` are further validators of fields.
    """
    fields: dict[str, Any] = {}
    for tensor in tensors:
        kind = _type_of(tensor, tensor.column_type or held)
        if tensor.name in checks:
            kind = Annotated[kind, checks[tensor.name]]
        if tensor.nullable:
            # `nullable` says to `inference.tensors` that a null is an element of the tensor, not the JSON text "null".
            said = Field(default=None, description=tensor.description, json_schema_extra={"nullable": True})
            fields[tensor.name] = (kind | None, said)
        else:
            fields[tensor.name] = (kind, Field(description=tensor.description))
    return create_model(name, __base__=base, **fields)


def _type_of(tensor: Tensor, held: str) -> Any:
    if tensor.image is not None:
        return Annotated[Any, ImageField(tensor.image, tensor.shape)]
    if tensor.labels is not None:
        return top_labels.answer_type(tensor.labels)
    if tensor.choices:
        return datatypes.choice_type(tensor.datatype, tensor.choices)
    value: Any = datatypes.field_type(tensor.datatype, held, tensor.minimum, tensor.maximum)
    last = len(tensor.shape) - 1
    longest = tensor.padding.to[-1] if tensor.padding and tensor.padding.to else None
    for axis in range(last, 0, -1):
        size = tensor.shape[axis]
        # An empty list of lists does not say how long those are.
        least = size if size != -1 else int(axis < last)
        most = size if size != -1 else longest
        value = Annotated[types.GenericAlias(list, (value,)), Field(min_length=least or None, max_length=most)]
    return Annotated[value, AfterValidator(partial(_regular, last))] if -1 in tensor.shape[2:] else value


def _regular(axes: int, value: list[Any]) -> list[Any]:
    """The nested lists. Raises PydanticCustomError unless those of each axis have one length: others are no tensor."""
    lists = value
    for _ in range(axes - 1):
        if len(set(map(len, lists))) > 1:
            raise PydanticCustomError("ragged_list", "The lists inside should have the same length")
        lists = list(chain.from_iterable(lists))
    return value


def _check_inputs(manifest: Manifest) -> None:
    if len(manifest.inputs) > 1 and (lists := [one.name for one in manifest.inputs if len(one.shape) > 1]):
        raise errors.Invalid(
            f"fairlead.yaml: inputs: without `entry`, {lists[0]} can only be the one input: it has several values per "
            "row, and there are others beside it",
            hint="Give each column an input of its own, or write a model.py with a fairlead.Model, and name the class "
            "in `entry`.",
        )


def _method(output: Tensor) -> str:
    return output.name if output.name in METHODS else "predict"
