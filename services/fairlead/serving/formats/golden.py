"""Golden rows: example inputs, each with the answer that this version gave when its folder was written.

The service answers them to warm up, to check that it answers as trained, and to check that batching does not change
answers. They are also the examples on the docs page.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from fairlead import errors

Row = TypeVar("Row", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class GoldenRow:
    """One row and its answer, as JSON objects."""

    input: dict[str, Any]
    expected: dict[str, Any]

    def parsed(self, row_type: type[Row]) -> Row:
        """The input as a row, parsed from JSON like a request: strict dates and tuples accept only their JSON form."""
        return row_type.model_validate_json(json.dumps(self.input))


def read(path: Path) -> tuple[GoldenRow, ...]:
    """Read a golden file: one `{"input": {...}, "expected": {...}}` per line. Skips empty lines. Raises Invalid."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as cause:
        why = cause.strerror if isinstance(cause, OSError) else "it is not UTF-8 text"
        raise _invalid(path.name, f"the golden rows cannot be read: {why}") from cause
    # Not splitlines: it also splits at U+2028 and U+0085, which JSON text may contain.
    lines = text.split("\n")
    return tuple(_row(line, f"{path.name}:{number}") for number, line in enumerate(lines, 1) if line.strip())


def write(path: Path, rows: Sequence[GoldenRow]) -> None:
    """Write the file that `read` reads. The same rows give the same bytes."""
    lines = [json.dumps({"input": row.input, "expected": row.expected}, ensure_ascii=False) for row in rows]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def _row(line: str, where: str) -> GoldenRow:
    try:
        data = json.loads(line)
    except ValueError as cause:
        raise _invalid(where, f"not JSON: {cause}") from cause
    if not isinstance(data, dict) or set(data) != {"input", "expected"}:
        raise _invalid(where, 'must be an object with exactly the fields "input" and "expected"')
    for field in ("input", "expected"):
        if not isinstance(data[field], dict):
            raise _invalid(where, f'"{field}" must be an object')
    return GoldenRow(input=data["input"], expected=data["expected"])


def _invalid(where: str, problem: str) -> errors.Invalid:
    return errors.Invalid(f"{where}: {problem}")
