"""The Open Inference Protocol (V2) over REST with JSON tensors: one tensor per field of the row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.serving.http import endpoint
from fairlead.serving.inference import contract, tensors


class _StrictModel(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class InputTensor(_StrictModel):
    """One field of every row."""

    name: str
    shape: list[int] = Field(description="The number of rows, then the field's own shape.", min_length=1, max_length=8)
    datatype: str
    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict)
    data: list[Any] = Field(description="Elements in row-major order, flat or nested.")


class OutputWanted(_StrictModel):
    """The name of an output the caller wants."""

    name: str
    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict)


class InferRequest(_StrictModel):
    """An inference request."""

    id: str | None = Field(default=None, max_length=256)
    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict)
    inputs: list[InputTensor] = Field(min_length=1)
    outputs: list[OutputWanted] = Field(default_factory=list, description="Empty: all outputs.")


class OutputTensor(BaseModel):
    """One field of every answer."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class InferResponse(BaseModel):
    """The answers to an inference request."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class OpenInference:
    """Decodes and encodes tensors for one model, and describes its inputs and outputs."""

    def __init__(self, terms: contract.Contract, manifest: Manifest) -> None:
        self._terms = terms
        self._manifest = manifest
        self._request = TypeAdapter(InferRequest)
        self.inputs = tensors.of(terms.row_type)
        self.outputs = tensors.of(terms.answer_type, mode="serialization")
        self._input_names = {tensor.name: tensor for tensor in self.inputs}
        self._output_names = {tensor.name: tensor for tensor in self.outputs}

    def metadata(self) -> dict[str, Any]:
        """The response of `GET /v2/models/{m}`."""
        return {
            "name": self._manifest.name,
            "versions": [self._manifest.version],
            "platform": f"fairlead_{self._manifest.format}",
            "inputs": [_described(tensor) for tensor in self.inputs],
            "outputs": [_described(tensor) for tensor in self.outputs],
        }

    def as_tensors(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows as the inputs of a request. A field that any of the rows lacks is left out."""
        return [
            {
                "name": tensor.name,
                "shape": [len(rows), *tensor.shape],
                "datatype": tensor.datatype,
                "data": tensors.column(tensor, rows),
            }
            for tensor in self.inputs
            if all(tensor.name in row for row in rows)
        ]

    def decode(self, body: bytes) -> endpoint.DecodedRequest:
        """Decode rows from tensors. Raises Invalid, with the location in the request."""
        try:
            request = self._request.validate_json(body)
        except ValidationError as problem:
            raise contract.invalid(problem) from None
        wanted = self._wanted(request.outputs)
        rows = self._rows(request.inputs)
        return endpoint.DecodedRequest(rows, partial(self._encode, request.id, wanted))

    def _wanted(self, outputs: Sequence[OutputWanted]) -> tuple[tensors.Tensor, ...]:
        for index, output in enumerate(outputs):
            if output.name not in self._output_names:
                known = ", ".join(self._output_names)
                raise _wrong(("body", "outputs", index, "name"), f"no output has this name; there are {known}", "name")
        return tuple(self._output_names[output.name] for output in outputs) or self.outputs

    def _rows(self, inputs: Sequence[InputTensor]) -> list[BaseModel]:
        self._check_names(inputs)
        count = inputs[0].shape[0]
        if not 1 <= count <= self._terms.max_rows:
            raise _wrong(
                ("body", "inputs", 0, "shape", 0), f"must be between 1 and {self._terms.max_rows} rows", "row_count"
            )
        columns = {}
        for index, given in enumerate(inputs):
            tensor = self._input_names[given.name]
            loc = ("body", "inputs", index)
            if given.datatype != tensor.datatype:
                raise _wrong((*loc, "datatype"), f"must be {tensor.datatype}", "datatype")
            if given.shape != [count, *tensor.shape]:
                # Many clients send a column of n scalars with shape [n, 1].
                if tensor.shape or given.shape != [count, 1]:
                    raise _wrong((*loc, "shape"), f"must be {[count, *tensor.shape]}", "shape")
                given = given.model_copy(update={"data": [_unpacked(value) for value in given.data]})
            columns[given.name] = tensors.values(tensor, given.data, count, (*loc, "data"))
        names = list(columns)
        rows = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        try:
            return self._terms.decode_many(orjson.dumps(rows))
        except errors.Invalid as problem:
            raise _relocated(problem, names) from None

    def _check_names(self, inputs: Sequence[InputTensor]) -> None:
        seen: set[str] = set()
        for index, given in enumerate(inputs):
            if given.name not in self._input_names:
                raise _wrong(("body", "inputs", index, "name"), "the model has no input of this name", "name")
            if given.name in seen:
                raise _wrong(("body", "inputs", index, "name"), "the input is given twice", "name")
            seen.add(given.name)
        for tensor in self.inputs:
            if tensor.required and tensor.name not in seen:
                raise _wrong(("body", "inputs"), f"input {tensor.name!r} is missing", "missing")

    def _encode(self, request_id: str | None, wanted: Sequence[tensors.Tensor], answers: list[BaseModel]) -> bytes:
        self._terms.check_finite(answers)
        documents = [answer.model_dump(mode="json") for answer in answers]
        response: dict[str, Any] = {"model_name": self._manifest.name, "model_version": self._manifest.version}
        if request_id is not None:
            response["id"] = request_id
        response["outputs"] = [
            {
                "name": tensor.name,
                "shape": [len(answers), *tensor.shape],
                "datatype": tensor.datatype,
                "data": tensors.column(tensor, documents),
            }
            for tensor in wanted
        ]
        return orjson.dumps(response)


def _described(tensor: tensors.Tensor) -> dict[str, Any]:
    described: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": [-1, *tensor.shape]}
    if tensor.json:
        described["parameters"] = {"content_type": "application/json"}
    return described


def _unpacked(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _relocated(problem: errors.Invalid, names: Sequence[str]) -> errors.Invalid:
    """Change the locations of a row's errors to the tensors of the request, such as element 3 of a field's data."""
    details = []
    for detail in problem.details:
        match detail.loc:
            case ("body", int(row), str(name), *rest) if name in names:
                loc = ("body", "inputs", names.index(name), "data", row, *rest)
            case _:
                loc = detail.loc
        details.append(errors.Detail(loc, detail.msg, detail.type))
    where = ".".join(str(part) for part in details[0].loc)
    return errors.Invalid(f"{where}: {details[0].msg}", details=details)


def _wrong(loc: tuple[str | int, ...], msg: str, kind: str) -> errors.Invalid:
    where = ".".join(str(part) for part in loc)
    return errors.Invalid(f"{where}: {msg}", details=(errors.Detail(loc, msg, kind),))
