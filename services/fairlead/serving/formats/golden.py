"""Golden rows: example inputs, each with the answer that this version gave when its folder was written.

The service answers them to warm up, to check that it answers as trained, and to check that batching does not change
answers. They are also the examples on the docs page.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fairlead import errors
from fairlead.contracts import json_text

Row = TypeVar("Row", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class GoldenRow:
    """One row and its answer, as JSON objects."""

    input: dict[str, Any]
    expected: dict[str, Any]

    def parsed(self, row_type: type[Row]) -> Row:
        """The input as a row. Raises Invalid."""
        return parsed(self.input, row_type)


def parsed(value: Mapping[str, Any], kind: type[Row]) -> Row:
    """A JSON object as a row or an answer, parsed from text like a request: strict dates and tuples accept only their
    JSON form. Raises Invalid, which names the first wrong field."""
    try:
        return kind.model_validate_json(json.dumps(value))
    except ValidationError as cause:
        first = cause.errors(include_url=False)[0]
        raise errors.Invalid(": ".join([".".join(map(str, first["loc"])), first["msg"]]).removeprefix(": ")) from cause


def not_json(value: Any, where: str = "") -> str | None:
    """None for a value that JSON has, else a sentence that says where which value is none."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{where} is {'NaN' if math.isnan(value) else 'infinity'}, which JSON does not have"
    if isinstance(value, dict):
        inner = (not_json(part, f"{where}.{key}".lstrip(".")) for key, part in value.items())
        return next((problem for problem in inner if problem), None)
    if isinstance(value, list | tuple):
        inner = (not_json(part, f"{where}[{place}]") for place, part in enumerate(value))
        return next((problem for problem in inner if problem), None)
    if value is None or isinstance(value, str | int | float):
        return None
    return f"{where or 'it'} is a {type(value).__module__}.{type(value).__qualname__}, not a value of JSON"


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
        data = json_text.read(line)
    except ValueError as cause:
        raise _invalid(where, f"not JSON: {cause}") from cause
    if not isinstance(data, dict) or set(data) != {"input", "expected"}:
        raise _invalid(where, 'must be an object with exactly the fields "input" and "expected"')
    for field in ("input", "expected"):
        if not isinstance(data[field], dict):
            raise _invalid(where, f'"{field}" must be an object')
        if problem := not_json(data[field]):
            raise _invalid(where, f"{field}: {problem}")
    return GoldenRow(input=data["input"], expected=data["expected"])


def _invalid(where: str, problem: str) -> errors.Invalid:
    return errors.Invalid(f"{where}: {problem}")
