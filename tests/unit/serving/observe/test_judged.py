"""What of an answer is compared with the truth, and which predictions and truths are read."""

from __future__ import annotations

import enum
import re
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import BaseModel, Field

from fairlead.contracts.profile import Profile
from fairlead.contracts.quality import MOST_CLASSES
from fairlead.profile import bins
from fairlead.serving.observe.judged import Judged
from support import profiles


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class OfLiteral(BaseModel):
    label: Literal["a", "b"]
    score: float = 0.0


class OfBool(BaseModel):
    fraud: bool


class OfEnum(BaseModel):
    color: Color


class OfText(BaseModel):
    label: str


class OfNumber(BaseModel):
    rent: float


class OfAlias(BaseModel):
    class_: Literal[1, 2] = Field(serialization_alias="class")


class OfList(BaseModel):
    values: list[float]


def seen(*labels: str, choices: tuple[str, ...] = ()) -> Profile:
    feature = bins.category_feature("prediction", "label", labels, choices)
    return profiles.of_points(
        answers=(feature,),
        features=(bins.number_feature("x", "x", (0.0, 5.0), np.arange(float(len(labels)))),),
        rows=len(labels),
    )


@pytest.mark.parametrize(
    ("kind", "classes"),
    [
        (OfLiteral, ("a", "b", "other")),
        (OfBool, ("false", "true", "other")),
        (OfEnum, ("red", "blue", "other")),
        (OfAlias, ("1", "2", "other")),
        (OfText, ("other",)),
        (OfNumber, ()),
    ],
)
def test_the_classes_are_those_of_the_type(kind: type[BaseModel], classes: tuple[str, ...]) -> None:
    assert Judged(kind, None).classes == classes


def test_where_the_type_does_not_say_the_classes_the_profile_does() -> None:
    assert Judged(OfText, seen("x", "y", choices=("x", "y"))).classes == ("x", "y", "other")


def test_texts_of_a_profile_whose_bins_have_no_names_are_no_classes() -> None:
    assert Judged(OfText, seen("secret", "y")).classes == ("other",)


def test_classes_beyond_the_most_share_one_place_and_one_that_is_no_label_has_a_number() -> None:
    kind: Any = Literal[("other", *(f"c{number}" for number in range(30)))]
    judged = Judged(type("Answer", (BaseModel,), {"__annotations__": {"label": kind}}), None)
    assert len(judged.classes) == MOST_CLASSES + 1
    assert judged.classes[:2] == ("v00", "c0")
    assert judged.place("c29") == MOST_CLASSES


def test_an_answer_without_class_and_single_number_cannot_be_judged() -> None:
    assert Judged(OfList, None).field is None


@pytest.mark.parametrize(
    ("kind", "sent", "read"),
    [
        (OfLiteral, "a", "a"),
        (OfLiteral, {"label": "b", "score": 0.5}, "b"),
        (OfBool, True, "true"),
        (OfBool, "false", "false"),
        (OfBool, "True", "true"),
        (OfBool, 0, "false"),
        (OfAlias, 1, "1"),
        (OfAlias, 2.0, "2"),
        (OfAlias, {"class": 2}, "2"),
        (OfEnum, "red", "red"),
        (OfText, "whatever", "whatever"),
    ],
)
def test_a_class_is_read_as_clients_have_it(kind: type[BaseModel], sent: Any, read: str) -> None:
    assert Judged(kind, None).read_class(sent) == read


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ("c", "is no class of this model; there are a, b"),
        (None, "must be a class; there are a, b"),
        ([], "must be a class; there are a, b"),
        (1.5, "must be a class; there are a, b"),
        ({"score": 1}, "an answer has the field 'label'; this has none"),
    ],
)
def test_what_is_no_class_is_refused_with_the_reason(sent: Any, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(why)}$"):
        Judged(OfLiteral, None).read_class(sent)


def test_a_truth_may_be_none_of_the_classes() -> None:
    judged = Judged(OfLiteral, None)
    assert judged.place(judged.read_class(None, may_be_none=True)) == 2


@pytest.mark.parametrize("sent", ["1", None, True, float("nan"), float("inf"), 10**400, 1e200, [1.0]])
def test_what_is_no_finite_number_is_refused(sent: Any) -> None:
    with pytest.raises(ValueError, match="must be a"):
        Judged(OfNumber, None).read_number(sent)


def test_a_number_is_read_alone_or_from_the_whole_answer() -> None:
    judged = Judged(OfNumber, None)
    assert (judged.read_number(3), judged.read_number({"rent": 2.5})) == (3.0, 2.5)
