"""What a run says at each moment: the rollout's state as a frame, and the requests that users sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from fairlead.contracts.gates import GateName
from fairlead.contracts.revision import Phase, Revision, Verdict
from fairlead.contracts.route import TOTAL_WEIGHT
from fairlead.contracts.scenario import Outcome, Scenario
from fairlead.contracts.status import Status
from fairlead.rehearsal.schedule import Arm
from fairlead.rollout.report import Reason

ROUTE = "rehearsed"
"""The route, and the model, of every rehearsal."""
TICK_S = 1.0
"""How often the engine looks. It really looks more often; windows are 5 s either way."""


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """What users saw of one tick: requests, bad answers among them, and attempts of the candidate that failed."""

    requests: int = 0
    bad: int = 0
    candidate_requests: int = 0
    candidate_failed: int = 0

    def plus(self, other: RequestCounts) -> RequestCounts:
        """Both together."""
        return RequestCounts(
            self.requests + other.requests,
            self.bad + other.bad,
            self.candidate_requests + other.candidate_requests,
            self.candidate_failed + other.candidate_failed,
        )


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the rollout stood at a moment: the candidate's share, and why it was not more."""

    at_s: float
    weight: int
    outcome: Outcome
    gate: str | None = None
    """The gate that holds, or has rolled back."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run."""

    scenario: Scenario
    seed: int
    frames: tuple[Frame, ...]
    revisions: tuple[Revision, ...]
    """Those since the release, it included."""
    told: RequestCounts
    released_at: datetime
    """When the scenario's time was 0."""


def share_of(head: Revision) -> int:
    """The candidate's share under a revision; a promoted one has everything."""
    table = head.table
    promoted = head.state.phase is Phase.STABLE and table.stable.version == Arm.CANDIDATE
    return TOTAL_WEIGHT if promoted else table.weight


def frame_of(head: Revision, status: Status, at_s: float) -> Frame:
    """What ledger and status say, in a scenario's words."""
    share, state = share_of(head), head.state
    if state.phase is not Phase.STABLE:
        return _under_way(share, status, at_s)
    if share == TOTAL_WEIGHT:
        return Frame(at_s, share, Outcome.PROMOTED)
    rejected = next((one for one in state.rejected if one.ref.version == Arm.CANDIDATE), None)
    if rejected is None:
        return Frame(at_s, 0, Outcome.HELD, None, "the release has not been looked at yet")
    gate, found, _ = rejected.reason.partition(": ")
    by_gate = found and gate in get_args(GateName)
    return Frame(at_s, 0, Outcome.ROLLED_BACK, gate if by_gate else None, rejected.reason)


def _under_way(weight: int, status: Status, at_s: float) -> Frame:
    progressing = status.condition("Progressing")
    if progressing is not None and progressing.status:
        return Frame(at_s, weight, Outcome.ADVANCING, None, status.waiting)
    blocked = next((check for check in status.checks if check.verdict is not Verdict.PASS), None)
    if blocked is None or (progressing is not None and progressing.reason != Reason.WAITING):
        return Frame(at_s, weight, Outcome.HELD, None, status.waiting)
    return Frame(at_s, weight, Outcome.HELD, blocked.gate, f"{blocked.gate}: {blocked.reason}")
