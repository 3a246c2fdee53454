"""Writes the model folder of a booster's file. The file says what its columns and answers are, and is no code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from fairlead.contracts.manifest import Tensor
from fairlead.serving.formats import boosters, declared, golden
from fairlead.serving.formats.folder import FORMATS, ModelFolder
from fairlead.serving.formats.made_up_rows import made_up
from fairlead.serving.formats.strict import strict
from fairlead.serving.formats.writer import write_folder
from fairlead.serving.new import sample
from fairlead.serving.new.golden_rows import Chosen, answered

_START = 4096


def format_of(file: Path) -> str | None:
    """The format of a booster's file, by how it begins; None for any other file."""
    try:
        with file.open("rb") as opened:
            start = opened.read(_START)
    except OSError:
        return None
    if start.startswith((b"tree\nversion=", b"tree\r\nversion=")):
        return "lightgbm"
    return "xgboost" if start.startswith(b"{") and b"learner" in start else None


def write(folder: Path, stated: Mapping[str, Any], file: Path, data: Path | None) -> tuple[ModelFolder, Chosen]:
    """Write the folder, and return it and its golden rows.

    `stated` are the fields of the manifest that the file does not give. Raises Invalid for a damaged file.
    """
    adapter = cast(boosters.Adapter, FORMATS[stated["format"]])
    inputs, outputs = adapter.signature(file)
    row_type = strict(declared.object_type("Row", inputs, held=adapter.held))
    asked, described = _sampled(inputs, data) if data else (made_up(row_type), inputs)
    hint = "Give a few rows of the table that it was trained on: --data FILE."
    chosen = answered(asked, lambda row: golden.parsed(row, row_type), data, hint)
    named = {"inputs": _as_yaml(described), "outputs": _as_yaml(outputs)}
    made = write_folder(folder, {**stated, **named}, file, golden_inputs=chosen.rows)
    return made, chosen


def _sampled(inputs: Sequence[Tensor], data: Path) -> tuple[list[dict[str, Any]], Sequence[Tensor]]:
    """Rows of the sample, and the inputs with what it shows of their columns."""
    frame = sample.read(data, {one.in_table: one.choices for one in inputs if one.datatype == "BYTES"})
    if len(inputs[0].shape) > 1:
        found = sample.of(data, frame, None, inputs[0].shape[1])
        columns = [{"name": name, "datatype": inputs[0].datatype} for name in found.frame.columns]
        return [{inputs[0].name: list(row.values())} for row in found.rows(columns)], inputs
    found = sample.of(data, frame, [one.in_table for one in inputs], None)
    described = [one.model_copy(update={"description": found.description(one.in_table)}) for one in inputs]
    return found.rows(_as_yaml(inputs)), described


def _as_yaml(tensors: Sequence[Tensor]) -> list[dict[str, Any]]:
    return [{"name": one.name, **one.model_dump(mode="json", exclude_defaults=True)} for one in tensors]
