"""What a run records: the rollout's state at each second (`Frame`), and counts of the users' requests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from fairlead.contracts.gates import GateName
from fairlead.contracts.revision import Phase, Revision, Verdict
from fairlead.contracts.route import TOTAL_WEIGHT
from fairlead.contracts.scenario import Outcome, Scenario
from fairlead.contracts.status import Reason, Status
from fairlead.rehearsal.schedule import VersionRole

ROUTE = "rehearsed"
"""The name of the route and of the model in every rehearsal."""
TICK_S = 1.0
"""Seconds between two ticks in virtual time. The real engine ticks more often; windows are 5 s in both."""


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """Users' requests, bad responses among them, requests given to the candidate, and how many of its attempts failed
    or were so slow that stable was asked too."""

    requests: int = 0
    bad: int = 0
    candidate_requests: int = 0
    candidate_failed: int = 0

    def plus(self, other: RequestCounts) -> RequestCounts:
        """The sum of both."""
        return RequestCounts(
            self.requests + other.requests,
            self.bad + other.bad,
            self.candidate_requests + other.candidate_requests,
            self.candidate_failed + other.candidate_failed,
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """The state of the rollout at one time: the candidate's weight, the outcome, and why the weight is not higher."""

    at_s: float
    weight: int
    outcome: Outcome
    gate: str | None = None
    """The gate that holds the weight or has rolled the candidate back."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """Everything recorded in one run of a scenario."""

    scenario: Scenario
    seed: int
    frames: tuple[Frame, ...]
    revisions: tuple[Revision, ...]
    """From the release on, including it."""
    counts: RequestCounts
    released_at: datetime
    """The time of the release, where the scenario's time is 0."""


def share_of(head: Revision) -> int:
    """The candidate's weight in a revision; TOTAL_WEIGHT once it is promoted."""
    table = head.table
    promoted = head.state.phase is Phase.STABLE and table.stable.version == VersionRole.CANDIDATE
    return TOTAL_WEIGHT if promoted else table.weight


def frame_of(head: Revision, status: Status, at_s: float) -> Frame:
    """The frame for the head of the ledger and the status of the route."""
    share, state = share_of(head), head.state
    if state.phase is not Phase.STABLE:
        return _in_progress(share, status, at_s)
    if share == TOTAL_WEIGHT:
        return Frame(at_s, share, Outcome.PROMOTED)
    rejected = next((one for one in state.rejected if one.ref.version == VersionRole.CANDIDATE), None)
    if rejected is None:
        return Frame(at_s, 0, Outcome.HELD, None, "the engine has not processed the release yet")
    gate, found, _ = rejected.reason.partition(": ")
    by_gate = found and gate in get_args(GateName)
    return Frame(at_s, 0, Outcome.ROLLED_BACK, gate if by_gate else None, rejected.reason)


def _in_progress(weight: int, status: Status, at_s: float) -> Frame:
    progressing = status.condition("Progressing")
    if progressing is not None and progressing.status:
        return Frame(at_s, weight, Outcome.ADVANCING, None, status.waiting)
    blocked = next((check for check in status.checks if check.verdict is not Verdict.PASS), None)
    if blocked is None or (progressing is not None and progressing.reason != Reason.WAITING):
        return Frame(at_s, weight, Outcome.HELD, None, status.waiting)
    return Frame(at_s, weight, Outcome.HELD, blocked.gate, f"{blocked.gate}: {blocked.reason}")
