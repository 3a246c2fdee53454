"""*Revision*: one published table with its cause, its actor and its evidence, chained to the one before.

The head of a route's chain is the whole state of its rollout. Whatever decides reads the head and appends the
next; nothing else is remembered, so a process killed at any write resumes from what was written.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from fairlead.contracts.base import Document, Moment, digest
from fairlead.contracts.manifest import ModelName
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table


class Phase(StrEnum):
    """Where a route stands: at rest, or how far its release has come."""

    STABLE = "Stable"
    PREPARING = "Preparing"
    SHADOWING = "Shadowing"
    CANARY = "Canary"


class Cause(StrEnum):
    """Why a revision was appended."""

    CREATED = "created"
    SPEC = "spec"
    RELEASED = "released"
    STEP = "step"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    ACTION = "action"


class Verdict(StrEnum):
    """What a gate says. Inconclusive is never evidence: it holds."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Check(Document):
    """One gate's verdict, with the reason for a person and the numbers behind it."""

    gate: str
    verdict: Verdict
    reason: str
    numbers: dict[str, float] = {}


class Counts(Document):
    """Requests counted over a window: `n` in all, `bad` of them. Counts, never rates."""

    n: Annotated[int, Field(ge=0)] = 0
    bad: Annotated[int, Field(ge=0)] = 0


class Window(Document):
    """What the gateways counted between two readings (architecture, section 9).

    `candidate` are attempts the candidate answered, `stable` stable's own share; `assigned` requests were given
    to the candidate and `unserved` of them were not answered well by it. A window with `gap` set is no evidence.
    """

    start: Moment
    end: Moment
    weight: int
    candidate: Counts = Counts()
    stable: Counts = Counts()
    assigned: int = 0
    unserved: int = 0
    gap: str | None = None


class Rejected(Document):
    """An identity that failed: not tried again until a retry action clears it."""

    ref: VersionRef
    revision: int
    reason: str


class State(Document):
    """Where the rollout stands after a revision."""

    phase: Phase = Phase.STABLE
    attempt: int = 0
    target: VersionRef
    """The identity the route was last asked for."""
    previous: VersionRef | None = None
    """The version before the last promotion, kept running through the rollback window."""
    promoted_at: Moment | None = None
    step: int = -1
    """Index into the strategy's steps; -1 before the first."""
    entered_at: Moment
    """When the phase or step began; durations count from here."""
    approved: int = -1
    """The highest step a person approved for this attempt."""
    paused: bool = False
    rejected: tuple[Rejected, ...] = ()


class Revision(Document):
    """One line of the ledger. `hash` covers everything else in it, `parent` the line before."""

    namespace: str = "default"
    route: ModelName
    seq: Annotated[int, Field(ge=1)]
    parent: str = ""
    cause: Cause
    actor: str = "fairlead"
    actor_verified: bool = False
    reason: str = ""
    action: str | None = None
    """The action that asked for it; finding it here means that the action was carried out."""
    restored_from: int | None = None
    generation: int
    """The spec generation it was decided on."""
    table: Table
    state: State
    evidence: tuple[Check, ...] = ()
    windows: tuple[Window, ...] = ()
    created_at: Moment
    hash: str = ""

    @property
    def id(self) -> str:
        """What the gateway puts into `x-route-revision`: "iris.12"."""
        return f"{self.route}.{self.seq}"

    def content_hash(self) -> str:
        """SHA-256 over the canonical JSON of everything but the hash itself, parent included."""
        return digest(self.model_dump_json(by_alias=True, exclude={"hash"}))

    def sealed(self) -> Revision:
        """The same revision with its hash filled in."""
        return self.model_copy(update={"hash": self.content_hash()})


class Checkpoint(Document):
    """Left by pruning: the chain goes on from here, and everything up to `seq` hashed to `hash`."""

    route: ModelName
    seq: int
    hash: str
    pruned_at: Moment


def find_break(revisions: list[Revision], checkpoint: Checkpoint | None = None) -> str | None:
    """None when the chain holds, else one sentence naming the first revision that does not fit.

    `revisions` ascend by `seq`; `checkpoint` is where pruning left off, None for a chain from its beginning.
    """
    seq, parent = (checkpoint.seq, checkpoint.hash) if checkpoint else (0, "")
    for revision in revisions:
        if revision.seq != seq + 1:
            return f"revision {revision.route}.{seq + 1} is missing: {revision.id} follows {revision.route}.{seq}"
        if revision.content_hash() != revision.hash:
            return f"revision {revision.id} was changed after it was written: its content does not match its hash"
        if revision.parent != parent:
            return f"revision {revision.id} does not continue the chain: its parent is not {revision.route}.{seq}"
        seq, parent = revision.seq, revision.hash
    return None


def revision_from(data: dict[str, Any]) -> Revision:
    """A stored revision, as it was written; raises pydantic's ValidationError when it is not one."""
    return Revision.model_validate(data)
