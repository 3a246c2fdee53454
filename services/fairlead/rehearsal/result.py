"""The result of a rehearsal: its report, its counts, and which expectations held."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

from fairlead.rehearsal.frames import RequestCounts, Run
from fairlead.rehearsal.judge import Judgement, judge
from fairlead.rehearsal.report import ReportLine, report_lines


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one run."""

    seed: int
    report: tuple[ReportLine, ...]
    judgements: tuple[Judgement, ...]
    weights: tuple[tuple[float, int], ...]
    """Each change of the candidate's weight: the time and the new weight."""
    counts: RequestCounts
    seconds: float
    """How many seconds of the scenario were played."""

    @property
    def held(self) -> bool:
        """Whether every expectation held."""
        return all(one.held for one in self.judgements)

    def to_json(self) -> dict[str, Any]:
        """The result as plain data; times are in seconds after the release."""
        return {
            "seed": self.seed,
            "held": self.held,
            "seconds": self.seconds,
            "expectations": [
                {"expect": str(one.expectation), "held": one.held, "seen": one.seen} for one in self.judgements
            ],
            "weights": [{"at": at_s, "weight": weight} for at_s, weight in self.weights],
            "story": [
                {"at": line.at_s, "weight": line.weight, "what": line.what, "why": line.why} for line in self.report
            ],
            "requests": self.counts.requests,
            "badForUsers": self.counts.bad,
            "givenToCandidate": self.counts.candidate_requests,
            "failedByCandidate": self.counts.candidate_failed,
        }


def result_of(played: Run) -> Result:
    """Judge a run of either kind, and report on it."""
    changes = tuple(
        (next(frames).at_s, weight) for weight, frames in groupby(played.frames, key=lambda frame: frame.weight)
    )
    return Result(
        played.seed,
        tuple(report_lines(played)),
        judge(played.scenario.expect, played.frames),
        changes,
        played.counts,
        played.frames[-1].at_s,
    )
