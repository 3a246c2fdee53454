"""Outputs that are scores of labels: the answer has the labels with the highest ones, the best first.

The labels are a text file of the model folder, one a line, in the order of the network's scores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, Field

from fairlead import errors
from fairlead.contracts.manifest import Labels, Manifest, Tensor
from fairlead.serving.formats import artifact, estimator_output

Names = Mapping[str, tuple[str, ...]]
"""The labels of each output that has them, by its name."""


class LabelScore(BaseModel):
    """A label, and how sure the model is of it."""

    label: str
    score: float = Field(description="0 to 1")


def answer_type(labels: Labels) -> Any:
    """The type of the output's field in the answer."""
    return Annotated[list[LabelScore], Field(min_length=labels.top, max_length=labels.top)]


def read(folder: Path, manifest: Manifest) -> Names:
    """Read the files of labels of a model folder. Raises Invalid if one does not have a label for each score."""
    return {one.name: _lines(folder, one, one.labels) for one in manifest.outputs if one.labels is not None}


def _lines(folder: Path, output: Tensor, labels: Labels) -> tuple[str, ...]:
    field = f"outputs: {output.name}: labels"
    try:
        lines = artifact.inside(folder, labels.file, field=field).read_text(encoding="utf-8").splitlines()
    except errors.Invalid as cause:
        raise errors.Invalid(cause.message, hint="`write_folder` copies it: `files=[Path('labels.txt')]`.") from None
    except (OSError, UnicodeDecodeError) as cause:
        why = cause.strerror if isinstance(cause, OSError) else "it is not UTF-8 text"
        raise errors.Invalid(f"fairlead.yaml: {field}: {labels.file} cannot be read: {why}") from None
    if len(lines) != output.shape[1]:
        raise errors.Invalid(
            f"fairlead.yaml: {field}: {labels.file} has {len(lines)} lines, and the output {output.shape[1]} scores",
            hint="Write one label a line, in the order of the scores, and no empty line at the end.",
        )
    return tuple(lines)


def column(output: Tensor, labels: Labels, names: Sequence[str]) -> Callable[[Any, int], list[Any]]:
    """The function that makes the labels of each row of a batch from the network's result and the number of rows."""

    def best(result: Any, rows: int) -> list[Any]:
        found = estimator_output.by_row(result, f"output {output.name}", output, rows)
        scores = _softmax(found) if labels.scores == "logits" else found
        order = np.argsort(-scores, axis=1, kind="stable")[:, : labels.top]
        values = np.take_along_axis(scores, order, axis=1).tolist()
        return [
            [{"label": names[place], "score": score} for place, score in zip(places, scored, strict=True)]
            for places, scored in zip(order.tolist(), values, strict=True)
        ]

    return best


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: np.ndarray = powers / powers.sum(axis=1, keepdims=True)
    return found
