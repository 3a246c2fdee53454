"""The exception classes that Fairlead raises. No I/O here, no HTTP, no exit codes.

    FairleadError
    + Invalid               the caller's input cannot be used; the message names the field
    |  - ArtifactRejected   the artifact is missing, or its digest differs from the manifest's; nothing was unpickled
    + NotFound              the named thing does not exist
    |  - Misdirected        the request was meant for another service
    + Conflict              the caller's data is stale, or the action contradicts the current state
    + Refused               well-formed, but a rule does not allow it
    + Unavailable           this process or a dependency cannot answer now; the caller may retry later
    |  - NotReady           still loading, warming up or draining
    |     - LoadFailed      the model cannot be loaded, and is not loaded again
    |     - Draining        asked to stop, and finishing its requests
    |  - Overloaded         the queue is full; says after how many seconds to retry
    |  - SpillRefused       another version's request, while such ones have used up the time that they may take
    |  - DeadlineExceeded   the caller's deadline passed before the work began
    |  - CallTimedOut       the model did not return within the time limit of a call
    |  - OutOfMemory        there is not enough memory for a call of the model
    - ModelFailed           the model's own code raised, or its answer does not match its schema
       - ProcessEnded       the process that runs the model ended during the call

`serving.problems` maps these classes to HTTP statuses and `cli` maps them to exit codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Detail:
    """One wrong field, in FastAPI's error format.

    `loc` is the path to the field (`("body", 0, "sepal_length")`), `msg` a sentence for people, `type` a code for
    programs.
    """

    loc: tuple[str | int, ...]
    msg: str
    type: str


class FairleadError(Exception):
    """The base class. `message` says what happened and why; `hint`, when given, says what to do about it."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if hint is not None:
            self.add_note(hint)  # a traceback shows it: in a training script there is no command that prints it


class Invalid(FairleadError):
    """The caller's input cannot be used; `details` lists every wrong field."""

    def __init__(self, message: str, *, details: Sequence[Detail] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.details = tuple(details)

    @classmethod
    def at(cls, loc: tuple[str | int, ...], msg: str, kind: str) -> Invalid:
        """The error of one wrong field: `body.inputs.0.shape: must be [2, 4]`."""
        return cls(f"{'.'.join(map(str, loc))}: {msg}", details=(Detail(loc, msg, kind),))


class ArtifactRejected(Invalid):
    """The artifact on disk is missing or does not have the digest that the manifest gives."""


class NotFound(FairleadError):
    """The named thing does not exist."""


class Misdirected(NotFound):
    """The request was meant for another service, whose address this service has now."""


class Conflict(FairleadError):
    """Another writer was first, or the request contradicts the current state."""


class Refused(FairleadError):
    """Well-formed, but not allowed by a rule, which the message names."""


class Unavailable(FairleadError):
    """This process, or one that it depends on, cannot answer now."""


class NotReady(Unavailable):
    """Still loading or warming up, or already draining."""


class LoadFailed(NotReady):
    """Loading has failed for good: this process does not try again."""


class Draining(NotReady):
    """This process was asked to stop and is finishing its requests: it never gets ready again."""


class Overloaded(Unavailable):
    """The queue is full. `retry_after_s` is an estimate in whole seconds."""

    def __init__(self, message: str, *, retry_after_s: int = 1, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class SpillRefused(Unavailable):
    """The request was routed to another version, and such requests have used up the time that they may take of this
    model. `retry_after_s` is when some of it is back, in whole seconds."""

    def __init__(self, message: str, *, retry_after_s: int = 1, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(Unavailable):
    """The caller's deadline passed before the work began, so the work was not started."""


class CallTimedOut(Unavailable):
    """The model was called and did not return within the time limit of a call."""


class OutOfMemory(Unavailable):
    """There is not enough memory, on the device or in the process, for a call of the model."""

    retry_after_s = 5
    """When to try again, in seconds: what uses the memory may have ended."""


class ModelFailed(FairleadError):
    """The model's own code raised, or its answer does not match its schema."""


class ProcessEnded(ModelFailed):
    """The process that runs the model ended during the call: it crashed, exited or was killed."""
