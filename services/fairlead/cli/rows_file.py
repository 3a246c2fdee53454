"""Reads the rows of a file for a command: CSV, Parquet or JSON, as clients of the model send them."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

from fairlead import errors
from fairlead.cli.checking import printing_apart

JSON = (".json", ".jsonl")


def read(folder: Path, data: Path | None) -> Sequence[dict[str, Any]]:
    """The rows of a file; none without one. Of a folder of photos, each is read when it is asked for, and none kept."""
    if data is None:
        return []
    if data.suffix.lower() in JSON:
        return _json_rows(data)
    reading, folders = (
        importlib.import_module(f"fairlead.serving.{name}") for name in ("reference.data", "formats.folder")
    )
    with (
        printing_apart() as printed,
        redirect_stdout(cast(TextIO, printed)),
        redirect_stderr(cast(TextIO, printed)),
    ):
        found: Sequence[dict[str, Any]] = reading.rows_of(data, folders.load_folder(folder, profiled=False))
        return found


def _json_rows(data: Path) -> list[dict[str, Any]]:
    try:
        written = data.read_text(encoding="utf-8")
        found = json.loads(written) if data.suffix.lower() == ".json" else [*map(json.loads, written.splitlines())]
    except FileNotFoundError:
        raise errors.NotFound(f"--data: there is no file {data}", hint="Check the path.") from None
    except (OSError, ValueError) as cause:
        raise errors.Invalid(f"--data: {data} cannot be read as JSON: {cause}") from cause
    rows = found if isinstance(found, list) else [found]
    if not rows or not all(isinstance(one, dict) for one in rows):
        raise errors.Invalid(f"--data: {data} has no rows", hint="Give a list of JSON objects, as clients send them.")
    return rows


def with_labels(folder: Path, data: Path | None, column: str | None) -> tuple[Sequence[dict[str, Any]], Sequence[Any]]:
    """The rows of a file, and what its column of labels says of each; no labels without `column`."""
    if column is None:
        return read(folder, data), []
    if data is None:
        raise errors.Invalid("--labels names a column of a file, and there is none", hint="Name the file: --data FILE.")
    if data.suffix.lower() not in JSON:
        found: list[Any] = importlib.import_module("fairlead.serving.reference.data").labels_of(data, column)
        return read(folder, data), found
    rows = _json_rows(data)
    if not any(column in row for row in rows):
        raise errors.Invalid(f"--labels: no row of {data} has the field {column}", hint="Check the name.")
    return rows, [row.pop(column, None) for row in rows]
