"""The input and the output of the policy, as two frozen values: `Observation` and `Decision`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf

from fairlead.contracts.action import Outcome
from fairlead.contracts.answers import ShadowStatus
from fairlead.contracts.revision import Check, Revision
from fairlead.contracts.route import VersionRef
from fairlead.contracts.status import Condition
from fairlead.contracts.window import Window
from fairlead.rollout.policy.unready import Unready
from fairlead.rollout.ports import GatewayState

LOST_GATEWAY_HOLD_S = 60.0
"""How long a gateway that stopped answering holds the weight. Until then it may still serve users an older table."""


@dataclass(frozen=True, slots=True)
class Observation:
    """The observed state of one route at one moment."""

    now: datetime
    ready: Mapping[VersionRef, int] = field(default_factory=dict)
    """Ready instances per version; a version that is not named has none. Those of a cold version count when every
    gateway has found one."""
    unready: Mapping[VersionRef, Unready] = field(default_factory=dict)
    """Why the versions without a ready instance have none, as far as their instances say it."""
    missing: Mapping[VersionRef, str] = field(default_factory=dict)
    """Why further instances of a version cannot be created: a quota that is used up, a policy."""
    unknown: str = ""
    """Why `ready` and `unready` may be old, as a sentence; empty while they are current. Old ones raise no weight and
    roll nothing back."""
    wanted: Mapping[VersionRef, int] = field(default_factory=dict)
    """How many instances each version should have; a version that is not named is managed elsewhere."""
    present: frozenset[VersionRef] = frozenset()
    """Versions that have an instance, ready or not, which is not known to end; known only while a version is cold."""
    idle_s: Mapping[VersionRef, float] = field(default_factory=dict)
    """How long nobody has used a version, in seconds by a monotonic clock. One that is not named is in use."""
    asked: frozenset[VersionRef] = frozenset()
    """Versions that requests wait for."""
    gateways: tuple[GatewayState, ...] = ()
    lost: tuple[GatewayState, ...] = ()
    """Gateways that answered a short time ago and do not answer now, as they last answered."""
    silent_s: float = 0.0
    """Seconds, by a monotonic clock, since a gateway last answered and served this route, or since the first tick."""
    smoke: Check | None = None
    """The result of the candidate's golden rows in this attempt; None if they were not sent."""
    windows: tuple[Window, ...] = ()
    """The windows of this attempt, ascending."""
    since_window_s: float = inf
    """Observed seconds since the newest window, by a monotonic clock."""
    since_entered_s: float = inf
    """Observed seconds since the present phase or step began; infinite if that was before the engine's first tick."""
    shadow: ShadowStatus | None = None
    """The comparison of mirrored requests, for people."""
    problems: Mapping[VersionRef, Mapping[str, int]] = field(default_factory=dict)
    """How often predictions failed in this attempt, by version, and by status and sentence. For people, no evidence."""
    inputs: Condition | None = None
    """Whether the candidate gets other rows than stable, `InputsDiffer`. For people, no evidence."""
    pause_left_s: float = inf
    """Seconds until the pause ends by itself, by a monotonic clock; infinite if it does not."""
    returnable: tuple[VersionRef, ...] = ()
    """Ready versions that a rollback `--to` their name would take; known only while stable has no ready instance."""
    named: Mapping[int, Revision] = field(default_factory=dict)
    """The revisions that pending rollbacks name, if the ledger still has them."""


@dataclass(frozen=True, slots=True)
class FinishedAction:
    """The outcome of an action. `revision` is set if a revision carried it out."""

    name: str
    outcome: Outcome
    message: str = ""
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now. `next`, if set, is the head's successor, complete except for its windows and hash."""

    next: Revision | None = None
    finished: tuple[FinishedAction, ...] = ()
    """Actions to finish before `next` is appended, without the action that `next` carries out."""
    answer: str = ""
    """What the user whose action `next` carries out is told."""
    waiting: str = ""
    """One sentence: what the rollout waits for. Usually empty when no rollout is in progress."""
    checks: tuple[Check, ...] = ()
    """The checks of all gates; empty when no rollout is in progress."""
