"""`Model`: the base class of every served model. This module imports no web framework and does no I/O."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic

from pydantic import BaseModel
from typing_extensions import TypeVar

from fairlead import errors

if TYPE_CHECKING:  # `fairlead rollback` imports this package too and must not spend time on importing numpy
    import numpy as np
    import pandas as pd

Row = TypeVar("Row", bound=BaseModel, default=BaseModel)
Answer = TypeVar("Answer", bound=BaseModel, default=BaseModel)


class Model(Generic[Row, Answer]):
    """One model version: takes a batch of typed rows and returns a batch of typed answers.

        class Iris(fairlead.Model[Flower, Species]):
            def load(self, artifact: Path) -> None: ...
            def predict(self, rows: list[Flower]) -> list[Species]: ...

    The two type arguments are the contract. Requests are validated against the first: an unknown field, a wrong type
    or a value out of range is an error that names the field's path. Answers are validated against the second. The docs
    page and the Open Inference Protocol's metadata are generated from both.

    Implement `predict`. For a model that takes a table, implement `predict_frame` instead: it gets the batch as one
    pandas DataFrame. If every field of the row is a number, `predict_columns` gets it as one array, which is faster.
    A model of arrays has no types: it implements `predict_tensors`, and the manifest declares its tensors.
    """

    row_type: ClassVar[type[BaseModel]]
    answer_type: ClassVar[type[BaseModel]]
    _contract: ClassVar[tuple[Any, ...]]  # row and answer, or the type variables that a subclass still has to set

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
        """Load the artifact. Called once, before the first request.

        `artifact` is a private copy of the file or folder; its digest has been checked against the manifest. The copy
        is deleted when this method returns, so read everything you need from it. A model without an artifact gets its
        model folder. If the artifact cannot be used, raise any exception: the service then stays not ready and
        reports the reason.
        """

    def predict(self, rows: list[Row]) -> list[Answer]:
        """Answer a batch. Return one answer per row, in the order of the rows.

        Called on a worker thread, never on the event loop. One batch can hold rows of several requests.
        """
        raise errors.ModelFailed(f"{type(self).__name__} defines no method that answers a batch")

    def predict_columns(self, batch: np.ndarray) -> list[Answer]:
        """Answer a batch given as a float64 array [rows, fields], with the fields in the order of the row type.

        Define it instead of `predict`. It is faster, because no Python object is built per row.
        """
        raise errors.ModelFailed(f"{type(self).__name__} does not define predict_columns")

    def predict_frame(self, frame: pd.DataFrame) -> list[Answer]:
        """Answer a batch given as a DataFrame with one column per field, in the order of the row type.

        The type of a column depends only on the type of its field, never on the values: a row has the same types alone
        as in a batch. `serving.formats.frames` lists the types. Define it instead of `predict`.
        """
        raise errors.ModelFailed(f"{type(self).__name__} does not define predict_frame")

    def predict_tensors(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Answer a batch given as one array for each of the manifest's `inputs`. Return one for each of its `outputs`.

            class Detector(fairlead.Model):
                def predict_tensors(self, tensors): ...

        The arrays have the declared datatypes and shapes, and the rows as their first axis. Axes that are declared
        as -1 have one size in a call: rows of other sizes come in another call. The arrays belong to the model, which
        may change them. An output has the declared shape; its values are converted to the declared datatype if that
        has each of them. Define it instead of `predict`, in a class without types.
        """
        raise errors.ModelFailed(f"{type(self).__name__} does not define predict_tensors")

    def explain(self, rows: list[Row]) -> list[Any]:
        """Explain the answers to the rows of one request: one value per row that can be written as JSON.

        A value may have numpy's numbers and arrays and pydantic's models in it, and no NaN. Optional: a class that
        defines it is asked by `POST /v1/models/{model}:explain`, on the threads that call `predict`.
        """
        raise errors.ModelFailed(f"{type(self).__name__} does not define explain")


def _pydantic(owner: type, part: Any) -> type[BaseModel]:
    if isinstance(part, type) and issubclass(part, BaseModel):
        return part
    raise TypeError(f"{owner.__name__}: a Model's row and answer are pydantic models, {part!r} is not")
