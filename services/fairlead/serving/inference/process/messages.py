"""What the service and the process of its model send each other. The service sends rows; these are the replies."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.serving.formats.author_code import hint_of


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the code of a model comes from: the model folder, and the name of the package that its code becomes.

    Both ends use the same name, so that each finds the classes that the other one names. `copy` is that of the artifact
    which the processes of the service share, if they do.
    """

    folder: Path
    package: str
    copy: Path | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model has been loaded."""


@dataclass(frozen=True, slots=True)
class Answers:
    """The checked answers to the rows."""

    answers: list[Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """Loading or a call failed. `traceback` is that of the author's code, or empty."""

    error: errors.FairleadError
    traceback: str

    @classmethod
    def of(cls, problem: BaseException, message: str) -> Failed:
        """An error of ours as it is. Anything else, which may not be picklable, becomes ModelFailed with `message`."""
        if isinstance(problem, errors.FairleadError) and type(problem).__module__ == errors.__name__:
            error, cause = problem, problem.__cause__
        else:
            error, cause = errors.ModelFailed(message, hint=hint_of(problem)), problem
        return cls(error, "".join(traceback.format_exception(cause)) if cause is not None else "")

    def as_exception(self) -> errors.FairleadError:
        """The error, with the traceback as its cause."""
        self.error.__cause__ = RaisedThere(self.traceback) if self.traceback else None
        return self.error


class RaisedThere(Exception):
    """An exception of the author's code in the process of the model. Its text is the traceback."""

    def __str__(self) -> str:
        return f"\n{self.args[0].rstrip()}"
