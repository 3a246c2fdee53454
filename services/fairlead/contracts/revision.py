"""*Revision*: one published table with its cause, its actor and its evidence, chained to the one before.

The head of a route's chain is the whole state of its rollout. Whatever decides reads the head and appends the
next; nothing else is remembered, so a process killed at any write resumes from what was written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, FiniteFloat, model_validator

from fairlead.contracts.answers import ClassCounts, Pairs
from fairlead.contracts.base import Document, Moment, canonical, digest
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
    PINNED = "pinned"
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
    numbers: dict[str, FiniteFloat] = {}


class Counts(Document):
    """Requests counted over a window: `n` in all, `bad` of them. Counts, never rates."""

    n: Annotated[int, Field(ge=0)] = 0
    bad: Annotated[int, Field(ge=0)] = 0

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(n=self.n + other.n, bad=self.bad + other.bad)


class Arms(Document):
    """The same thing counted for both versions."""

    candidate: Counts = Counts()
    stable: Counts = Counts()

    def plus(self, other: Arms) -> Arms:
        """Both together."""
        return Arms(candidate=self.candidate.plus(other.candidate), stable=self.stable.plus(other.stable))


Buckets = tuple[Annotated[int, Field(ge=0)], ...]


class Histograms(Document):
    """Answers by latency: how many took at most each bound of the gateways' grid, cumulative. Empty: not told."""

    candidate: Buckets = ()
    stable: Buckets = ()

    def plus(self, other: Histograms) -> Histograms:
        """Both together."""
        return Histograms(
            candidate=add_buckets(self.candidate, other.candidate), stable=add_buckets(self.stable, other.stable)
        )


def add_buckets(one: Buckets, other: Buckets) -> Buckets:
    """Bound by bound; what is empty adds nothing."""
    if not one or not other:
        return one or other
    return tuple(a + b for a, b in zip(one, other, strict=True))


class Tally(Document):
    """What one custom gate counted, up to `until`. With `gap` set it is no evidence, and counts nothing."""

    arms: Arms = Arms()
    until: Moment
    gap: str | None = None


class GateEvidence(Document):
    """What an attempt's windows so far say at one evidence gate: logarithms of e-values, for harm and for safety."""

    gate: str
    log_harm: FiniteFloat = 0.0
    log_safe: FiniteFloat = 0.0
    settings: str = ""
    """What was tested, as a digest: under other margins it is another test, and begins anew."""
    state: dict[str, tuple[FiniteFloat, ...]] = {}
    """What the next window goes on from. Only the newest window keeps it."""


class Window(Document):
    """What the gateways counted between two readings (architecture, section 9).

    `candidate` are attempts the candidate answered, `stable` stable's own share; `assigned` requests were given
    to the candidate and `unserved` of them were not answered well by it. A window with `gap` set is no evidence
    and counts nothing. `ready` is how many of the candidate's instances were ready at its end, None for unknown.
    """

    start: Moment
    end: Moment
    weight: int
    candidate: Counts = Counts()
    stable: Counts = Counts()
    assigned: int = 0
    unserved: int = 0
    rejections: Arms = Arms()
    """Answers that say the request was wrong: 4xx other than 429."""
    latency: Histograms = Histograms()
    pairs: Pairs = Pairs()
    """Mirrored requests that both versions answered. Services tell them, so a gap of the gateways is none of theirs."""
    classes: ClassCounts = ClassCounts()
    """What users were answered, by class; from the services as well."""
    custom: dict[str, Tally] = {}
    """What custom gates counted, each over a time of its own; one that is not there had nothing new."""
    ready: int | None = None
    gap: str | None = None
    evidence: tuple[GateEvidence, ...] = ()
    """What the attempt's windows up to this one say."""

    @model_validator(mode="after")
    def _a_gap_counts_nothing(self) -> Self:
        if self.gap is not None and (self.candidate.n or self.stable.n or self.assigned or self.unserved):
            raise ValueError("a window with a gap is no evidence and may count nothing")
        return self

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return (self.end - self.start).total_seconds()

    def merged(self, later: Window) -> Window:
        """This window and the next one as one. What one of them could not count adds nothing."""
        ready = None if self.ready is None or later.ready is None else max(self.ready, later.ready)
        return Window(
            # One that was replayed is older than the gap before it, which was noted when it could not be counted.
            start=min(self.start, later.start),
            end=max(self.end, later.end),
            weight=later.weight,
            candidate=self.candidate.plus(later.candidate),
            stable=self.stable.plus(later.stable),
            assigned=self.assigned + later.assigned,
            unserved=self.unserved + later.unserved,
            rejections=self.rejections.plus(later.rejections),
            latency=self.latency.plus(later.latency),
            pairs=self.pairs.plus(later.pairs),
            classes=self.classes.plus(later.classes),
            custom=_together(self.custom, later.custom),
            ready=ready,
            gap=later.gap if self.gap and later.gap else None,
            evidence=later.evidence,
        )

    def passed(self) -> Window:
        """This window when a newer one carries the state on; its e-values stay."""
        if not any(one.state for one in self.evidence):
            return self
        evidence = tuple(one.model_copy(update={"state": {}}) for one in self.evidence)
        return self.model_copy(update={"evidence": evidence})


def _together(earlier: Mapping[str, Tally], later: Mapping[str, Tally]) -> dict[str, Tally]:
    found = {**earlier, **later}
    for gate in earlier.keys() & later.keys():
        one, other = earlier[gate], later[gate]
        found[gate] = Tally(
            arms=one.arms.plus(other.arms), until=other.until, gap=other.gap if one.gap and other.gap else None
        )
    return found


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
    previous_revision: int | None = None
    """The last revision in which `previous` was stable: where a rollback returns to."""
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
        return hash_of(self.to_json())

    def sealed(self) -> Revision:
        """The same revision with its hash filled in."""
        return self.model_copy(update={"hash": self.content_hash()})


class Checkpoint(Document):
    """Left by pruning: the chain goes on from here, and everything up to `seq` hashed to `hash`."""

    route: ModelName
    seq: int
    hash: str
    pruned_at: Moment


def hash_of(document: Mapping[str, Any]) -> str:
    """A revision's hash, computed from its JSON as it was stored.

    From the document and not from the class, because a later release may add a field with a default, and what was
    written before must still match.
    """
    return digest(canonical({key: value for key, value in document.items() if key != "hash"}))


def find_break(documents: Iterable[Mapping[str, Any]], checkpoint: Checkpoint | None = None) -> str | None:
    """None when the chain holds, else one sentence naming the first revision that does not fit.

    `documents` are stored revisions, ascending by `seq`. Up to `checkpoint` single ones may be left (promotions are
    kept): each must match its own hash. After it, or from the beginning, each continues the one before.
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
