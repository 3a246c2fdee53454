"""`Codec`: the rows of a ModelInferRequest, and the ModelInferResponse with their answers, for one model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from pydantic import BaseModel, ValidationError

from fairlead import errors
from fairlead.contracts.columns import FLOATS
from fairlead.serving.grpc import wire
from fairlead.serving.grpc.definitions import message
from fairlead.serving.inference import binary_tensors, contract, tensors
from fairlead.serving.inference.admission import DecodedRequest
from fairlead.serving.open_inference.interface import OpenInference
from fairlead.serving.open_inference.messages import MAX_DIMENSIONS, InferRequest

CONTENTS: Mapping[str, str] = {
    "BOOL": "bool_contents",
    "BYTES": "bytes_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    **{f"INT{bits}": "int_contents" for bits in (8, 16, 32)},
    "INT64": "int64_contents",
    **{f"UINT{bits}": "uint_contents" for bits in (8, 16, 32)},
    "UINT64": "uint64_contents",
}
"""The field of InferTensorContents for each datatype."""
_BINARY_ONLY = frozenset({"BF16", "FP16"})
_RAW_INPUTS, _RAW_OUTPUTS = 7, 6
"""The numbers of the fields with elements in binary form."""
_Request, _Response = message("ModelInferRequest"), message("ModelInferResponse")


class Codec:
    """Decodes and encodes for one model."""

    def __init__(self, tensors: OpenInference, terms: contract.Contract) -> None:
        self._tensors = tensors
        self._terms = terms
        self._manifest = tensors.manifest

    def check_model(self, name: str, version: str) -> None:
        """Raise NotFound for another model, or another version if one is named."""
        served = self._manifest
        if name != served.name or version not in ("", served.version):
            asked = f"model {name[:200]!r}" + (f" version {version[:200]!r}" if version else "")
            way = "; at a gateway, x-model-version in the metadata names a version" if name == served.name else ""
            raise errors.NotFound(f"{asked} is not served here: this is {served.name!r} {served.version!r}{way}")

    def decode(self, body: bytes | memoryview) -> DecodedRequest:
        """Decode a request. Raises Invalid, with the same locations as for JSON, or NotFound."""
        head, raw = wire.divided(body, _RAW_INPUTS, self._tensors.most_keys)
        try:
            given = _Request.FromString(head)
        except DecodeError as problem:
            raise wire.not_a_message(str(problem)) from None
        self.check_model(given.model_name, given.model_version)
        self._check_counts(given, raw)
        inputs = [self._input(index, one, is_raw=bool(raw)) for index, one in enumerate(given.inputs)]
        outputs = [{"name": one.name, "parameters": _parameters(one)} for one in given.outputs]
        try:
            request = InferRequest.model_validate({"id": given.id or None, "inputs": inputs, "outputs": outputs})
        except ValidationError as problem:
            raise contract.invalid(problem) from None
        wanted = self._tensors.wanted(request.outputs or ())
        rows, memory = self._tensors.rows(request.inputs, dict(enumerate(raw)))
        rows = self._tensors.ranked(rows, _parameters(given))
        is_raw = bool(raw) or any(one.datatype not in CONTENTS for one in wanted)
        encode = partial(self._encoded, given.id, wanted, is_raw)
        return DecodedRequest(rows, encode, memory)

    def _check_counts(self, given: Any, raw: Sequence[memoryview]) -> None:
        """Refuse what would take long or much memory to read, before it is read."""
        parts = (given, *given.inputs, *given.outputs)
        if sum(len(part.parameters) for part in parts) > self._tensors.most_keys:
            message = f"the request has more than {self._tensors.most_keys} parameters"
            raise errors.Invalid.at(("body", "parameters"), message, "too_many_keys")
        if raw and len(raw) != len(given.inputs):
            message = f"has the elements of {len(raw)} inputs, and there are {len(given.inputs)}; send one for each"
            raise errors.Invalid.at(("body", "raw_input_contents"), message, "element_count")
        for index, one in enumerate(given.inputs):
            if len(one.shape) > MAX_DIMENSIONS:
                message = f"has more than {MAX_DIMENSIONS} numbers"
                raise errors.Invalid.at(("body", "inputs", index, "shape"), message, "too_long")
        filled = [len(values) for one in given.inputs for _, values in one.contents.ListFields()]
        if sum(filled) > (limit := self._terms.limits.values):
            message = f"the inputs have more than {limit} elements. Send them in several requests"
            raise errors.Invalid.at(("body", "inputs"), message, "too_many_values")

    def _input(self, index: int, given: Any, *, is_raw: bool) -> dict[str, Any]:
        """The members of an input, as those of an InputTensor."""
        members = {
            "name": given.name,
            "datatype": given.datatype,
            "shape": list(given.shape),
            "parameters": _parameters(given),
        }
        loc = ("body", "inputs", index, "contents")
        filled = [field.name for field, _ in given.contents.ListFields()]
        if is_raw:
            if filled:
                message = "must be left out beside raw_input_contents: which of the two is meant?"
                raise errors.Invalid.at(loc, message, "binary_and_contents")
            return members
        if given.datatype in _BINARY_ONLY:
            message = f"has no field for {given.datatype}: send its elements in raw_input_contents"
            raise errors.Invalid.at(loc, message, "binary_only")
        wanted = CONTENTS.get(given.datatype)
        if others := [name for name in filled if name != wanted]:
            message = f"has {others[0]}, and the elements of {given.datatype[:40]} belong in {wanted}"
            raise errors.Invalid.at(loc, message if wanted else "there is no such datatype", "datatype")
        values = list(getattr(given.contents, wanted)) if wanted else []
        if given.datatype == "BYTES":
            is_file = self._tensors.is_file(given.name)
            values = binary_tensors.files_of(values) if is_file else binary_tensors.texts_of(values, loc)
        return {**members, "data": values}

    def _encoded(
        self, request_id: str, wanted: Sequence[tensors.Tensor], is_raw: bool, answers: list[BaseModel]
    ) -> bytes:
        """The response with these outputs. Raises ModelFailed, or Invalid if it is too large or has no binary form."""
        columns = self._tensors.columns(wanted, answers)
        response = _Response(model_name=self._manifest.name, model_version=self._manifest.version, id=request_id)
        raw = []
        for tensor, column in zip(wanted, columns, strict=True):
            output = response.outputs.add(name=tensor.name, datatype=tensor.datatype)
            output.shape.extend([len(answers), *tensor.shape])
            if column.raw is None:
                message = (
                    f"the output {tensor.name} has null or another value that {tensor.datatype} does not have; ask for "
                    "the other outputs only, or ask over HTTP"
                )
                raise errors.Invalid.at(("body", "outputs"), message, "no_binary_form")
            if is_raw:
                raw.append(column.raw)
            else:
                field = getattr(output.contents, CONTENTS[tensor.datatype])
                field.extend(_for_field(tensor.datatype, column.data))
        return wire.joined(response.SerializeToString(), _RAW_OUTPUTS, raw)


def _for_field(datatype: str, elements: Sequence[Any]) -> list[Any]:
    """Elements as the field for this datatype takes them."""
    if datatype == "BYTES":
        return [one.encode() for one in elements]
    if datatype in FLOATS:
        return [float("nan") if one is None else one for one in elements]
    return list(elements)


def _parameters(part: Any) -> dict[str, Any] | None:
    """The parameters of a part of a request; None if it has none."""
    return {
        name: getattr(one, chosen) if (chosen := one.WhichOneof("parameter_choice")) else None
        for name, one in part.parameters.items()
    } or None
