"""*Answer*: what one service kept of one reply, and the page in which the control plane reads many of them.

No input is ever in it: an id the gateway made, which class, how sure, and whether anybody but us saw it.
"""

from __future__ import annotations

import zlib
from typing import Annotated, Literal

from pydantic import Field, FiniteFloat

from fairlead.contracts.base import Document
from fairlead.contracts.route import VersionRef

PATH = "/answers"
KEEP_HEADER = "x-keep-answer"
"""What only the gateway sends: `count` or `record` on requests of a split that is being compared."""
SHADOW_HEADER = "x-shadow-of"
"""What only the gateway sends: this is a copy, and nobody waits for the answer."""
COUNT, RECORD = "count", "record"


def checksum(label: str) -> int:
    """A label as 32 bits, as a ring has it."""
    return zlib.crc32(label.encode())


def unnamed(number: int) -> str:
    """How a label is told whose name was not kept."""
    return f"#{number:08x}"


def is_same_label(one: str | None, other: str | None) -> bool:
    """Whether two labels are one, also where only one of the services told its name."""
    if one is None or other is None or one == other:
        return one == other
    return _key(one) == _key(other)


def _key(label: str) -> str:
    return label if label.startswith("#") else unnamed(checksum(label))


Kept = tuple[str, str | None, FiniteFloat | None, int, bool]
"""Request id (32 hex digits), class, score, status, and whether it was a copy."""


class Page(Document):
    """Answers from one process's ring, oldest first, and where the next page begins."""

    epoch: str
    """The process: another one begins counting anew."""
    next: Annotated[int, Field(ge=0)]
    """What to ask for next, as `after`."""
    lost: Annotated[int, Field(ge=0)] = 0
    """How many were overwritten before anybody asked for them."""
    more: bool = False
    """Whether there are more already."""
    fields: dict[str, str] = {}
    """The fields of an answer and their types."""
    classes: dict[str, int] = {}
    """How often each class was answered to users, one row per request, since the process began."""
    answers: list[Kept] = []


Kind = Literal["class", "failed", "schema", "score"]
"""How a copy's answer can differ: another class, no answer where the live one had one, a field of the live answer
that is missing or of another type, a score further off than the tolerance."""


class Said(Document):
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
    live: Said
    shadow: Said


class Pairs(Document):
    """Requests that two versions answered, and how many of them differently. Counts, never rates."""

    n: Annotated[int, Field(ge=0)] = 0
    class_changed: Annotated[int, Field(ge=0)] = 0
    failed: Annotated[int, Field(ge=0)] = 0
    schema_mismatch: Annotated[int, Field(ge=0)] = 0
    score_moved: Annotated[int, Field(ge=0)] = 0

    @property
    def differ(self) -> int:
        """Pairs that disagree, whichever way."""
        return self.class_changed + self.failed + self.schema_mismatch + self.score_moved

    def plus(self, other: Pairs) -> Pairs:
        """Both together."""
        return Pairs(
            n=self.n + other.n,
            class_changed=self.class_changed + other.class_changed,
            failed=self.failed + other.failed,
            schema_mismatch=self.schema_mismatch + other.schema_mismatch,
            score_moved=self.score_moved + other.score_moved,
        )


class Compared(Document):
    """One version's copies against the live answers of another."""

    live: VersionRef
    shadow: VersionRef
    pairs: Pairs = Pairs()


class ShadowStatus(Document):
    """What was compared lately, as the control plane that decides has it in memory."""

    compared: tuple[Compared, ...] = ()
    lost: int = 0
    """Answers that services had overwritten, or that were too many to hold, before they were compared."""
    silent: tuple[str, ...] = ()
    """Instances whose answers could not be read last."""
    worst: tuple[Disagreement, ...] = ()
    """The disagreements that matter most, those first."""


class ClassCounts(Document):
    """How often each class was answered to users in a window, by version."""

    candidate: dict[str, int] = {}
    stable: dict[str, int] = {}

    def plus(self, other: ClassCounts) -> ClassCounts:
        """Both together."""
        return ClassCounts(
            candidate=add_classes(self.candidate, other.candidate), stable=add_classes(self.stable, other.stable)
        )


def add_classes(one: dict[str, int], other: dict[str, int]) -> dict[str, int]:
    """Class by class."""
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**one, **other}}
