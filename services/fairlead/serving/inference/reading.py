"""`Reader`: validates JSON of one type. In a large body it ends at the first wrong element of a list."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import SchemaValidator

from fairlead.serving.inference import schema_walk
from fairlead.serving.inference.bounds import Bounds

T = TypeVar("T")
# Without this, the validator of a model that already has one is used, and its lists would not end early.
_OWN: dict[str, Any] = (
    {"_use_prebuilt": False} if "_use_prebuilt" in inspect.signature(SchemaValidator).parameters else {}
)


class Reader(Generic[T]):
    """Validates JSON of the adapter's type. `read` raises ValidationError; `complete` then finds the other errors.

    `read_known` is as `read`, but unknown keys are no errors: each would cost as much as a row.
    """

    def __init__(self, adapter: TypeAdapter[T], bounds: Bounds) -> None:
        self._bounds = bounds
        exact: Any = schema_walk.with_exact_tags(adapter.core_schema)
        self._read_all: Callable[[bytes], T] = SchemaValidator(exact, **_OWN).validate_json
        schema: Any = schema_walk.failing_fast(exact)
        self.read: Callable[[bytes], T] = SchemaValidator(schema, **_OWN).validate_json
        known: Any = schema_walk.ignoring_unknown_keys(schema)
        self.read_known: Callable[[bytes], T] = SchemaValidator(known, **_OWN).validate_json

    def complete(self, body: bytes, problem: ValidationError) -> ValidationError:
        """All errors of a body whose reading raised `problem`; `problem` itself, if they could be too many."""
        if self._bounds.may_list_errors(body):
            try:
                self._read_all(body)
            except ValidationError as found:
                return found
        return problem
