"""Answer records: what a model service stores about each reply, and the page that the control plane reads.

A record never contains input. It has the gateway's request id, the class, the score, the status and whether the
request was mirrored.
"""

from __future__ import annotations

import zlib
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from fairlead.contracts.base import Document
from fairlead.contracts.route import VersionRef
from fairlead.contracts.service_totals import Totals

PATH = "/answers"
KEEP_HEADER = "x-keep-answer"
"""Sent by the gateway only: `count` or `record`, on requests of a split that is being compared."""
SHADOW_HEADER = "x-shadow-of"
"""Sent by the gateway only: marks a mirrored request, whose answer reaches no client."""
REVISION_HEADER = "x-route-revision"
"""Sent by the gateway, to a service and in its answer: the revision of the route that it followed, `iris.12`."""
COUNT, RECORD = "count", "record"
MAX_PROBLEMS, MAX_PROBLEM = 20, 200
"""How many different problems one process counts, and the characters of each."""


def checksum(label: str) -> int:
    """The label's CRC-32, which a service's ring buffer stores instead of the label."""
    return zlib.crc32(label.encode())


def checksum_label(number: int) -> str:
    """The text that stands for a label of which only the checksum is known: `#0a1b2c3d`."""
    return f"#{number:08x}"


def is_same_label(one: str | None, other: str | None) -> bool:
    """Whether two labels are equal, also when one service reports a name and the other only a checksum."""
    if one is None or other is None or one == other:
        return one == other
    return _key(one) == _key(other)


def _key(label: str) -> str:
    return label if label.startswith("#") else checksum_label(checksum(label))


AnswerRecord = tuple[str, str | None, FiniteFloat | None, int, bool]
"""Request id (32 hex digits), class, score, status, and whether the request was mirrored."""


class Page(Document):
    """Answer records from one process's ring buffer, oldest first, and where the next page begins."""

    epoch: str
    """Identifies the process; a new process counts from the beginning."""
    next: Annotated[int, Field(ge=0)]
    """The value of `after` for the next page."""
    lost: Annotated[int, Field(ge=0)] = 0
    """How many records were overwritten before they were read."""
    more: bool = False
    """Whether more records are available already."""
    fields: dict[str, str] = {}
    """The fields of an answer and their types."""
    classes: dict[str, int] = {}
    """How often each class was answered to users since the process started, one row per request."""
    answers: list[AnswerRecord] = []
    problems: dict[str, int] = {}
    """How often predictions failed since the process started, by status and sentence. Present only if asked for, with
    `problems=true`: a reader of an earlier release knows no such field. Never evidence."""
    totals: Totals | None = None
    """What the service has counted for gates, if asked for with `totals=true`; None from an earlier release."""


Kind = Literal["class", "failed", "schema", "score"]
"""How the answer to a mirrored request differs from the live answer: another class; failed while the live one
succeeded; a field of the live answer missing or of another type; a score that differs by more than the tolerance."""


class VersionAnswer(Document):
    """What one version answered."""

    version: VersionRef
    status: int = 200
    label: str | None = None
    score: FiniteFloat | None = None

    def __str__(self) -> str:
        if self.status != 200:
            return f"status {self.status}"
        parts = [self.label or "", "" if self.score is None else f"{self.score:.4g}"]
        return " ".join(filter(None, parts)) or "an answer"


class Disagreement(Document):
    """One request that two versions answered differently."""

    request_id: str
    kind: Kind
    live: VersionAnswer
    shadow: VersionAnswer


class Pairs(Document):
    """Requests that two versions answered, and how many of the answers differ. Counts, never rates."""

    n: Annotated[int, Field(ge=0)] = 0
    class_changed: Annotated[int, Field(ge=0)] = 0
    failed: Annotated[int, Field(ge=0)] = 0
    schema_mismatch: Annotated[int, Field(ge=0)] = 0
    score_moved: Annotated[int, Field(ge=0)] = 0

    @property
    def differ(self) -> int:
        """Pairs that disagree in any way."""
        return self.class_changed + self.failed + self.schema_mismatch + self.score_moved

    def plus(self, other: Pairs) -> Pairs:
        """The sum of both."""
        return Pairs(
            n=self.n + other.n,
            class_changed=self.class_changed + other.class_changed,
            failed=self.failed + other.failed,
            schema_mismatch=self.schema_mismatch + other.schema_mismatch,
            score_moved=self.score_moved + other.score_moved,
        )


class Compared(Document):
    """The answers of one version to mirrored requests, compared with the live answers of another."""

    live: VersionRef
    shadow: VersionRef
    pairs: Pairs = Pairs()


class ShadowStatus(Document):
    """Recent comparisons, from the memory of the leading control plane."""

    compared: tuple[Compared, ...] = ()
    lost: int = 0
    """Answer records that were overwritten by the services, or exceeded the buffer here, before they were compared."""
    silent: tuple[str, ...] = ()
    """Instances whose answer records could not be read the last time."""
    worst: tuple[Disagreement, ...] = ()
    """The most severe disagreements, worst first."""


class ClassCounts(Document):
    """How often each class was answered to users in a window, by version."""

    candidate: dict[str, int] = {}
    stable: dict[str, int] = {}

    def plus(self, other: ClassCounts) -> ClassCounts:
        """The sum of both."""
        return ClassCounts(
            candidate=add_classes(self.candidate, other.candidate), stable=add_classes(self.stable, other.stable)
        )


def add_classes(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """The sum of both, class by class."""
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}
