"""The status of a route, written by the engine and shown by the API, the command line and the console."""

from __future__ import annotations

from enum import StrEnum

from fairlead.contracts.answers import ShadowStatus
from fairlead.contracts.base import Document, Moment
from fairlead.contracts.revision import Check, Phase, Rejected
from fairlead.contracts.route import VersionRef
from fairlead.contracts.window import Counts, VersionCounts, VersionFailures, Window


class Reason(StrEnum):
    """Every reason a condition can have."""

    SERVING = "Serving"
    COLD = "Cold"
    NOTHING_READY = "NothingReady"
    NO_GATEWAY = "NoGateway"
    NOTHING_RELEASED = "NothingReleased"
    ENOUGH_READY = "EnoughReady"
    FEWER_READY = "FewerReady"
    CANDIDATE_DOWN = "CandidateDown"
    AT_REST = "AtRest"
    ROLLING_OUT = "RollingOut"
    WAITING = "Waiting"
    AWAITING_APPROVAL = "AwaitingApproval"
    BREAKING_TYPES = "BreakingTypes"
    PAUSED = "Paused"
    RUNNING = "Running"
    REJECTED = "Rejected"
    ROLLED_BACK = "RolledBack"
    ACCEPTED = "Accepted"
    ACKNOWLEDGED = "Acknowledged"
    BEHIND = "Behind"
    COUNTED = "Counted"
    GAP = "Gap"
    NOT_COMPARED = "NotCompared"
    INPUTS_ALIKE = "InputsAlike"
    INPUTS_DIFFER = "InputsDiffer"
    OTHER_ROUTE = "OtherRoute"
    UNREADABLE = "Unreadable"


class Condition(Document):
    """One condition, true or false. `reason` is one word for programs, `message` a sentence for people."""

    type: str
    status: bool
    reason: str
    message: str = ""
    since: Moment | None = None
    """Since when `status` is as it is. The store keeps it while `status` does not change."""


class Gateway(Document):
    """One gateway, and the revision of this route that it serves."""

    name: str
    reachable: bool
    programmed: int | None = None
    """The revision it serves; None if it has none of this route. Kubernetes drops null fields, hence the default."""
    rejected: str | None = None


class StepStatus(Document):
    """The rollout's step: `number` of `of`, 0 before the first."""

    number: int
    of: int
    next_weight: int = 0
    """The weight that comes next, in 1/10,000."""
    entered_at: str
    approved: bool


class WantedInstances(Document):
    """How many instances of a version the rollout wants at least, and why; 0: it needs none."""

    ref: VersionRef
    instances: int
    present: int | None = None
    """How many it should have now, ready or not: what its Deployment says, on one machine the spec. None: not known."""
    reason: str


class Evidence(Document):
    """Counts of the attempt so far. `gaps` of its `windows` have no evidence."""

    candidate: Counts = Counts()
    stable: Counts = Counts()
    assigned: int = 0
    unserved: int = 0
    rejections: VersionCounts = VersionCounts()
    failures: VersionFailures = VersionFailures()
    """How the bad requests failed."""
    windows: int = 0
    gaps: int = 0


class Status(Document):
    """The status of a route, as every view shows it."""

    route: str
    observed_generation: int
    """The generation of the spec that this status describes."""
    phase: Phase | None = None
    revision: str | None = None
    """The newest revision of the ledger."""
    seq: int = 0
    """Its number."""
    attempt: int = 0
    """How many releases this route has had."""
    stable: VersionRef | None = None
    """The version that serves."""
    candidate: VersionRef | None = None
    """The version being released."""
    target: VersionRef | None = None
    """The target of the spec that was read last."""
    previous: VersionRef | None = None
    """The version before the last promotion."""
    weight: int = 0
    """The candidate's weight, in 1/10,000."""
    share: int | None = None
    """What it really got in this step."""
    step: StepStatus | None = None
    paused: bool = False
    waiting: str = ""
    """What the rollout waits for, as a sentence."""
    rollback_ready: bool = False
    """Whether the version that a rollback goes to can take the load."""
    ready: dict[str, int] = {}
    """Ready instances of stable, candidate, target and previous, by role."""
    wanted: tuple[WantedInstances, ...] = ()
    """How many instances each version needs."""
    returnable: tuple[str, ...] = ()
    """Ready versions that `rollback --to` takes, while stable has no ready instance."""
    gateways: tuple[Gateway, ...] = ()
    """Every gateway, and the revision of this route that it serves."""
    checks: tuple[Check, ...] = ()
    """The current result of each gate."""
    evidence: Evidence = Evidence()
    last_window: Window | None = None
    shadow: ShadowStatus | None = None
    """How mirrored answers compare; None if nothing was ever compared."""
    rejected: tuple[Rejected, ...] = ()
    conditions: tuple[Condition, ...] = ()

    def condition(self, kind: str) -> Condition | None:
        """One condition by its type; None while the engine has not set it."""
        return next((one for one in self.conditions if one.type == kind), None)
