"""Comparison of an answer with a golden row's expected answer, for the model service and the smoke test."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Tolerance(NamedTuple):
    """How far two floats may differ: by `rtol` times the larger one, or by `atol` where that is more, near zero."""

    rtol: float
    atol: float


def compare(expected: Any, actual: Any, rtol: float, atol: float | None = None) -> str | None:
    """None if both JSON values are equal, else a sentence that says where and how they differ.

    Text, booleans and whole numbers must be equal. If at least one of two numbers is a float, they may differ by
    `rtol` times the larger one. Near zero an absolute difference of `atol` is allowed, by default `rtol` / 1000: a
    probability of 1e-12 is rounding error of a subtraction.
    """
    return _compare(expected, actual, Tolerance(rtol, rtol / 1000 if atol is None else atol), "")


def _compare(expected: Any, actual: Any, within: Tolerance, where: str) -> str | None:
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        return _compare_objects(expected, actual, within, where)
    if _is_list(expected) and _is_list(actual):
        return _compare_lists(expected, actual, within, where)
    if _is_number(expected) and _is_number(actual) and float in (type(expected), type(actual)):
        return _compare_floats(_as_float(expected), _as_float(actual), within, where)
    if type(expected) is type(actual) and expected == actual:
        return None
    return f"{where or 'answer'}: expected {expected!r}, got {actual!r}"


def _compare_objects(
    expected: Mapping[str, Any], actual: Mapping[str, Any], within: Tolerance, where: str
) -> str | None:
    if missing := [key for key in expected if key not in actual]:
        return f"{where or 'answer'}: field {missing[0]!r} is missing"
    if added := [key for key in actual if key not in expected]:
        return f"{where or 'answer'}: field {added[0]!r} is not expected"
    inner = (_compare(expected[key], actual[key], within, f"{where}.{key}" if where else str(key)) for key in expected)
    return next((found for found in inner if found), None)


def _compare_lists(expected: Sequence[Any], actual: Sequence[Any], within: Tolerance, where: str) -> str | None:
    if len(expected) != len(actual):
        return f"{where or 'answer'}: expected {len(expected)} items, got {len(actual)}"
    inner = (_compare(e, a, within, f"{where}[{i}]") for i, (e, a) in enumerate(zip(expected, actual, strict=True)))
    return next((found for found in inner if found), None)


def _compare_floats(expected: float, actual: float, within: Tolerance, where: str) -> str | None:
    both_nan = math.isnan(expected) and math.isnan(actual)
    if both_nan or math.isclose(expected, actual, rel_tol=within.rtol, abs_tol=within.atol):
        return None
    by = abs(expected - actual)
    return f"{where or 'answer'}: expected {expected!r}, got {actual!r}, which differs by {by:.3g} ({_said(within)})"


def _said(within: Tolerance) -> str:
    is_usual = within.atol == within.rtol / 1000
    return f"rtol is {within.rtol:g}" if is_usual else f"rtol is {within.rtol:g}, atol {within.atol:g}"


def _as_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer too large for a float counts as infinity
        return math.inf if value > 0 else -math.inf


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
