"""How right two versions are, by labels: pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fairlead import errors
from fairlead.optimization.answers import Asked, Failed
from fairlead.optimization.verdict import Accuracy

CLASSES, NUMBERS = "share of right classes", "mean absolute error"


def accuracy(asked: Sequence[Asked], labels: Sequence[Any], column: str) -> Accuracy | None:
    """The accuracy of both on the rows that have a label and that the original answers; None if there are none.

    The field is the one named like the column, else the first that is a text, a boolean or a whole number, else the
    first number. A row without an answer is wrong. Raises Invalid if no field is one value.
    """
    known = [
        (one, label)
        for one, label in zip(asked, labels, strict=True)
        if label is not None and not isinstance(one.original, Failed)
    ]
    if not known:
        return None
    field = _field(known[0][0].original, column)
    is_number = all(isinstance(one.original[field], float) and isinstance(label, int | float) for one, label in known)
    if is_number:
        errors_of = [(abs(one.original[field] - label), _error(one, field, label)) for one, label in known]
        measure = NUMBERS
    else:
        errors_of = [(_is(one.original[field], label), _right(one, field, label)) for one, label in known]
        measure = CLASSES
    count = len(known)
    was, now = (sum(values) / count for values in zip(*errors_of, strict=True))
    return Accuracy(measure, field, float(was), float(now), count)


def _field(answer: Any, column: str) -> str:
    plain: dict[str, Any] = {name: one for name, one in answer.items() if not isinstance(one, list | dict)}
    if column in plain:
        return column
    ordered = sorted(plain, key=lambda name: isinstance(plain[name], float))
    if not ordered:
        raise errors.Invalid(
            f"--labels: no field of the answer is one class or number; it has {', '.join(answer)}",
            hint="Leave --labels out.",
        )
    return ordered[0]


def _is(value: Any, label: Any) -> float:
    return float(value == label or str(value) == str(label))


def _right(one: Asked, field: str, label: Any) -> float:
    return 0.0 if isinstance(one.candidate, Failed) else _is(one.candidate.get(field), label)


def _error(one: Asked, field: str, label: Any) -> float:
    now = None if isinstance(one.candidate, Failed) else one.candidate.get(field)
    return abs(now - label) if isinstance(now, int | float) else float("inf")
