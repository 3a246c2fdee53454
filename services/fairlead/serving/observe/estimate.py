"""`Estimate`: how many answers are expected to be right, by how sure the model is of them; no truth is needed.

Each answer adds its calibrated probabilities to the cells of its predicted class (confidence-based performance
estimation). It holds as long as the model is right as often as on held-out rows when it is as sure: other inputs are
seen, and a changed world is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from pydantic import BaseModel

from fairlead import errors
from fairlead.contracts.profile import REBUILD, Profile
from fairlead.contracts.quality import ClassQuality
from fairlead.profile.bins import Floats, text_of
from fairlead.profile.quality import read
from fairlead.serving.observe.compared_fields import Reader
from fairlead.serving.observe.judged import Judged


class Sure(NamedTuple):
    """How sure the model was of answers: arrays with one line for each."""

    predicted: Any
    """The index of the class."""
    scores: Floats
    """The score of it: the higher, the surer or the less sure, as the model has it."""
    shares: Floats
    """For each class, what it would have of the rest; 0 for the predicted one. A line adds up to 1, or is all 0."""


class Sureness:
    """Reads how sure answers are: from the probabilities of all classes by name, or of two classes from one score."""

    def __init__(self, answer_type: type[BaseModel], judged: Judged) -> None:
        reader = Reader(answer_type)
        self._read = reader.read
        self._field, self._score, self._judged = reader.label, reader.score, judged
        self._own = len(judged.classes) - 1
        kind = answer_type.model_fields[reader.score].annotation if reader.score else None
        self._by_name = _is_by_name(kind, judged)
        self.is_known = judged.is_class and self._score is not None and (self._by_name or self._own == 2)
        """Whether answers say it."""

    def of(self, answers: Sequence[BaseModel]) -> Sure:
        """Those of the answers that say it."""
        lines = [line for answer in answers if (line := self._line(answer)) is not None]
        predicted = np.array([one for one, _, _ in lines], dtype=np.int64)
        scores = np.array([score for _, score, _ in lines], dtype=np.float64)
        if not self._by_name:  # two classes: the rest is the other one's
            shares = np.zeros((len(lines), self._own + 1))
            shares[np.arange(len(lines)), 1 - predicted] = 1
            return Sure(predicted, scores, shares)
        shares = np.array([rest for _, _, rest in lines], dtype=np.float64).reshape(len(lines), self._own + 1)
        shares[np.arange(len(lines)), predicted] = 0
        total = shares.sum(axis=1, keepdims=True)
        return Sure(predicted, scores, np.divide(shares, total, out=np.zeros_like(shares), where=total > 0))

    def _line(self, answer: BaseModel) -> tuple[int, float, Sequence[float] | None] | None:
        place = self._judged.place(text_of(getattr(answer, self._field or "", None)))
        if place >= self._own:
            return None
        if not self._by_name:
            score = self._read(answer).score
            return None if score is None else (place, score, None)
        value = getattr(answer, self._score or "", None)
        named: Mapping[str, float] = vars(value) if isinstance(value, BaseModel) else value or {}
        line = [0.0] * (self._own + 1)
        try:
            for name, share in named.items():
                line[self._judged.place(text_of(name))] += max(0.0, share)
        except TypeError:  # an answer that its author made without validation
            return None
        return (place, line[place], line) if np.isfinite(sum(line)) and sum(line) > 0 else None


class Estimate:
    """The expected outcomes of answers, in the cells of `ClassQuality.outcomes`."""

    def __init__(self, sureness: Sureness, quality: ClassQuality) -> None:
        self._sureness, self._curves = sureness, quality.curves
        self.size = len(quality.outcomes)
        self._classes = len(quality.classes)

    def __call__(self, answers: Sequence[BaseModel]) -> Floats:
        """What each cell has of these answers. May be called on any thread."""
        sure = self._sureness.of(answers)
        cells = np.zeros(self.size)
        matrix = cells[:-1].reshape(self._classes, self._classes)
        for place, curve in enumerate(self._curves):
            mine = sure.predicted == place
            right = read(curve, sure.scores[mine])
            shares = sure.shares[mine]
            matrix[place] += ((1 - right)[:, None] * shares).sum(axis=0)
            matrix[place, place] += right.sum()
            matrix[place, -1] += (1 - right)[shares.sum(axis=1) == 0].sum()  # nothing says which other class it is
        return cells


def estimate_of(answer_type: type[BaseModel], profile: Profile | None) -> Estimate | None:
    """None if the profile has no quality of classes, or answers do not say how sure they are.

    Raises Invalid if the profile has other classes than the answers.
    """
    quality = profile.quality if profile else None
    if quality is None:
        return None
    judged = Judged(answer_type, profile)
    if (quality.classes if isinstance(quality, ClassQuality) else ()) != judged.classes:
        raise errors.Invalid("the profile has the quality of other classes than the answers have", hint=REBUILD)
    if not isinstance(quality, ClassQuality) or not quality.curves:
        return None
    return Estimate(Sureness(answer_type, judged), quality)


def _is_by_name(kind: Any, judged: Judged) -> bool:
    """Whether a value of the type has a probability for each class, under its name."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return {judged.place(name) for name in kind.model_fields} == set(range(len(judged.classes) - 1))
    return getattr(kind, "__origin__", None) is dict
