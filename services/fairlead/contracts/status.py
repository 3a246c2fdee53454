"""The status of a route: what the engine says of it, and what the API, the command line and the console show."""

from __future__ import annotations

from fairlead.contracts.answers import ShadowStatus
from fairlead.contracts.base import Document
from fairlead.contracts.revision import Check, Counts, Phase, Rejected, Window
from fairlead.contracts.route import VersionRef


class Condition(Document):
    """One thing that is so or is not. `reason` is a word for machines, `message` a sentence for people."""

    type: str
    status: bool
    reason: str
    message: str = ""


class Gateway(Document):
    """One gateway, and which revision of this route it serves."""

    name: str
    reachable: bool
    programmed: int | None = None
    """None while it serves nothing of this route. An object in Kubernetes keeps no field that is null."""
    rejected: str | None = None


class StepStatus(Document):
    """Where a rollout stands: step `number` of `of`, 0 before the first."""

    number: int
    of: int
    entered_at: str
    approved: bool


class Evidence(Document):
    """What the attempt counted so far. `gaps` of its `windows` are no evidence."""

    candidate: Counts = Counts()
    stable: Counts = Counts()
    assigned: int = 0
    unserved: int = 0
    windows: int = 0
    gaps: int = 0


class Status(Document):
    """The status of a route, as the API, the console and the command line show it."""

    route: str
    observed_generation: int
    """The generation of the spec that this speaks of."""
    phase: Phase | None = None
    revision: str | None = None
    """The last line of the ledger."""
    seq: int = 0
    """Its number."""
    attempt: int = 0
    """How many releases this route has seen."""
    stable: VersionRef | None = None
    """What serves."""
    candidate: VersionRef | None = None
    """What is being released."""
    target: VersionRef
    """What the spec asked for when it was last looked at."""
    previous: VersionRef | None = None
    """The version before the last promotion."""
    weight: int = 0
    """The candidate's share, in 1/10,000."""
    step: StepStatus | None = None
    paused: bool = False
    waiting: str = ""
    """What the rollout waits for, as a sentence."""
    rollback_ready: bool = False
    """Whether one command leads back to a version with capacity for today's load."""
    ready: dict[str, int] = {}
    """Ready instances of stable, candidate, target and previous, by role."""
    gateways: tuple[Gateway, ...] = ()
    """Every gateway, and which revision of this route it serves."""
    checks: tuple[Check, ...] = ()
    """What each gate says now."""
    evidence: Evidence = Evidence()
    last_window: Window | None = None
    shadow: ShadowStatus | None = None
    """What mirrored answers were like; None where nothing was ever compared."""
    rejected: tuple[Rejected, ...] = ()
    conditions: tuple[Condition, ...] = ()

    def condition(self, kind: str) -> Condition | None:
        """One condition by its type; None while the engine has not spoken of it."""
        return next((one for one in self.conditions if one.type == kind), None)
