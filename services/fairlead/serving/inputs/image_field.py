"""The type of a row's field that is an image: base64 in JSON, pixels in the row."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from fairlead.contracts.images import MEDIA_TYPES, Frame, Image
from fairlead.serving.inputs import base64_text, pictures

HELD = "fairlead_held_bytes"
"""The key of a core schema's metadata with the memory that a value of the field needs, in bytes."""
MEDIA = "contentMediaType"
"""The key of a JSON schema that says that a text is an image."""
_WIDEST_LINE = 1.05
"""Line breaks and a data URL's head make base64 by so much longer."""


class ImageField:
    """The annotation of an image's field, whose value is uint8 [height, width, channels]."""

    def __init__(self, spec: Image, shape: tuple[int, ...]) -> None:
        self._pictures = pictures.Pictures(spec, shape)
        self.pixels = _pixels(spec, self._pictures.frame)
        """How the pixels are made of a file, in words: images that differ in it do not look alike."""
        self._most_text = int((spec.max_bytes + 3) * 4 / 3 * _WIDEST_LINE) + 128

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        frame = self._pictures.frame
        return core_schema.no_info_after_validator_function(
            self._read,
            core_schema.str_schema(),
            metadata={HELD: frame.height * frame.width * frame.channels},
            serialization=core_schema.plain_serializer_function_ser_schema(_digest),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        kinds = self._pictures.spec.formats
        media = MEDIA_TYPES[kinds[0]] if len(kinds) == 1 else "image/*"
        return {"type": "string", "contentEncoding": "base64", MEDIA: media}

    def _read(self, text: str) -> np.ndarray:
        if len(text) > self._most_text:
            raise pictures.too_many_bytes(self._pictures.spec)
        try:
            data = base64_text.decoded(text)
        except ValueError:
            raise PydanticCustomError("image_base64", "Input should be an image file in base64") from None
        return self._pictures.pixels(data)


def is_image(field: FieldInfo) -> bool:
    """Whether a field of a row is an image."""
    return bool(pixels_of(field))


def pixels_of(field: FieldInfo) -> str:
    """How the pixels of a field are made, in words; empty if the field is no image."""
    return next((one.pixels for one in field.metadata if isinstance(one, ImageField)), "")


def _pixels(spec: Image, frame: Frame) -> str:
    cut = f"{spec.resize} {spec.shorter_side}" if spec.shorter_side else spec.resize
    return f"{frame.width}x{frame.height}x{frame.channels} {cut} {spec.interpolation}"


def _digest(pixels: np.ndarray) -> str:
    """What stands for the pixels where a row is written as text: rows with other pixels have another text."""
    return hashlib.sha256(pixels.tobytes()).hexdigest()
