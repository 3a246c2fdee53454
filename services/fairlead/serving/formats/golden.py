"""Golden rows: inputs with the answers that this version gave when it was written.

They warm the service up, prove that it answers as trained, prove that batching changes nothing, and are the examples
on the docs page.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
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
        """The input as a request would bring it: through JSON, which is where strict dates and tuples are known."""
        return row_type.model_validate_json(json.dumps(self.input))


def read(path: Path) -> tuple[GoldenRow, ...]:
    """The golden rows of a file: one `{"input": {...}, "expected": {...}}` per line; empty lines are skipped."""
    lines = path.read_text(encoding="utf-8").split("\n")  # not splitlines: JSON text may hold U+2028 and U+0085
    return tuple(_row(line, f"{path.name}:{number}") for number, line in enumerate(lines, 1) if line.strip())


def write(path: Path, rows: Sequence[GoldenRow]) -> None:
    """Write the file that `read` reads, the same bytes for the same rows."""
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


def compare(expected: Any, actual: Any, rtol: float) -> str | None:
    """None where both JSON values are equal, else a sentence that says where and how they differ.

    Text, booleans and whole numbers must be the same; of two numbers one of which is a float, the difference may be
    `rtol` of the larger one. Near zero a thousandth of `rtol` is allowed outright: a probability of 1e-12 is the rest
    of a subtraction, and its last digits mean nothing.
    """
    return _compare(expected, actual, rtol, "")


def _compare(expected: Any, actual: Any, rtol: float, where: str) -> str | None:
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        return _compare_objects(expected, actual, rtol, where)
    if _is_list(expected) and _is_list(actual):
        return _compare_lists(expected, actual, rtol, where)
    if _is_number(expected) and _is_number(actual) and float in (type(expected), type(actual)):
        return _compare_floats(_as_float(expected), _as_float(actual), rtol, where)
    if type(expected) is type(actual) and expected == actual:
        return None
    return f"{where or 'answer'}: expected {expected!r}, got {actual!r}"


def _compare_objects(expected: Mapping[str, Any], actual: Mapping[str, Any], rtol: float, where: str) -> str | None:
    if missing := [key for key in expected if key not in actual]:
        return f"{where or 'answer'}: field {missing[0]!r} is missing"
    if added := [key for key in actual if key not in expected]:
        return f"{where or 'answer'}: field {added[0]!r} is not expected"
    inner = (_compare(expected[key], actual[key], rtol, f"{where}.{key}" if where else str(key)) for key in expected)
    return next((found for found in inner if found), None)


def _compare_lists(expected: Sequence[Any], actual: Sequence[Any], rtol: float, where: str) -> str | None:
    if len(expected) != len(actual):
        return f"{where or 'answer'}: expected {len(expected)} items, got {len(actual)}"
    inner = (_compare(e, a, rtol, f"{where}[{i}]") for i, (e, a) in enumerate(zip(expected, actual, strict=True)))
    return next((found for found in inner if found), None)


def _compare_floats(expected: float, actual: float, rtol: float, where: str) -> str | None:
    both_nan = math.isnan(expected) and math.isnan(actual)
    if both_nan or math.isclose(expected, actual, rel_tol=rtol, abs_tol=rtol / 1000):
        return None
    by = abs(expected - actual)
    return f"{where or 'answer'}: expected {expected!r}, got {actual!r}, which differs by {by:.3g} (rtol is {rtol:g})"


def _as_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond every float is as far as infinity
        return math.inf if value > 0 else -math.inf


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
