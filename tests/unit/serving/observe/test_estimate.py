"""Outcomes that are estimated without labels: near the truth when inputs move, and blind when the world changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import BaseModel

from fairlead import errors
from fairlead.contracts.profile import Profile
from fairlead.contracts.quality import ClassQuality
from fairlead.profile.bins import Floats
from fairlead.serving.observe.estimate import Sureness, estimate_of
from fairlead.serving.observe.judged import Judged
from fairlead.serving.reference.held_out import quality_of
from support import profiles

ROWS = 20_000
NEAR = 0.01


class Shares(BaseModel):
    low: float
    middle: float
    high: float


class Fraud(BaseModel):
    """Says the probability of one class, whichever it predicts."""

    fraud: bool
    probability: float


class Sure(BaseModel):
    """Says the probability of the class that it predicts."""

    label: Literal["bad", "good"]
    confidence: float


class Level(BaseModel):
    """Says the probability of each class."""

    level: Literal["low", "middle", "high"]
    probabilities: Shares


class Bare(BaseModel):
    label: Literal["low", "middle", "high"]
    confidence: float


@dataclass(frozen=True)
class World:
    """A model that is too sure of itself, and what is true."""

    answers: list[BaseModel]
    truth: list[Any]


def logistic(value: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-value)))


def two_classes(kind: type[BaseModel], *, shift: float = 0.0, concept: float = 0.0, seed: int = 0) -> World:
    """`shift` moves the inputs, `concept` what is true of them."""
    random = np.random.default_rng(seed)
    x = random.normal(shift, 1.2, ROWS)
    true = random.random(ROWS) < logistic(1.2 * x - 0.4 - concept)
    said = logistic(2.0 * x - 0.5)
    if kind is Fraud:
        answers: list[BaseModel] = [Fraud(fraud=one > 0.5, probability=one) for one in said.tolist()]
        return World(answers, true.tolist())
    answers = [Sure(label="good" if one > 0.5 else "bad", confidence=max(one, 1 - one)) for one in said.tolist()]
    return World(answers, ["good" if one else "bad" for one in true])


def three_classes(*, shift: float = 0.0, seed: int = 0) -> World:
    random = np.random.default_rng(seed)
    x = random.normal(shift, 1.0, (ROWS, 3))
    real, said = np.exp(x), np.exp(1.7 * x)
    real, said = real / real.sum(axis=1, keepdims=True), said / said.sum(axis=1, keepdims=True)
    true = (real.cumsum(axis=1) < random.random((ROWS, 1))).sum(axis=1)
    names = ("low", "middle", "high")
    answers: list[BaseModel] = [
        Level.model_validate({"level": names[line.argmax()], "probabilities": dict(zip(names, line, strict=True))})
        for line in said
    ]
    return World(answers, [names[one] for one in true])


def profile_of(held_out: World) -> Profile:
    base = profiles.of_points()
    return base.model_copy(
        update={"quality": quality_of(type(held_out.answers[0]), base, held_out.answers, held_out.truth)}
    )


def estimated(held_out: World, live: World) -> Floats:
    estimate = estimate_of(type(live.answers[0]), profile_of(held_out))
    assert estimate is not None
    found = estimate(live.answers)
    size = int((estimate.size - 1) ** 0.5)
    return found[:-1].reshape(size, size)[:-1, :-1]


def real(live: World) -> Floats:
    quality = profile_of(live).quality
    assert isinstance(quality, ClassQuality)
    size = len(quality.classes)
    return np.array(quality.outcomes[:-1], dtype=np.float64).reshape(size, size)[:-1, :-1]


def f1(matrix: Floats) -> Floats:
    """The F1 of each class."""
    return np.asarray(2 * np.diag(matrix) / (matrix.sum(axis=0) + matrix.sum(axis=1)))


def accuracy(matrix: Floats) -> float:
    return float(np.trace(matrix) / matrix.sum())


@pytest.mark.parametrize("kind", [Fraud, Sure])
@pytest.mark.parametrize("shift", [-0.8, 0.0, 0.8])
def test_f1_of_two_classes_is_near_the_real_one_when_the_inputs_move(kind: type[BaseModel], shift: float) -> None:
    held_out, live = two_classes(kind), two_classes(kind, shift=shift, seed=7)
    found = estimated(held_out, live)
    assert found.sum() == pytest.approx(ROWS)
    assert f1(found) == pytest.approx(f1(real(live)), abs=NEAR)
    assert accuracy(found) == pytest.approx(accuracy(real(live)), abs=NEAR)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_f1_of_three_classes_is_near_the_real_one(shift: float) -> None:
    live = three_classes(shift=shift, seed=7)
    found = estimated(three_classes(), live)
    assert found.sum() == pytest.approx(ROWS)
    assert f1(found) == pytest.approx(f1(real(live)), abs=2 * NEAR)


def test_a_world_that_has_changed_is_not_seen_without_labels() -> None:
    live = two_classes(Fraud, concept=1.0, seed=7)
    assert f1(estimated(two_classes(Fraud), live))[1] - f1(real(live))[1] > 0.05


def test_counts_of_parts_add_up_to_those_of_the_whole() -> None:
    held_out, live = three_classes(), three_classes(seed=3)
    estimate = estimate_of(Level, profile_of(held_out))
    assert estimate is not None
    parts = sum(estimate(live.answers[start : start + 256]) for start in range(0, ROWS, 256))
    assert parts == pytest.approx(estimate(live.answers))


def test_three_classes_with_one_confidence_are_not_estimated_because_it_does_not_say_which_other_is_true() -> None:
    assert not Sureness(Bare, Judged(Bare, None)).is_known
    answers: list[BaseModel] = [Bare(label="low", confidence=0.5)] * 50
    quality = quality_of(Bare, profiles.of_points(), answers, ["low"] * 50)
    assert isinstance(quality, ClassQuality)
    assert quality.curves == ()


def test_a_profile_with_other_classes_than_the_answers_is_refused() -> None:
    with pytest.raises(errors.Invalid, match="other classes"):
        estimate_of(Bare, profile_of(two_classes(Sure)))


def test_answers_that_do_not_say_how_sure_they_are_add_nothing() -> None:
    estimate = estimate_of(Sure, profile_of(two_classes(Sure)))
    assert estimate is not None
    unsure: Any = None
    answers = [Sure.model_construct(label="good", confidence=unsure), Sure(label="bad", confidence=float("nan"))]
    assert not estimate(answers).any()


def test_probabilities_that_are_none_add_nothing() -> None:
    estimate = estimate_of(Level, profile_of(three_classes()))
    assert estimate is not None
    missing: Any = None
    odd = Shares.model_construct(low=missing, middle=0.5, high=0.5)
    assert not estimate([Level.model_construct(level="low", probabilities=odd)]).any()
