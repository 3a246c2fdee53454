"""The Open Inference Protocol (V2) for one model: one tensor per field of the row, or one matrix of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.serving import interpreter
from fairlead.serving.inference import contract, duplicates, lines, tensors
from fairlead.serving.inference.admission import DecodedRequest, Encode
from fairlead.serving.inference.bounds import Bounds
from fairlead.serving.inference.reading import Reader
from fairlead.serving.observe import metrics
from fairlead.serving.open_inference import array_inputs, binary_form
from fairlead.serving.open_inference.messages import InferRequest, InputTensor, OutputWanted, Parameters
from fairlead.serving.open_inference.responses import Responses

REPOSITORY_STATES = {
    "loading": "LOADING",
    "warming": "LOADING",
    "ready": "READY",
    "hanging": "UNAVAILABLE",
    "failed": "UNAVAILABLE",
    "draining": "UNLOADING",
}
"""The words of Triton's repository index for the phases of the service."""
_SHARED_MEMORY = "shared_memory_region"
_MEMBERS, _TENSOR_MEMBERS = 64, 16
"""Keys that any request may have, and keys more for each tensor of the model: members and parameters."""


class OpenInference:
    """Decodes and encodes tensors for one model, and describes its inputs and outputs."""

    def __init__(self, terms: contract.Contract, manifest: Manifest) -> None:
        self._terms = terms
        self.manifest = manifest
        self._responses = Responses(terms, manifest)
        self._arrays = array_inputs.ArrayInputs(terms)
        self.inputs = terms.fields
        self.outputs = tensors.of(terms.answer_type, "serialization", whole="answer")
        request = TypeAdapter(InferRequest)
        self.most_keys = _MEMBERS + _TENSOR_MEMBERS * (len(self.inputs) + len(self.outputs))
        """The most members and parameters that a request may have."""
        self._bounds = Bounds(request.core_schema, terms.limits, self.most_keys)
        self._request = Reader(request, self._bounds)
        self._input_names = {tensor.name: tensor for tensor in self.inputs}
        self._files = frozenset(tensor.name for tensor in self.inputs if tensor.is_file)
        self._output_names = {tensor.name: tensor for tensor in self.outputs}

    def metadata(self) -> dict[str, Any]:
        """The response of `GET /v2/models/{m}`."""
        return {
            "name": self.manifest.name,
            "versions": [self.manifest.version],
            "platform": f"fairlead_{self.manifest.format}",
            "inputs": [_described(tensor) for tensor in self.inputs],
            "outputs": [_described(tensor) for tensor in self.outputs],
        }

    def config(self) -> dict[str, Any]:
        """The response of `GET /v2/models/{m}/config`, in the form of Triton's model configuration."""
        return {
            "name": self.manifest.name,
            "platform": f"fairlead_{self.manifest.format}",
            "backend": "fairlead",
            "max_batch_size": self._terms.max_rows,
            "input": [{**_configured(tensor), "optional": not tensor.required} for tensor in self.inputs],
            "output": [_configured(tensor) for tensor in self.outputs],
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
            if tensor.whole or all(tensor.name in row for row in rows)
        ]

    def decode(self, body: bytes) -> DecodedRequest:
        """Decode rows from tensors. Raises Invalid, with the location in the request."""
        return self._decoded(self._read(body), {})

    def decode_mixed(self, header: bytes, body: bytes) -> DecodedRequest:
        """The same for a body of JSON and of tensors in binary form; `header` says where the JSON ends."""
        size = binary_form.json_size(header, body)
        request = self._read(body[:size])
        after = memoryview(body)[size:]
        raw = binary_form.divided(request.inputs, after)
        decoded = self._decoded(request, raw)
        binary_form.check_rest(raw, after)  # last: an input whose own size is wrong is named
        return decoded

    def _read(self, body: bytes) -> InferRequest:
        self._bounds.check_row(body)
        try:
            request = self._request.read(body)
        except ValidationError as problem:
            raise contract.invalid(self._request.complete(body, problem)) from None
        if interpreter.count(body, b":") != _keys(request):
            duplicates.check(body)
        return request

    def _decoded(self, request: InferRequest, raw: Mapping[int, memoryview]) -> DecodedRequest:
        """The rows of a request whose inputs of these indices are in binary form."""
        wanted = self.wanted(request.outputs or ())
        rows, memory = self.rows(request.inputs, raw)
        rows = self.ranked(rows, request.parameters)
        if binary := _binary(request, wanted):
            encode: Encode = partial(self._responses.as_mixed, request.id, wanted, binary)
        else:
            encode = partial(self._responses.as_json, request.id, wanted)
        return DecodedRequest(rows, encode, memory)

    def rows(self, inputs: Sequence[InputTensor], raw: Mapping[int, memoryview]) -> tuple[list[BaseModel], int | None]:
        """The rows of these inputs, and the memory that they need in bytes, if that does not follow from the rows.

        `raw` has the bytes of the inputs that are in binary form, by their index. Raises Invalid.
        """
        if not raw:
            return self._rows(inputs), None
        inputs = [
            one.model_copy(update={"parameters": _others(one.parameters)}) if index in raw else one
            for index, one in enumerate(inputs)
        ]
        if (found := self._arrays.rows(self._named(inputs), raw)) is not None:
            return found, array_inputs.memory(inputs, raw)
        elements = binary_form.elements(inputs, raw, self._files, self._terms.limits.values)
        return self._rows(
            [one.model_copy(update={"data": elements.get(index, one.data)}) for index, one in enumerate(inputs)]
        ), None

    def ranked(self, rows: list[BaseModel], parameters: Mapping[str, Any] | None) -> list[BaseModel]:
        """The rows, with the priority of the request if the model has priorities. Raises Invalid."""
        levels = self.manifest.batching.priorities
        return rows if levels == 1 else lines.ranked(rows, (parameters or {}).get(lines.PARAMETER), levels)

    def columns(self, wanted: Sequence[tensors.Tensor], answers: list[BaseModel]) -> list[binary_form.Column]:
        """These outputs in binary form, where they have one. Raises ModelFailed, or Invalid if they are too large."""
        return self._responses.columns(wanted, {tensor.name for tensor in wanted}, answers)

    def is_file(self, name: str) -> bool:
        """Whether the elements of the input of this name are files."""
        return name in self._files

    def wanted(self, outputs: Sequence[OutputWanted]) -> tuple[tensors.Tensor, ...]:
        """The outputs that a request asks for, or all. Raises Invalid."""
        seen: set[str] = set()
        for index, output in enumerate(outputs):
            if output.name not in self._output_names:
                known = ", ".join(self._output_names)
                raise errors.Invalid.at(
                    ("body", "outputs", index, "name"), f"no output has this name; there are {known}", "name"
                )
            if output.name in seen:
                raise errors.Invalid.at(("body", "outputs", index, "name"), "the output is asked for twice", "name")
            seen.add(output.name)
            # Ignoring one of these would give the caller something else than it asked for, without a word.
            for asked, means in ((_SHARED_MEMORY, "shared memory"), ("classification", "classification by the server")):
                if asked in (output.parameters or ()):
                    loc = ("body", "outputs", index, "parameters", asked)
                    raise errors.Invalid.at(loc, f"{means} is not supported; leave the parameter out", "not_supported")
        return tuple(self._output_names[output.name] for output in outputs) or self.outputs

    def _rows(self, inputs: Sequence[InputTensor]) -> list[BaseModel]:
        inputs = self._named(inputs)
        is_matrix = self._is_matrix(inputs)
        columns = self._matrix(inputs[0]) if is_matrix else self._columns(inputs)
        names = list(columns)
        if self.inputs and self.inputs[0].whole:
            (rows,) = columns.values()
        else:
            rows = [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        try:
            return self._terms.decode_objects(rows)
        except errors.Invalid as problem:
            raise _relocated(problem, names, is_matrix=is_matrix) from None

    def _named(self, inputs: Sequence[InputTensor]) -> Sequence[InputTensor]:
        """The inputs, with the field's name if there is one field of numbers: the only input is it, however named."""
        only = self._terms.positional.vector
        if len(inputs) == 1 and only is not None:
            return [inputs[0].model_copy(update={"name": only.name})]
        return inputs

    def _is_matrix(self, inputs: Sequence[InputTensor]) -> bool:
        """Whether the only input has all fields as its columns: not named like a field, and two dimensions."""
        is_named = inputs[0].name in self._input_names
        return len(inputs) == 1 and not is_named and len(inputs[0].shape) == 2 and bool(self._terms.positional.scalars)

    def _matrix(self, given: InputTensor) -> dict[str, list[Any]]:
        """The columns of a matrix, by the name of the field."""
        fields = self._terms.positional.scalars
        count = self._row_count(given)
        loc = ("body", "inputs", 0)
        if given.shape[1] != len(fields):
            names = ", ".join(field.name for field in fields)
            raise errors.Invalid.at(
                (*loc, "shape", 1), f"must be {len(fields)}: one column per field, in the order {names}", "shape"
            )
        flat = tensors.flat(_data(given, loc), (count, len(fields)), (*loc, "data"))
        for field in fields:
            _check_datatype(field, given, loc)
        return {
            field.name: tensors.values(
                field, flat[number :: len(fields)], count, (*loc, "data"), given.datatype, number, len(fields)
            )
            for number, field in enumerate(fields)
        }

    def _columns(self, inputs: Sequence[InputTensor]) -> dict[str, list[Any]]:
        """The columns of the fields, by name."""
        self._check_names(inputs)
        count = self._row_count(inputs[0])
        columns = {}
        for index, given in enumerate(inputs):
            tensor = self._input_names[given.name]
            loc = ("body", "inputs", index)
            _check_datatype(tensor, given, loc)
            data = _data(given, loc)
            if given.shape != [count, *tensor.shape]:
                # Many clients send a column of n scalars with shape [n, 1].
                if tensor.shape or given.shape != [count, 1]:
                    raise errors.Invalid.at((*loc, "shape"), f"must be {[count, *tensor.shape]}", "shape")
                data = [_unpacked(value) for value in data]
            columns[given.name] = tensors.values(tensor, data, count, (*loc, "data"), given.datatype)
        return columns

    def _row_count(self, given: InputTensor) -> int:
        count = given.shape[0]
        if not 1 <= count <= self._terms.max_rows:
            raise errors.Invalid.at(
                ("body", "inputs", 0, "shape", 0), f"must be between 1 and {self._terms.max_rows} rows", "row_count"
            )
        return count

    def _check_names(self, inputs: Sequence[InputTensor]) -> None:
        seen: set[str] = set()
        for index, given in enumerate(inputs):
            if given.name not in self._input_names:
                raise errors.Invalid.at(("body", "inputs", index, "name"), self._no_such_input(given), "name")
            if given.name in seen:
                raise errors.Invalid.at(("body", "inputs", index, "name"), "the input is given twice", "name")
            seen.add(given.name)
        for tensor in self.inputs:
            if tensor.required and tensor.name not in seen:
                raise errors.Invalid.at(("body", "inputs"), f"input {tensor.name!r} is missing", "missing")

    def _no_such_input(self, given: InputTensor) -> str:
        names = ", ".join(self._input_names)
        text = f"the model has no input of this name; its inputs are {names}, one tensor each"
        if width := len(self._terms.positional.scalars):
            return f"{text}, or all of them as one tensor of shape [{given.shape[0]}, {width}] in this order"
        return text


def _keys(request: InferRequest) -> int:
    """The number of keys that a request without nested or unknown objects has."""
    parts: list[InferRequest | InputTensor | OutputWanted] = [request, *request.inputs, *(request.outputs or ())]
    return sum([len(part.__pydantic_fields_set__) + len(part.parameters or ()) for part in parts])


def _others(parameters: Parameters | None) -> Parameters:
    """The parameters of an input but for the size of its elements, which are read."""
    return {name: value for name, value in (parameters or {}).items() if name != binary_form.SIZE}


def _binary(request: InferRequest, wanted: Sequence[tensors.Tensor]) -> frozenset[str]:
    """The names of the outputs that are to be binary."""
    binary_form.check_switch(request.parameters, binary_form.BINARY_OUTPUT, ("body",))
    for index, output in enumerate(request.outputs or ()):
        binary_form.check_switch(output.parameters, binary_form.BINARY_DATA, ("body", "outputs", index))
    otherwise = (request.parameters or {}).get(binary_form.BINARY_OUTPUT)
    asked = {output.name: output.parameters for output in request.outputs or ()}
    return frozenset(one.name for one in wanted if binary_form.wants_binary(asked.get(one.name), otherwise))


def _check_datatype(tensor: tensors.Tensor, given: InputTensor, loc: tuple[str | int, ...]) -> None:
    if not tensor.takes(given.datatype):
        other = ", or another type of number" if tensor.is_number else ""
        raise errors.Invalid.at((*loc, "datatype"), f"must be {tensor.datatype}{other}", "datatype")


def _data(given: InputTensor, loc: tuple[str | int, ...]) -> list[Any]:
    """The elements of a tensor. Raises Invalid if the request has none, or has them elsewhere."""
    parameters = given.parameters or {}
    if _SHARED_MEMORY in parameters:
        raise errors.Invalid.at((*loc, "parameters", _SHARED_MEMORY), "shared memory is not supported", "not_supported")
    if parameters.get(binary_form.SIZE) is not None:
        msg = f"the request has no header {binary_form.HEADER.decode()}, which says where the binary data begins"
        raise errors.Invalid.at((*loc, "parameters", binary_form.SIZE), msg, "binary_without_header")
    if given.data is None:
        raise errors.Invalid.at((*loc, "data"), "a list of elements is required", "missing")
    return given.data


def statistics(totals: metrics.Totals) -> dict[str, Any]:
    """The counts of one process in the form of Triton's statistics extension; durations in nanoseconds.

    The time of decoding and encoding is only in `success`, with that of failed requests: it is not measured apart.
    """
    durations = {
        "success": (totals.answered, totals.request_s),
        "fail": (totals.not_answered, 0.0),
        "queue": (totals.queued, totals.queue_s),
        "compute_input": (totals.answered, 0.0),
        "compute_infer": (totals.batches, totals.compute_s),
        "compute_output": (totals.answered, 0.0),
    }
    return {
        "inference_count": totals.rows,
        "execution_count": totals.batches,
        "inference_stats": {name: {"count": n, "ns": round(s * 1e9)} for name, (n, s) in durations.items()},
        "batch_stats": [],
    }


def _configured(tensor: tensors.Tensor) -> dict[str, Any]:
    """A tensor in Triton's model configuration, whose dimensions leave out the batch and may not be empty."""
    data_type = "TYPE_STRING" if tensor.datatype == "BYTES" else f"TYPE_{tensor.datatype}"
    dims = {"dims": list(tensor.shape)} if tensor.shape else {"dims": [1], "reshape": {"shape": []}}
    return {"name": tensor.name, "data_type": data_type, **dims}


def _described(tensor: tensors.Tensor) -> dict[str, Any]:
    described: dict[str, Any] = {"name": tensor.name, "datatype": tensor.datatype, "shape": [-1, *tensor.shape]}
    if tensor.json:
        described["parameters"] = {"content_type": "application/json"}
    return described


def _unpacked(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _relocated(problem: errors.Invalid, names: Sequence[str], *, is_matrix: bool) -> errors.Invalid:
    """Change the locations of a row's errors to the tensors of the request, such as element 3 of a field's data."""
    details = []
    for detail in problem.details:
        loc, msg = detail.loc, detail.msg
        match loc:
            case ("body", int(row), str(name), *rest) if is_matrix and name in names:
                loc = ("body", "inputs", 0, "data", row * len(names) + names.index(name), *rest)
                msg = f"{name}: {msg}"
            case ("body", int(row), str(name), *rest) if name in names:
                loc = ("body", "inputs", names.index(name), "data", row, *rest)
        details.append(errors.Detail(loc, msg, detail.type))
    where = ".".join(str(part) for part in details[0].loc)
    return errors.Invalid(f"{where}: {details[0].msg}", details=details)
