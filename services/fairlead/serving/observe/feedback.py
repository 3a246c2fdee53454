"""`Feedback`: counts predictions against the truth that clients send later. Keeps no answer and no label.

A label says what was predicted, by which version, and what is true. So any instance of the version can count it, also
one that started after the answer was given. Counts of all instances add up.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice
from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from fairlead import errors
from fairlead.contracts import drift_telemetry
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.profile import Profile
from fairlead.contracts.quality import cell, cells
from fairlead.contracts.service_totals import ERROR_BOUNDS, error_place
from fairlead.serving.observe.exposition import Exposition
from fairlead.serving.observe.judged import Judged
from fairlead.serving.observe.seen import Seen
from fairlead.serving.observe.shared_memory import SharedMemory
from fairlead.serving.settings import Settings

MAX_LABELS = 1000
"""The most labels in one request."""
AHEAD_S = 300.0
"""How far the clock of a client may be ahead."""
OUTCOMES = drift_telemetry.MODEL_FEEDBACK_LABELS.values["outcome"]
COUNTED, LATE, DOUBLE, UNKNOWN, BAD = OUTCOMES


class Label(BaseModel):
    """The truth of one prediction."""

    # `Feedback.check` refuses unknown fields: as errors of this type they would be as many as a body has room for.
    model_config = ConfigDict(extra="allow", frozen=True, json_schema_extra={"additionalProperties": False})

    id: Annotated[str, StringConstraints(min_length=1, max_length=128)] = Field(
        description="What identifies the request: the response's x-request-id, or a key of the client's own."
    )
    row: int = Field(default=0, ge=0, description="The index of the row in a request with several.")
    version: Annotated[str, StringConstraints(max_length=128)] = Field(
        description="The version that answered: the response's x-model-version."
    )
    prediction: Any = Field(description="What was answered: the class or the number, or the whole answer.")
    truth: Any = Field(description="What is true: a class or a number. null: none of the model's classes.")
    answered_at: AwareDatetime | None = Field(
        default=None, description="When it was answered, with a time zone, or in seconds since 1970."
    )


class Labels(BaseModel):
    """The body of POST /feedback."""

    feedback: Annotated[list[Label], Field(min_length=1, max_length=MAX_LABELS)]


class Served(Protocol):
    """The model that is served."""

    @property
    def manifest(self) -> Manifest:
        """Its manifest."""

    @property
    def answer_type(self) -> type[BaseModel]:
        """The type of its answers."""

    @property
    def profile(self) -> Profile | None:
        """Its reference profile."""


class Checked(NamedTuple):
    """A label that can be counted."""

    key: str
    version: str
    answered_at: datetime | None
    predicted: Any
    """A class or a number."""
    truth: Any


class Feedback:
    """The counts of a service. Each worker adds to its own, and each reports the sums of all.

    Call all methods on the event loop only.
    """

    def __init__(
        self,
        version: str,
        judged: Judged,
        exposition: Exposition,
        memory: SharedMemory,
        settings: Settings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`settings.feedback_bytes` are taken from the common part of `memory`."""
        self._version, self._judged, self._clock = version, judged, clock
        self._within_s = settings.feedback_within_s
        self._exposition = exposition
        self._seen = Seen(memory, settings.feedback_bytes)
        self._outcomes = self._array(memory, len(OUTCOMES))
        self._lags = self._array(memory, len(drift_telemetry.MODEL_FEEDBACK_LAG.buckets) + 2)
        size = len(judged.classes)
        # The last one: a prediction and a truth that are the same class without a place of its own.
        self._cells = self._array(memory, size * size + 1 if size else 0)
        self._errors = self._array(memory, 3)
        self._error_places = self._array(memory, len(ERROR_BOUNDS) + 1)
        self._own = memory.own

    @staticmethod
    def _array(memory: SharedMemory, size: int) -> list[npt.NDArray[np.float64]]:
        return [np.frombuffer(one.cast("B"), np.float64) for one in memory.array(size)] if size else []

    def check(self, labels: Sequence[Label]) -> list[Checked]:
        """The labels, if every one can be counted. Raises Invalid with the place of each that cannot; they are counted
        as bad, and none of the others is counted, so that the whole request can be sent again."""
        checked: list[Checked] = []
        wrong: list[errors.Detail] = []
        now = self._clock()
        for at, label in enumerate(labels):
            found: dict[str, Any] = {}
            for unknown in islice(label.model_extra or (), 1):
                place = ("body", "feedback", at, unknown)
                wrong.append(errors.Detail(place, "Extra inputs are not permitted", "extra_forbidden"))
            if label.version == self._version:  # what another version predicts is not known here
                for name in ("prediction", "truth"):
                    try:
                        found[name] = self._read(name, getattr(label, name))
                    except ValueError as cause:
                        wrong.append(errors.Detail(("body", "feedback", at, name), f"{cause}", "value_error"))
            if label.answered_at is not None and label.answered_at.timestamp() > now + AHEAD_S:
                place = ("body", "feedback", at, "answered_at")
                wrong.append(errors.Detail(place, "is in the future", "value_error"))
            key = f"{label.row}/{label.id}"
            checked.append(Checked(key, label.version, label.answered_at, found.get("prediction"), found.get("truth")))
        if wrong:
            bad = len({one.loc[2] for one in wrong})
            self.count_bad(bad)
            raise errors.Invalid(
                f"{bad} of {len(labels)} labels cannot be counted, so none was", details=wrong[:MAX_LABELS]
            )
        return checked

    def count_bad(self, count: int) -> None:
        """Count labels that could not be read."""
        self._outcomes[self._own][OUTCOMES.index(BAD)] += count

    def count(self, labels: Sequence[Checked]) -> Counter[str]:
        """Count labels. Returns how many had each outcome."""
        now = self._clock()
        outcomes = [self._outcome(label, now) for label in labels]
        fit = [label for label, outcome in zip(labels, outcomes, strict=True) if outcome == COUNTED]
        is_new = self._seen.add([label.key for label in fit])
        for label, is_first in zip(fit, is_new, strict=True):
            if is_first:
                self._compare(label)
                self._lag(label, now)
        found = Counter(outcomes)
        found.update({COUNTED: is_new.count(True) - len(fit), DOUBLE: is_new.count(False)})
        for at, outcome in enumerate(OUTCOMES):
            self._outcomes[self._own][at] += found[outcome]
        return found

    def text(self) -> bytes:
        """The metrics in Prometheus' text format."""
        written, classes = self._exposition, self._judged.classes
        outcomes = zip(((one,) for one in OUTCOMES), _sum(self._outcomes), strict=True)
        *lags, lag_sum = _sum(self._lags)
        parts = [
            written.family(drift_telemetry.MODEL_FEEDBACK_LABELS, outcomes),
            written.histogram(drift_telemetry.MODEL_FEEDBACK_LAG, lags, lag_sum),
        ]
        if classes:
            parts.append(
                written.family(
                    drift_telemetry.MODEL_FEEDBACK_OUTCOMES, zip(cells(classes), _sum(self._cells), strict=True)
                )
            )
        else:
            sums = (
                drift_telemetry.MODEL_FEEDBACK_NUMBERS,
                drift_telemetry.MODEL_FEEDBACK_ABSOLUTE_ERRORS,
                drift_telemetry.MODEL_FEEDBACK_SQUARED_ERRORS,
            )
            parts += [
                written.family(metric, [((), value)]) for metric, value in zip(sums, _sum(self._errors), strict=True)
            ]
        return "".join(parts).encode()

    def right_and_wrong(self) -> tuple[int, int]:
        """How many labels were counted, and how many of them have another class than was predicted."""
        counted = int(_sum(self._outcomes)[OUTCOMES.index(COUNTED)])
        if not self._judged.is_class:
            return counted, 0
        named = zip(cells(self._judged.classes), _sum(self._cells), strict=True)
        return counted, int(sum(count for (*_, correct), count in named if correct == "false"))

    def errors_above(self) -> tuple[int, ...]:
        """How many predicted numbers erred by more than each of ERROR_BOUNDS; empty for classes."""
        if self._judged.is_class:
            return ()
        return tuple(int(one) for one in np.cumsum(_sum(self._error_places)[:0:-1])[::-1])

    def _read(self, name: str, value: Any) -> Any:
        if self._judged.is_class:
            return self._judged.read_class(value, may_be_none=name == "truth")
        return self._judged.read_number(value)

    def _outcome(self, label: Checked, now: float) -> str:
        if label.version != self._version:
            return UNKNOWN
        if label.answered_at is not None and now - label.answered_at.timestamp() > self._within_s:
            return LATE
        return COUNTED

    def _compare(self, label: Checked) -> None:
        if self._judged.is_class:
            size = len(self._judged.classes)
            row, column = self._judged.place(label.predicted), self._judged.place(label.truth)
            self._cells[self._own][cell(size, row, column, is_same=label.predicted == label.truth)] += 1
            return
        difference = label.truth - label.predicted
        self._errors[self._own] += (1, abs(difference), difference * difference)
        self._error_places[self._own][error_place(abs(difference))] += 1

    def _lag(self, label: Checked, now: float) -> None:
        if label.answered_at is not None:
            lag = max(0.0, now - label.answered_at.timestamp())
            lags = self._lags[self._own]
            lags[bisect_left(drift_telemetry.MODEL_FEEDBACK_LAG.buckets, lag)] += 1
            lags[-1] += lag


def feedback_of(served: Served, settings: Settings, memory: SharedMemory) -> Feedback | None:
    """The counts of a model; None if feedback is off. Raises Invalid if its answers cannot be compared with a truth."""
    if not settings.feedback_bytes:
        return None
    judged = Judged(served.answer_type, served.profile)
    if judged.field is None:
        raise errors.Invalid(
            "feedback_bytes: answers of this model have neither a class nor a single number to compare with the truth",
            hint="Leave feedback_bytes out.",
        )
    manifest = served.manifest
    return Feedback(manifest.version, judged, Exposition(manifest.name, manifest.version), memory, settings)


def _sum(workers: Sequence[npt.NDArray[np.float64]]) -> list[float]:
    found: list[float] = np.sum(workers, axis=0).tolist()
    return found
