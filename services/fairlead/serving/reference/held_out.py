"""The quality of a model on held-out rows: how often it is right, and how sure it is then."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel

from fairlead import errors
from fairlead.contracts.profile import Profile
from fairlead.contracts.quality import ClassQuality, Curve, NumberQuality, Quality, cell
from fairlead.profile.quality import calibrated
from fairlead.serving.observe.estimate import Sureness
from fairlead.serving.observe.judged import Judged

_SURE_OF_ALL = 0.99
"""A smaller share of answers that say how sure they are is no ground for an estimate."""


def quality_of(
    answer_type: type[BaseModel], profile: Profile, answers: Sequence[BaseModel], truth: Sequence[Any]
) -> Quality:
    """The quality of these answers. `truth` has the true class or number of each; rows with None are left out.

    Raises Invalid if answers cannot be compared, no truth is known, or one is none that the model could give.
    """
    judged = Judged(answer_type, profile)
    known = [place for place, one in enumerate(truth) if one is not None]
    if judged.field is None or not known:
        why = "no row has a label" if judged.field else "answers have neither a class nor a single number"
        raise errors.Invalid(f"--labels: {why}", hint="Leave --labels out: drift is measured without it.")
    chosen = [answers[place] for place in known]
    said = [getattr(answer, judged.field) for answer in chosen]
    read = judged.read_class if judged.is_class else judged.read_number
    try:
        true = [read(truth[place]) for place in known]
    except ValueError as cause:
        raise errors.Invalid(
            f"--labels: a label {cause}", hint="Name the column with the true answers, as the model gives them."
        ) from cause
    if not judged.is_class:
        difference = np.array([read(one) for one in said], dtype=np.float64) - np.array(true, dtype=np.float64)
        return NumberQuality(
            rows=len(known),
            absolute_errors=float(np.abs(difference).sum()),
            squared_errors=float((difference**2).sum()),
        )
    return _of_classes(answer_type, judged, chosen, [judged.text(one) for one in said], true)


def _of_classes(
    answer_type: type[BaseModel],
    judged: Judged,
    answers: Sequence[BaseModel],
    said: Sequence[str | None],
    true: Sequence[Any],
) -> ClassQuality:
    size = len(judged.classes)
    outcomes = [0] * (size * size + 1)
    for predicted, one in zip(said, true, strict=True):
        outcomes[cell(size, judged.place(predicted), judged.place(one), is_same=predicted == one)] += 1
    curves = _curves(answer_type, judged, answers, [one == two for one, two in zip(said, true, strict=True)])
    return ClassQuality(classes=judged.classes, outcomes=tuple(outcomes), curves=curves)


def _curves(
    answer_type: type[BaseModel], judged: Judged, answers: Sequence[BaseModel], right: Sequence[bool]
) -> tuple[Curve, ...]:
    """One for each class with a place; none if answers do not say how sure they are."""
    sureness = Sureness(answer_type, judged)
    own = len(judged.classes) - 1
    if not sureness.is_known:
        return ()
    sure = [sureness.of([answer]) for answer in answers]
    lines = [
        (int(one.predicted[0]), float(one.scores[0]), is_right)
        for one, is_right in zip(sure, right, strict=True)
        if len(one.scores)
    ]
    if len(lines) < _SURE_OF_ALL * len(answers):
        return ()
    predicted = np.array([place for place, _, _ in lines])
    scores, was_right = np.array([score for _, score, _ in lines]), np.array([one for _, _, one in lines], dtype=bool)
    curves = []
    for place in range(own):
        mine = predicted == place
        if not mine.any():  # never predicted on held-out rows: as sure as the model says
            curves.append(Curve(scores=(0.0, 1.0), right=(0.0, 1.0)))
            continue
        curves.append(calibrated(scores[mine], was_right[mine]))
    return tuple(curves)
