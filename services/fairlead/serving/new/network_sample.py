"""Rows of a sample for a network, and what the sample shows of its inputs.

A row of a table is values, so each input of the network must be one value, or one list of them that has every column.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.serving.new import sample

_DESCRIBED = 12
"""A list of more values is described as a whole."""


Sampled = tuple[list[dict[str, Any]], tuple[Tensor, ...]]
"""Rows as clients send them, and the inputs with their descriptions."""


def sampled(inputs: Sequence[Tensor], data: Path) -> Sampled:
    """What the sample shows. Raises Invalid if the rows of a table are none of these inputs."""
    if len(inputs) == 1 and len(inputs[0].shape) == 2 and inputs[0].shape[1] > 0:
        return _one_list(inputs[0], data)
    if wrong := next((one for one in inputs if one.shape[1:] not in ((), (1,))), None):
        raise errors.Invalid(
            f"--data: a row of a table is values, and the input {wrong.name} of the model is an array of the shape "
            f"{list(wrong.shape)}",
            hint="Leave --data out: golden rows are made up then. For rows of your own, write the folder in Python: "
            "`golden_inputs` of write_folder.",
        )
    return _columns(inputs, data)


def _one_list(one: Tensor, data: Path) -> Sampled:
    """All columns in their order are the elements of the only input."""
    frame, width = sample.read(data), one.shape[1]
    if len(frame.columns) != width and len(frame):
        raise errors.Invalid(
            f"--data: {data} has {len(frame.columns)} columns, and the input {one.name} of the model has {width} "
            "values",
            hint="Give exactly these columns, in their order, without the target.",
        )
    names = [str(name) for name in frame.columns]
    found = sample.of(data, frame, None, width)
    columns = [{"name": name, "datatype": _kind(one)} for name in found.frame.columns]
    rows = [{one.name: list(row.values())} for row in found.rows(columns)]
    described = [f"{name} {found.description(own)}" for name, own in zip(names, found.frame.columns, strict=True)]
    text = "; ".join(described)
    if width > _DESCRIBED or len(text) > sample.LONGEST:
        text = f"{width} values in the order of {data.name}, from {names[0]} to {names[-1]}"
    return rows, (one.model_copy(update={"description": text[: sample.LONGEST]}),)


def _columns(inputs: Sequence[Tensor], data: Path) -> Sampled:
    """Each input is the column of its name."""
    frame = sample.read(data, {one.name: one.choices for one in inputs if one.datatype == "BYTES"})
    found = sample.of(data, frame, [one.name for one in inputs], None, "the model has as an input")
    rows = found.rows([{"name": one.name, "datatype": _kind(one)} for one in inputs])
    lists = {one.name for one in inputs if len(one.shape) > 1}
    return (
        [{name: [value] if name in lists else value for name, value in row.items()} for row in rows],
        tuple(one.model_copy(update={"description": found.description(one.name)}) for one in inputs),
    )


def _kind(one: Tensor) -> str:
    """The datatype that says how a value of a table becomes JSON: all integers are alike."""
    return "INT64" if "INT" in one.datatype else one.datatype
