"""The ways to ask a model service for rows, and the answers to each row in one form, whichever way they came.

An answer is the flat list of elements of each output, by the output's name, as V2 describes the outputs.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from fairlead.contracts.manifest import Manifest
from fairlead.serving.app import App
from fairlead.serving.inference import tensors
from fairlead.serving.open_inference.interface import OpenInference
from support.grpc_client import infer
from support.grpc_client import tensor as grpc_tensor
from support.service import Reply

HTTP = ("row", "list", "V1", "V2", "V2 binary")
"""The ways over HTTP. `row` is one JSON object, the others take any number of rows."""
HEADER = "inference-header-content-length"
Row = Mapping[str, Any]
Answer = dict[str, list[Any]]


class Asked(NamedTuple):
    """A request over HTTP."""

    path: str
    body: bytes
    headers: dict[str, str]


class Ways:
    """Encodes the requests and decodes the answers of one model."""

    def __init__(self, app: App, manifest: Manifest) -> None:
        self._v2 = OpenInference(app.plane.terms, manifest)
        self._name = manifest.name

    def request(self, way: str, rows: Sequence[Row]) -> Asked:
        """The request for these rows; those of one request have the same fields."""
        match way:
            case "row":
                (row,) = rows
                return Asked("/predict", _json(row), {})
            case "list":
                return Asked("/predict", _json(rows), {})
            case "V1":
                return Asked(f"/v1/models/{self._name}:predict", _json({"instances": rows}), {})
        inputs, path = self._v2.as_tensors(list(map(dict, rows))), f"/v2/models/{self._name}/infer"
        if way == "V2":
            return Asked(path, _json({"inputs": inputs}), {})
        raw = [self._raw(one) for one in inputs]
        for one, part in zip(inputs, raw, strict=True):
            del one["data"]
            one["parameters"] = {"binary_data_size": len(part)}
        head = _json({"inputs": inputs, "parameters": {"binary_data_output": True}})
        return Asked(path, head + b"".join(raw), {HEADER: str(len(head)), "content-type": "application/octet-stream"})

    def grpc_request(self, rows: Sequence[Row]) -> Any:
        """The ModelInferRequest for these rows, with their elements in binary form."""
        inputs = self._v2.as_tensors(list(map(dict, rows)))
        made = [grpc_tensor(one["name"], one["datatype"], one["shape"]) for one in inputs]
        return infer(self._name, *made, raw=[self._raw(one) for one in inputs])

    def has_binary_form(self, rows: Sequence[Row]) -> bool:
        """Whether the rows have one: a null that is not a floating-point number has none."""
        inputs = self._v2.as_tensors(list(map(dict, rows)))
        return not any(None in one["data"] for one in inputs if not one["datatype"].startswith(("F", "BF")))

    def _raw(self, given: Mapping[str, Any]) -> bytes:
        data = given["data"]
        if any(one.name == given["name"] and one.is_file for one in self._v2.inputs):
            data = list(map(base64.b64decode, data))
        return to_binary(given["datatype"], data)

    def answers(self, way: str, reply: Reply, rows: int) -> list[Answer]:
        """The answers to the rows of a request that was answered with 200."""
        size = int(reply.headers.get(HEADER, len(reply.body)))
        document, after = json.loads(reply.body[:size]), reply.body[size:]
        match way:
            case "row":
                return [self.of_fields(document)]
            case "list":
                return list(map(self.of_fields, document))
            case "V1":
                return list(map(self.of_fields, document["predictions"]))
        columns: Answer = {}
        for output in document["outputs"]:
            if "data" in output:
                columns[output["name"]] = output["data"]
                continue
            length = output["parameters"]["binary_data_size"]
            columns[output["name"]] = from_binary(output["datatype"], after[:length])
            after = after[length:]
        assert after == b""
        return self._of_columns(columns, rows)

    def grpc_answers(self, response: Any, rows: int) -> list[Answer]:
        """The answers of a ModelInferResponse in binary form."""
        parts = zip(response.outputs, response.raw_output_contents, strict=True)
        return self._of_columns({one.name: from_binary(one.datatype, raw) for one, raw in parts}, rows)

    def of_fields(self, answer: Row) -> Answer:
        """The answer that a library, or a golden row, gives as the fields of a JSON object."""
        return {one.name: _parsed(one, tensors.column(one, [answer])) for one in self._v2.outputs}

    def _of_columns(self, columns: Answer, rows: int) -> list[Answer]:
        found: list[Answer] = [{} for _ in range(rows)]
        for one in self._v2.outputs:
            data = _parsed(one, columns[one.name])
            each, rest = divmod(len(data), rows)
            assert rest == 0, f"{one.name}: {len(data)} elements for {rows} rows"
            for place in range(rows):
                found[place][one.name] = data[place * each : (place + 1) * each]
        return found


def to_binary(datatype: str, data: Sequence[Any]) -> bytes:
    """Elements in binary form. Written again here, so that a mistake in the service's own is no agreement."""
    if datatype == "BYTES":
        parts = [one if isinstance(one, bytes) else str(one).encode() for one in data]
        return b"".join(len(part).to_bytes(4, "little") + part for part in parts)
    if datatype == "BF16":
        return (np.array(data, "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return np.array(data, _dtype(datatype)).tobytes()


def from_binary(datatype: str, raw: bytes) -> list[Any]:
    """The elements of a tensor in binary form."""
    if datatype == "BYTES":
        found = []
        while raw:
            size = 4 + int.from_bytes(raw[:4], "little")
            found.append(raw[4:size].decode())
            raw = raw[size:]
        return found
    if datatype == "BF16":
        array = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
    else:
        array = np.frombuffer(raw, _dtype(datatype))
    numbers: list[Any] = array.tolist()
    return numbers


def _dtype(datatype: str) -> str:
    if datatype == "BOOL":
        return "?"
    name = datatype.rstrip("0123456789")
    letter = {"UINT": "u", "INT": "i", "FP": "f"}[name]
    return f"<{letter}{int(datatype.removeprefix(name)) // 8}"


def _parsed(tensor: tensors.Tensor, data: Sequence[Any]) -> list[Any]:
    """JSON text may be written in two ways."""
    return [json.loads(one) for one in data] if tensor.json else list(data)


def _json(document: Any) -> bytes:
    return json.dumps(document, default=dict).encode()
