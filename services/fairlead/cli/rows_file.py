"""Reads the rows of a file for a command: CSV, Parquet or JSON, as clients of the model send them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

from fairlead import errors
from fairlead.cli.checking import printing_apart
from fairlead.contracts import json_text

JSON = (".json", ".jsonl")


def read(folder: Path, data: Path | None) -> Sequence[dict[str, Any]]:
    """The rows of a file; none without one. Of a folder of photos, each is read when it is asked for, and none kept."""
    if data is None:
        return []
    if data.suffix.lower() in JSON:
        return _json_rows(data)
    return _of_table(folder, data, None)[0]


def _of_table(folder: Path, data: Path, column: str | None) -> tuple[Sequence[dict[str, Any]], Sequence[Any]]:
    """The rows of a table or a folder of photos, and the labels of one of its columns."""
    reading, folders = (
        importlib.import_module(f"fairlead.serving.{name}") for name in ("reference.data", "formats.folder")
    )
    with (
        printing_apart() as printed,
        redirect_stdout(cast(TextIO, printed)),
        redirect_stderr(cast(TextIO, printed)),
    ):
        model = folders.load_folder(folder, profiled=False)
        return reading.rows_of(data, model), reading.labels_of(data, column, model) if column else []


def _json_rows(data: Path) -> list[dict[str, Any]]:
    try:
        written = data.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise errors.NotFound(f"--data: there is no file {data}", hint="Check the path.") from None
    except (OSError, ValueError) as cause:
        raise errors.Invalid(f"--data: {data} cannot be read as text: {cause}", hint="Give JSON in UTF-8.") from cause
    if data.suffix.lower() == ".json":
        found = _json(written, f"{data}")
    else:
        # Not splitlines: it also splits at U+2028 and U+0085, which JSON text may contain.
        lines = enumerate(written.split("\n"), 1)
        found = [_json(line, f"{data}:{number}") for number, line in lines if line.strip()]
    rows = found if isinstance(found, list) else [found]
    if not rows or not all(isinstance(one, dict) for one in rows):
        raise errors.Invalid(f"--data: {data} has no rows", hint="Give a list of JSON objects, as clients send them.")
    return rows


def _json(text: str, where: str) -> Any:
    try:
        return json_text.read(text, constant=_no_value)
    except ValueError as cause:
        raise errors.Invalid(
            f"--data: {where} cannot be read as JSON: {cause}",
            hint="A .jsonl file has one JSON object on each line, a .json file a list of them.",
        ) from cause


def _no_value(constant: str) -> Any:
    raise ValueError(f"{constant} is no value of JSON")


def with_labels(folder: Path, data: Path | None, column: str | None) -> tuple[Sequence[dict[str, Any]], Sequence[Any]]:
    """The rows of a file, and what its column of labels says of each; no labels without `column`."""
    if column is None:
        return read(folder, data), []
    if data is None:
        raise errors.Invalid("--labels names a column of a file, and there is none", hint="Name the file: --data FILE.")
    if data.suffix.lower() not in JSON:
        return _of_table(folder, data, column)
    rows = _json_rows(data)
    if not any(column in row for row in rows):
        raise errors.Invalid(f"--labels: no row of {data} has the field {column}", hint="Check the name.")
    return rows, [row.pop(column, None) for row in rows]
