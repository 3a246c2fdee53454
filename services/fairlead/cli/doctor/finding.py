"""What a check says, and how checks are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from fairlead import errors


class Level(StrEnum):
    """How bad it is. A problem keeps something from working; a warning is a risk, or something turned off."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `what` is a fact, `why` says why it matters, `do` what to do; the last two are empty if it is ok."""

    level: Level
    what: str
    why: str = ""
    do: str = ""
    check: str = ""
    """The check that found it, in a few words: it is the line of the check if nothing is wrong."""

    def to_json(self) -> dict[str, str]:
        """For `--json`."""
        return {"level": self.level.value, "check": self.check, "what": self.what, "why": self.why, "do": self.do}


def problem(what: str, why: str, do: str) -> Finding:
    """Something that does not work, or will not when it is needed."""
    return Finding(Level.PROBLEM, what, why, do)


def warning(what: str, why: str, do: str) -> Finding:
    """A risk."""
    return Finding(Level.WARNING, what, why, do)


class NotChecked(errors.Refused):
    """A check cannot see what it needs. The message says why, the hint what it needs."""


def not_checked(what: str, refused: NotChecked) -> Finding:
    """A part of a check that cannot see what it needs, where the check goes on with the others."""
    return Finding(Level.NOT_CHECKED, f"{what}: {refused.message}")


Place = TypeVar("Place")


@dataclass(frozen=True, slots=True)
class Check(Generic[Place]):
    """One check: what is so if nothing is wrong, and the function that finds what is wrong."""

    title: str
    run: Callable[[Place], Iterable[Finding]]


def examine(place: Place, checks: Sequence[Check[Place]]) -> Iterator[Finding]:
    """Run all checks. Each gives one finding at least. Raises Unavailable if the cluster does not answer."""
    for one in checks:
        found: list[Finding] = []
        try:
            found += one.run(place)
        except NotChecked as refused:
            found.append(not_checked(one.title, refused))
        for finding in found or [Finding(Level.OK, one.title)]:
            yield Finding(finding.level, finding.what, finding.why, finding.do, one.title)
