"""Everything Fairlead raises on purpose, in one small tree. No I/O here, no HTTP, no exit codes.

    FairleadError
    + Invalid               what the caller gave cannot be used as it is; names the field
    |  - ArtifactRejected   the artifact's digest is not the manifest's: not a byte of it was unpickled
    + NotFound              the thing named does not exist
    |  - Misdirected        whoever asks means another service than this one
    + Conflict              somebody else wrote first, or the action contradicts the state
    + Refused               allowed by its form, refused by a rule
    + Unavailable           a dependency or this process cannot answer now; trying again later is sensible
    |  - NotReady           still loading, warming or draining
    |  - Overloaded         the queue is full; says after how many seconds to come back
    |  - DeadlineExceeded   the caller's deadline passed before the work began
    - ModelFailed           the model's own code raised, or answered something that is not its contract

`serving.http` maps the tree to statuses, `cli` to exit codes; each in one place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing that is wrong, in the form FastAPI users know.

    `loc` is the path to the field (`("body", 0, "sepal_length")`), `msg` the sentence, `type` the machine's word.
    """

    loc: tuple[str | int, ...]
    msg: str
    type: str


class FairleadError(Exception):
    """The root. `message` is a sentence for a person; `hint`, when given, says what to do about it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class Invalid(FairleadError):
    """What the caller gave cannot be used; `details` names every field that is wrong."""

    def __init__(self, message: str, *, details: Sequence[Detail] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.details = tuple(details)


class ArtifactRejected(Invalid):
    """The artifact on disk is not the one the manifest names."""


class NotFound(FairleadError):
    """The thing named does not exist."""


class Misdirected(NotFound):
    """Whoever asks means another service: this one has got the address of one that is gone."""


class Conflict(FairleadError):
    """Somebody else wrote first, or the request contradicts the present state."""


class Refused(FairleadError):
    """Well-formed, and refused by a rule that the message names."""


class Unavailable(FairleadError):
    """This process, or one it needs, cannot answer now."""


class NotReady(Unavailable):
    """Still loading or warming, or already draining."""


class Overloaded(Unavailable):
    """The queue is full. `retry_after_s` is an honest guess in whole seconds."""

    def __init__(self, message: str, *, retry_after_s: int = 1, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(Unavailable):
    """The caller's deadline passed before the work began, so it was not begun."""


class ModelFailed(FairleadError):
    """The model's own code raised, or its answer breaks its contract."""
