"""Writes the responses of the Open Inference Protocol (V2): JSON, or JSON and tensors in binary form after it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import orjson
from pydantic import BaseModel

from fairlead.contracts.manifest import Manifest
from fairlead.serving.inference import contract, tensors
from fairlead.serving.inference.answer_limit import SLICE_ROWS, AnswerLimit, slices, too_large
from fairlead.serving.open_inference import binary_form


class Responses:
    """Writes the answers of one model."""

    def __init__(self, terms: contract.Contract, manifest: Manifest) -> None:
        self._terms = terms
        self._manifest = manifest

    def as_json(self, request_id: str | None, wanted: Sequence[tensors.Tensor], answers: list[BaseModel]) -> bytes:
        """The response with these outputs, all of them JSON. Raises ModelFailed, or Invalid if it is too large."""
        limit = self._terms.limits.answer_bytes
        columns = (
            self._data(answers, wanted)
            if len(answers) <= SLICE_ROWS
            else self._sliced(answers, wanted, AnswerLimit(limit))
        )
        data = [{"data": column} for column in columns]
        payload = orjson.dumps(self._response(request_id, wanted, len(answers), data))
        if len(payload) > limit:
            raise too_large(limit)
        return payload

    def as_mixed(
        self,
        request_id: str | None,
        wanted: Sequence[tensors.Tensor],
        binary: Collection[str],
        answers: list[BaseModel],
    ) -> binary_form.Mixed:
        """The same with the outputs of these names in binary form."""
        written = [column.written() for column in self.columns(wanted, binary, answers)]
        head = orjson.dumps(self._response(request_id, wanted, len(answers), [members for members, _ in written]))
        return binary_form.Mixed(b"".join([head, *(raw for _, raw in written)]), len(head))

    def columns(
        self, wanted: Sequence[tensors.Tensor], binary: Collection[str], answers: list[BaseModel]
    ) -> list[binary_form.Column]:
        """These outputs, those of the names in `binary` in binary form. Raises ModelFailed, or Invalid if too large."""
        limit = AnswerLimit(self._terms.limits.answer_bytes)
        columns = [binary_form.Column(one.datatype, as_json=one.name not in binary) for one in wanted]
        for part in slices(answers):  # the limit ends the work, as it does for JSON
            for column, data in zip(columns, self._data(part, wanted), strict=True):
                limit.counted(column.add(data))
        return columns

    def _response(
        self, request_id: str | None, wanted: Sequence[tensors.Tensor], count: int, elements: Sequence[dict[str, Any]]
    ) -> dict[str, Any]:
        """The response to `count` rows. `elements` are the members of each output that say what its elements are."""
        response: dict[str, Any] = {"model_name": self._manifest.name, "model_version": self._manifest.version}
        if request_id is not None:
            response["id"] = request_id
        response["outputs"] = [
            {"name": tensor.name, "shape": [count, *tensor.shape], "datatype": tensor.datatype, **members}
            for tensor, members in zip(wanted, elements, strict=True)
        ]
        return response

    def _data(self, answers: Sequence[BaseModel], wanted: Sequence[tensors.Tensor]) -> list[Any]:
        """The data of each output."""
        documents = self._terms.documents(answers)
        return [tensors.answered(tensor, documents) for tensor in wanted]

    def _sliced(self, answers: Sequence[BaseModel], wanted: Sequence[tensors.Tensor], limit: AnswerLimit) -> list[Any]:
        """The same for many answers: already encoded, a slice at a time, so that the limit ends the work."""
        encoded: list[list[bytes]] = [[] for _ in wanted]
        for part in slices(answers):
            for column, data in zip(encoded, self._data(part, wanted), strict=True):
                column.append(limit.counted(orjson.dumps(data)[1:-1]))
        return [orjson.Fragment(b"[%b]" % b",".join(filter(None, column))) for column in encoded]
