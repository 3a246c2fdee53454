"""Decodes requests whose body is an image file, or a form with several, for a model whose only input is an image.

One file gets one answer. A form gets a list of answers, in the order of its files, also if it has one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticCustomError

from fairlead import errors
from fairlead.contracts.images import MEDIA_TYPES, Image
from fairlead.contracts.manifest import Manifest, Tensor
from fairlead.serving.http import endpoint, multipart
from fairlead.serving.http.body import FORM
from fairlead.serving.inference.admission import DecodedRequest
from fairlead.serving.inference.contract import Contract
from fairlead.serving.inputs.pictures import Pictures

Encode = Callable[[list[Any]], bytes]


class Uploads:
    """Decodes the files of one model."""

    def __init__(self, tensor: Tensor, spec: Image, terms: Contract) -> None:
        self.name = tensor.name
        """The name of the input, and of each part of a form."""
        self._row_type, self._max_rows = terms.row_type, terms.max_rows
        self._pictures = Pictures(spec, tensor.shape)
        self._media_types = tuple(MEDIA_TYPES[kind] for kind in spec.formats)

    def decoders(self, terms: Contract) -> dict[str, endpoint.DecodeUpload]:
        """The decoder of each protocol that takes files as they are. V2 has a form of its own for them."""
        return {
            "predict": self._decoder(terms.encode_one, terms.encode_many),
            "v1": self._decoder(terms.encode_predictions, terms.encode_predictions),
        }

    def content(self) -> dict[str, Any]:
        """What such a body has, by its content type, as OpenAPI says it."""
        file = {"type": "string", "format": "binary"}
        form = {
            "type": "object",
            "required": [self.name],
            "properties": {self.name: {"type": "array", "items": file, "minItems": 1, "maxItems": self._max_rows}},
        }
        return {**{kind: {"schema": file} for kind in self._media_types}, FORM.decode(): {"schema": form}}

    def _decoder(self, write_one: Encode, write_many: Encode) -> endpoint.DecodeUpload:
        """A function that decodes a body of this content type. It raises Invalid."""

        def decode(content_type: bytes, body: bytes) -> DecodedRequest:
            if not content_type.lower().startswith(FORM):
                return DecodedRequest([self._row(body, ("body", self.name))], write_one)
            parts = multipart.parts(content_type, body, self._max_rows)
            rows = [self._row(part.content, self._place(place, part)) for place, part in enumerate(parts)]
            return DecodedRequest(rows, write_many)

        return decode

    def _place(self, place: int, part: multipart.Part) -> tuple[str | int, ...]:
        if part.name != self.name:
            raise errors.Invalid.at(("body", place), f"each part of the form must be named {self.name!r}", "name")
        return ("body", place, self.name)

    def _row(self, data: bytes, place: tuple[str | int, ...]) -> BaseModel:
        try:
            pixels = self._pictures.pixels(data)
        except PydanticCustomError as problem:
            raise errors.Invalid.at(place, problem.message(), problem.type) from None
        return self._row_type.model_construct(None, **{self.name: pixels})


def of(terms: Contract, manifest: Manifest) -> Uploads | None:
    """The uploads of a model; None if its only input is not an image."""
    if len(manifest.inputs) != 1 or (spec := manifest.inputs[0].image) is None:
        return None
    return Uploads(manifest.inputs[0], spec, terms)
