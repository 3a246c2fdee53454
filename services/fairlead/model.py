"""The class a model author writes. No web framework here, and no I/O of our own."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from pydantic import BaseModel

from fairlead import errors

if TYPE_CHECKING:  # a rollback imports this package too, and must not pay for numpy
    import numpy as np

Row = TypeVar("Row", bound=BaseModel)
Answer = TypeVar("Answer", bound=BaseModel)


class Model(Generic[Row, Answer]):
    """One model version: a typed row in, a typed answer out, always in batches.

        class Iris(fairlead.Model[Flower, Species]):
            def load(self, artifact: Path) -> None: ...
            def predict(self, rows: list[Flower]) -> list[Species]: ...

    The two type arguments are the contract: requests are validated against the first (strictly: unknown fields,
    wrong types and values out of range are refused with the field's path), answers against the second. Both
    feed the docs page and the Open Inference Protocol's metadata.

    Write `predict`, or `predict_columns` where every field of the row is a number: it gets the batch as one
    array and saves building a Python object per row.
    """

    row_type: ClassVar[type[BaseModel]]
    answer_type: ClassVar[type[BaseModel]]
    _contract: ClassVar[tuple[Any, ...]]  # row and answer, or the type variables that a subclass has yet to fill

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for base in cls.__dict__.get("__orig_bases__", ()):
            origin = typing.get_origin(base)
            if isinstance(origin, type) and issubclass(origin, Model):
                parameters = origin.__parameters__  # type: ignore[attr-defined]
                given = dict(zip(parameters, typing.get_args(base), strict=True))
                row, answer = (given.get(part, part) for part in getattr(origin, "_contract", parameters))
                cls._contract = row, answer
                if not isinstance(row, TypeVar) and not isinstance(answer, TypeVar):
                    cls.row_type, cls.answer_type = _pydantic(cls, row), _pydantic(cls, answer)

    def load(self, artifact: Path) -> None:
        """Load the artifact, once, before any request.

        `artifact` is a private copy of the file or folder, of bytes whose digest has been checked against the
        manifest; it is gone when this method returns, so read all that is needed. A model without an artifact gets
        its folder. Raise anything to say that it cannot be used: the service stays not ready and says why.
        """

    def predict(self, rows: list[Row]) -> list[Answer]:
        """Answer a batch: as many answers as rows, in the same order.

        Called on a worker thread, never on the event loop, and with rows of several requests at once.
        """
        raise errors.ModelFailed(f"{type(self).__name__} defines neither predict nor predict_columns")

    def predict_columns(self, batch: np.ndarray) -> list[Answer]:
        """Answer a batch given as float64 [rows, fields], fields in the order of the row type.

        Overriding this is the fast path; `predict` is then not called.
        """
        raise errors.ModelFailed(f"{type(self).__name__} does not define predict_columns")


def _pydantic(owner: type, part: Any) -> type[BaseModel]:
    if isinstance(part, type) and issubclass(part, BaseModel):
        return part
    raise TypeError(f"{owner.__name__}: a Model's row and answer are pydantic models, {part!r} is not")
