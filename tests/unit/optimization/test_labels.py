from __future__ import annotations

from typing import Any

import pytest

from fairlead import errors
from fairlead.optimization.answers import Asked, Failed
from fairlead.optimization.labels import CLASSES, NUMBERS, accuracy


def asked(*pairs: tuple[Any, Any]) -> list[Asked]:
    return [Asked(f"row {n}", {}, *pair) for n, pair in enumerate(pairs)]


def test_the_share_of_right_classes_is_that_of_the_first_class() -> None:
    answers = asked(
        ({"p": 0.1, "label": "a"}, {"p": 0.1, "label": "b"}), ({"p": 0.2, "label": "b"}, {"p": 0.2, "label": "b"})
    )
    found = accuracy(answers, ["a", "b"], "truth")
    assert found is not None
    assert (found.measure, found.field, found.original, found.candidate, found.rows) == (CLASSES, "label", 1, 0.5, 2)


def test_the_field_named_like_the_column_is_taken() -> None:
    found = accuracy(asked(({"a": 1, "b": 2}, {"a": 1, "b": 2})), [2], "b")
    assert found is not None
    assert (found.field, found.original) == ("b", 1)


def test_numbers_have_a_mean_absolute_error() -> None:
    found = accuracy(asked(({"y": 1.0}, {"y": 2.0}), ({"y": 3.0}, {"y": 3.5})), [1.5, 3], "y")
    assert found is not None
    assert (found.measure, found.original, found.candidate) == (NUMBERS, 0.25, 0.5)


def test_a_row_without_an_answer_is_wrong_and_one_without_a_label_does_not_count() -> None:
    found = accuracy(asked(({"y": "a"}, Failed("500")), ({"y": "a"}, {"y": "a"})), ["a", None], "y")
    assert found is not None
    assert (found.candidate, found.rows) == (0, 1)


def test_without_labels_there_is_no_accuracy() -> None:
    assert accuracy(asked(({"y": "a"}, {"y": "a"})), [None], "y") is None


def test_lists_have_no_accuracy() -> None:
    with pytest.raises(errors.Invalid, match="no field of the answer is one class or number"):
        accuracy(asked(({"p": [0.1]}, {"p": [0.1]})), ["a"], "y")
