"""Revisions: the entries of a route's ledger. Each has a table, its cause, actor and evidence, and its parent's hash.

The head of a route's chain is the whole state of its rollout. The engine reads the head and appends the next
revision. It keeps no other state, so a process that is killed at any point resumes from the head.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field, FiniteFloat

from fairlead.contracts.base import Document, Duration, Moment, canonical, digest
from fairlead.contracts.manifest import ModelName
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.contracts.window import Window


class Phase(StrEnum):
    """The state of a route: no rollout in progress (Stable), or how far the rollout has come."""

    STABLE = "Stable"
    PREPARING = "Preparing"
    SHADOWING = "Shadowing"
    CANARY = "Canary"


class Cause(StrEnum):
    """Why a revision was appended."""

    CREATED = "created"
    SPEC = "spec"
    RELEASED = "released"
    PINNED = "pinned"
    STEP = "step"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled-back"
    ACTION = "action"
    COLD = "cold"
    """Nobody used a version: requests for it wait from now on, and its instances stop."""
    WOKEN = "woken"
    """A cold version has its instances again."""
    REMOVED = "removed"
    """The model was removed: nothing serves it any more. Its ledger stays; a later `created` continues it."""


class Verdict(StrEnum):
    """The result of a gate. Inconclusive is not evidence, so the rollout holds."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class Check(Document):
    """One gate's verdict, with a reason for people and the numbers behind it."""

    gate: str
    verdict: Verdict
    reason: str
    numbers: dict[str, FiniteFloat] = {}


class Rejected(Document):
    """Not tried again until a retry action clears it."""

    ref: VersionRef
    revision: int
    reason: str
    by: str = ""
    """The person who rolled it back; empty where a gate did."""


class Accepted(Document):
    """Breaking types that somebody accepted for one attempt."""

    text: str
    """The annotation that accepted them (`contracts.acceptance`)."""
    attempt: int


class State(Document):
    """The state of the rollout after a revision."""

    phase: Phase = Phase.STABLE
    attempt: int = 0
    target: VersionRef
    """The last requested target that could start; during a rollout the version being released."""
    declined: VersionRef | None = None
    """A target that the spec asked for during this rollout and that was rejected before: the rollout goes on."""
    stable_instances: int = 0
    """How many instances stable should have had, or had ready, when the attempt began; windows have it from then on."""
    previous: VersionRef | None = None
    """The version before the last promotion; it keeps running during the rollback window."""
    previous_revision: int | None = None
    """The last revision in which `previous` was stable. A rollback returns to it."""
    promoted_at: Moment | None = None
    step: int = -1
    """Index into the strategy's steps; -1 before the first."""
    entered_at: Moment
    """When the phase or step began; durations count from here."""
    approved: int = -1
    """The highest step that a person has approved for this attempt."""
    paused: bool = False
    paused_until: Moment | None = None
    """When the pause ends by itself; None: when a person resumes."""
    paused_for: Duration | None = None
    """How long that pause lasts in all. Whatever the clock says, it never lasts longer."""
    rejected: tuple[Rejected, ...] = ()
    accepted: Accepted | None = None
    """The last breaking types that were accepted, in this attempt or in an earlier one."""

    def rejection_of(self, ref: VersionRef | None) -> Rejected | None:
        """Why this identity is not tried again; None if it was not rejected."""
        return next((one for one in self.rejected if one.ref == ref), None)


class Revision(Document):
    """One entry of the ledger. `hash` covers all its other fields; `parent` is the hash of the entry before."""

    namespace: str = "default"
    route: ModelName
    seq: Annotated[int, Field(ge=1)]
    parent: str = ""
    cause: Cause
    actor: str = "fairlead"
    actor_verified: bool = False
    reason: str = ""
    action: str | None = None
    """The action that caused this revision. An action named here has been carried out."""
    restored_from: int | None = None
    generation: int
    """The spec generation that the decision was based on."""
    settings: str = ""
    """The settings of the spec that the decision was based on, as JSON without defaults. Empty: unknown."""
    table: Table
    state: State
    evidence: tuple[Check, ...] = ()
    windows: tuple[Window, ...] = ()
    created_at: Moment
    hash: str = ""

    @property
    def id(self) -> str:
        """The value that the gateway sends as `x-route-revision`: "iris.12"."""
        return f"{self.route}.{self.seq}"

    def content_hash(self) -> str:
        """SHA-256 over the canonical JSON of all fields except the hash itself; the parent is included."""
        return hash_of(self.to_json())

    def sealed(self) -> Revision:
        """The same revision with its hash filled in."""
        return self.model_copy(update={"hash": self.content_hash()})


class Checkpoint(Document):
    """Where pruning stopped: the chain continues from here. `hash` is the hash of revision `seq`."""

    route: ModelName
    seq: int
    hash: str
    pruned_at: Moment


def hash_of(document: Mapping[str, Any]) -> str:
    """A revision's hash, computed from its JSON as stored.

    It is not computed from the Python object: a later release may add a field with a default, and the hashes of older
    revisions must still match.
    """
    return digest(canonical({key: value for key, value in document.items() if key != "hash"}))


def find_break(documents: Iterable[Mapping[str, Any]], checkpoint: Checkpoint | None = None) -> str | None:
    """None if the chain is intact, else one sentence that names the first broken revision.

    `documents` are stored revisions, ascending by `seq`. Up to `checkpoint` some may be missing (promotions are kept),
    and each one must match its own hash. After the checkpoint, or from the beginning if there is none, each must also
    continue the one before.
    """
    seq, parent = (checkpoint.seq, checkpoint.hash) if checkpoint else (0, "")
    for document in documents:
        route, this = document.get("route"), document.get("seq", 0)
        if hash_of(document) != document.get("hash"):
            return f"revision {route}.{this} was changed after it was written: its content does not match its hash"
        if checkpoint and this <= checkpoint.seq:
            if this == checkpoint.seq and document["hash"] != checkpoint.hash:
                return f"revision {route}.{this} is not the one that the checkpoint names"
            continue
        if this != seq + 1:
            return f"revision {route}.{seq + 1} is missing: {route}.{this} follows {route}.{seq}"
        if document.get("parent") != parent:
            return f"revision {route}.{this} does not continue the chain: its parent is not {route}.{seq}"
        seq, parent = this, document["hash"]
    return None
