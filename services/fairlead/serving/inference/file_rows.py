"""`FileRows`: rows of nothing but image files, validated without JSON in between.

Writing a file of 20 MB as JSON, and reading it back, would hold the interpreter for 100 ms, and probes would wait.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

from pydantic import BaseModel, TypeAdapter, ValidationError

from fairlead.serving.inputs import image_field


class FileRows:
    """Validates rows of a type whose fields are all image files."""

    def __init__(self, row_type: type[BaseModel]) -> None:
        self._read: Callable[[Any], BaseModel] = TypeAdapter(row_type).validate_python

    @classmethod
    def of(cls, row_type: type[BaseModel]) -> Self | None:
        """The validator of a row type; None if it has a field that is no image file."""
        fields = row_type.model_fields.values()
        return cls(row_type) if fields and all(map(image_field.is_image, fields)) else None

    def rows(self, given: Sequence[Any]) -> list[BaseModel] | None:
        """The rows. None if one is invalid, or is not base64: what reads JSON then says why."""
        try:
            return [self._read(row) for row in given]
        except ValidationError:
            return None
