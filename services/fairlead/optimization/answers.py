"""Compares the answers of two versions to the same rows: which rows agree, and by how much numbers differ.

An answer is JSON. Its texts, booleans, whole numbers and nulls are *classes*, which are equal or not. Its other numbers
may differ by a share of the range that the original's answers have in the same field. Of a list of numbers the place
of the largest counts too: it is the class that a client reads from scores.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LARGEST = "largest of "
"""What the name of a field begins with where the place of the largest number is compared."""
_SUM_WITHIN = 1e-3
_SURE = 0.95
_STEPS = 60


@dataclass(frozen=True, slots=True)
class Failed:
    """A row that a version did not answer, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A row that both versions were asked. `name` is "golden row 1", or the place of a row of a file.

    `revision` is that of the route by which the original was asked, if it is known.
    """

    name: str
    row: Any
    original: Any
    candidate: Any
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """How one row differs: the field that differs most, and by how much, as a share of what is allowed (1: all of it).

    It is infinite where a class differs, or a version gives no answer.
    """

    asked: Asked
    field: str
    share: float
    by: float

    @property
    def agrees(self) -> bool:
        """Whether the two answers count as the same."""
        return self.share <= 1


@dataclass(frozen=True, slots=True)
class Field:
    """A field of the answers over all rows. `agreeing`: the share of rows with equal classes; None for numbers.

    `largest` and `mean` are absolute differences of numbers, `spread` is the range of the original's; None for classes.
    """

    name: str
    agreeing: float | None
    largest: float | None
    mean: float | None
    spread: float | None


@dataclass(frozen=True, slots=True)
class Compared:
    """All rows that the original answers. `unanswered` is how many it does not, which say nothing."""

    differences: Sequence[Difference]
    fields: Sequence[Field]
    unanswered: int

    @property
    def agreement(self) -> float:
        """The share of rows that agree; NaN without rows."""
        return sum(one.agrees for one in self.differences) / len(self.differences) if self.differences else math.nan

    @property
    def sure(self) -> float:
        """The agreement on rows like these is at least this, with 95 % confidence: 8 rows of 8 show only 0.69."""
        return lower_bound(sum(one.agrees for one in self.differences), len(self.differences))

    def worst(self, count: int) -> list[Difference]:
        """The rows that differ most; none that are equal."""
        differing = [one for one in self.differences if one.share > 0]
        return sorted(differing, key=lambda one: -one.share)[:count]


def compare(asked: Sequence[Asked], tolerance: float) -> Compared:
    """Compare all rows. A number may differ by `tolerance` times the range of its field in the original's answers."""
    answered = [one for one in asked if not isinstance(one.original, Failed)]
    leaves = [dict(_leaves(one.original, "")) for one in answered]
    spreads = _spreads(leaves)
    pairs = [_pairs(one, original) for one, original in zip(answered, leaves, strict=True)]
    differences = [_difference(one, own, spreads, tolerance) for one, own in zip(answered, pairs, strict=True)]
    return Compared(differences, _fields(pairs, spreads), len(asked) - len(answered))


def lower_bound(agreeing: int, rows: int) -> float:
    """The lower end of the one-sided 95 % interval of Clopper and Pearson for a share; 0 without rows."""
    if not agreeing:
        return 0.0
    low, high = 0.0, agreeing / rows
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if _at_least(agreeing, rows, middle) < 1 - _SURE:
            low = middle
        else:
            high = middle
    return low


def _at_least(count: int, draws: int, share: float) -> float:
    """The probability of `count` or more successes."""
    if not 0 < share < 1:
        return float(share >= 1)
    whole = math.lgamma(draws + 1)
    return sum(
        math.exp(
            whole - math.lgamma(k + 1) - math.lgamma(draws - k + 1)
            + k * math.log(share) + (draws - k) * math.log1p(-share)
        )
        for k in range(count, draws + 1)
    )  # fmt: skip


def _leaves(value: Any, where: str) -> Iterator[tuple[str, Any]]:
    """The values inside of an answer, each with its path: `predict_proba[0]`."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{where}.{name}" if where else str(name))
    elif isinstance(value, list):
        if len(value) > 1 and all(map(_is_number, value)) and any(isinstance(one, float) for one in value):
            yield f"{LARGEST}{where}", value
        for place, inner in enumerate(value):
            for path, leaf in _leaves(inner, f"{where}[{place}]"):
                # Of a list of labels with scores only the first label is the class; the order of the rest is noise.
                if not (place and isinstance(inner, Mapping) and isinstance(leaf, str)):
                    yield path, leaf
        yield f"length of {where}", len(value)
    else:
        yield where, value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _family(path: str) -> str:
    """The field of a path: all places of a list are one field."""
    head, found, _ = path.removeprefix(LARGEST).partition("[")
    return f"{LARGEST if path.startswith(LARGEST) else ''}{head}{'[]' if found else ''}"


def _spreads(leaves: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The range of the numbers of each field; their size where they are all the same."""
    found: dict[str, list[float]] = {}
    for path, value in (pair for one in leaves for pair in one.items()):
        if isinstance(value, float):
            ends = found.setdefault(_family(path), [])
            if math.isfinite(value):  # else every other number would be near
                ends[:] = min([*ends, value]), max([*ends, value])
    return {name: (ends[1] - ends[0] or abs(ends[1]) if ends else 0.0) or 1.0 for name, ends in found.items()}


_Pair = tuple[str, Any, Any]
_ABSENT = object()


def _pairs(asked: Asked, original: Mapping[str, Any]) -> list[_Pair] | Failed:
    if isinstance(asked.candidate, Failed):
        return asked.candidate
    candidate = dict(_leaves(asked.candidate, ""))
    paths = dict.fromkeys((*original, *candidate))
    return [(path, original.get(path, _ABSENT), candidate.get(path, _ABSENT)) for path in paths]


def _difference(
    asked: Asked, pairs: list[_Pair] | Failed, spreads: Mapping[str, float], tolerance: float
) -> Difference:
    if isinstance(pairs, Failed):
        return Difference(asked, "no answer", math.inf, math.inf)
    worst = Difference(asked, "", 0.0, 0.0)
    for path, one, other in pairs:
        share, by = _share(path, one, other, spreads, tolerance)
        if share > worst.share:
            worst = Difference(asked, path, share, by)
    return worst


def _share(path: str, one: Any, other: Any, spreads: Mapping[str, float], tolerance: float) -> tuple[float, float]:
    """The share of what is allowed by which two values differ, and the difference of two numbers."""
    if path.startswith(LARGEST):
        return (0.0 if _same_largest(one, other, tolerance) else math.inf), math.inf
    if _is_number(one) and _is_number(other) and float in (type(one), type(other)):
        by = _apart(one, other)
        if not by or math.isinf(by):
            return by, by
        allowed = tolerance * spreads.get(_family(path), abs(one) or 1.0)
        return (by / allowed if allowed else math.inf), by
    return (0.0 if one == other and type(one) is type(other) else math.inf), math.inf


def _apart(one: float, other: float) -> float:
    """The difference of two numbers; infinite to NaN, to infinity, and to an integer that no float can be."""
    if one == other or (one != one and other != other):  # noqa: PLR0124, only NaN is not equal to itself
        return 0.0
    try:
        by = float(abs(one - other))
    except OverflowError:
        return math.inf
    return math.inf if math.isnan(by) else by


def _same_largest(one: Any, other: Any, tolerance: float) -> bool:
    """Whether the largest number is at the same place. Scores that are no probabilities may have a tie."""
    if not isinstance(one, list) or not isinstance(other, list) or len(one) != len(other):
        return False
    place, found = _largest(one), _largest(other)
    if any(isinstance(value, int) and abs(value) > sys.float_info.max for value in one):
        return place == found
    is_tie = one[place] - one[found] <= tolerance * (max(one) - min(one))
    are_probabilities = min(one) >= 0 and abs(sum(one) - 1) <= _SUM_WITHIN
    return place == found or one[place] == one[found] or (is_tie and not are_probabilities)


def _largest(values: Sequence[float]) -> int:
    return max(range(len(values)), key=lambda place: values[place])


def _fields(pairs: Sequence[list[_Pair] | Failed], spreads: Mapping[str, float]) -> list[Field]:
    equal: dict[str, list[bool]] = {}
    apart: dict[str, list[float]] = {}
    for row in pairs:
        for path, one, other in () if isinstance(row, Failed) else row:
            if isinstance(one, float) and _is_number(other):
                apart.setdefault(_family(path), []).append(_apart(one, other))
            elif path.startswith(LARGEST):
                equal.setdefault(_family(path), []).append(_same_largest(one, other, 0.0))
            elif not path.startswith("length of "):
                equal.setdefault(_family(path), []).append(one == other)
    classes = [Field(name, sum(found) / len(found), None, None, None) for name, found in equal.items()]
    numbers = [Field(name, None, max(found), sum(found) / len(found), spreads[name]) for name, found in apart.items()]
    return [*classes, *numbers]
