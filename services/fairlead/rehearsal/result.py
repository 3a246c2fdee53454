"""The result of a rehearsal: what happened, and which expectations held."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from fairlead.rehearsal.frames import RequestCounts, Run
from fairlead.rehearsal.judge import Judged, judge
from fairlead.rehearsal.report import Line, tell


@dataclass(frozen=True, slots=True)
class Result:
    """A run, judged."""

    seed: int
    story: tuple[Line, ...]
    judged: tuple[Judged, ...]
    weights: tuple[tuple[float, int], ...]
    """Each change of the candidate's share: when, and to what."""
    told: RequestCounts
    seconds: float
    """How much of the scenario's time was played."""

    @property
    def held(self) -> bool:
        """Whether everything that was expected held."""
        return all(one.held for one in self.judged)

    def to_json(self) -> dict[str, Any]:
        """The run as plain data; times in seconds after the release."""
        return {
            "seed": self.seed,
            "held": self.held,
            "seconds": self.seconds,
            "expectations": [
                {"expect": str(one.expectation), "held": one.held, "seen": one.seen} for one in self.judged
            ],
            "weights": [{"at": at_s, "weight": weight} for at_s, weight in self.weights],
            "story": [
                {"at": line.at_s, "weight": line.weight, "what": line.what, "why": line.why} for line in self.story
            ],
            "requests": self.told.requests,
            "badForUsers": self.told.bad,
            "givenToCandidate": self.told.candidate_requests,
            "failedByCandidate": self.told.candidate_failed,
        }


def judged(played: Run) -> Result:
    """A run, however it was played, with what held of what was expected."""
    changes = tuple(
        (next(frames).at_s, weight) for weight, frames in groupby(played.frames, key=lambda frame: frame.weight)
    )
    held = judge(played.scenario.expect, played.frames)
    return Result(played.seed, tuple(tell(played)), held, changes, played.told, played.frames[-1].at_s)
