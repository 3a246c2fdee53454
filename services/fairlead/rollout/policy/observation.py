"""What the policy sees and what it says: two frozen values, and nothing else passes between it and the world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import inf

from fairlead.contracts.action import Outcome
from fairlead.contracts.answers import ShadowStatus
from fairlead.contracts.revision import Check, Revision, Window
from fairlead.contracts.route import VersionRef
from fairlead.rollout.ports import GatewayState


@dataclass(frozen=True, slots=True)
class Observation:
    """One route's world at one moment."""

    now: datetime
    ready: Mapping[VersionRef, int] = field(default_factory=dict)
    """Ready instances per version; a version that is not named has none."""
    gateways: tuple[GatewayState, ...] = ()
    smoke: Check | None = None
    """What the candidate's golden rows said in this attempt; None when they were not asked."""
    windows: tuple[Window, ...] = ()
    """What was counted since this attempt began, ascending."""
    since_window_s: float = inf
    """How long was watched since the newest window, by a clock that nobody sets."""
    since_entered_s: float = inf
    """The same since the present phase or step began; without end where that was before the engine's first look."""
    shadow: ShadowStatus | None = None
    """What mirrored answers were like, for people."""
    named: Mapping[int, Revision] = field(default_factory=dict)
    """The revisions that pending rollbacks name, as far as they are kept."""


@dataclass(frozen=True, slots=True)
class FinishedAction:
    """What became of an action. `revision` is set where one carried it out."""

    name: str
    outcome: Outcome
    message: str = ""
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do now. `next`, when given, is the head's successor, complete but for its windows and hash."""

    next: Revision | None = None
    finished: tuple[FinishedAction, ...] = ()
    """Actions to finish before anything is appended; the one that `next` carries out is not among them."""
    waiting: str = ""
    """One sentence: what the rollout waits for. Empty at rest."""
    checks: tuple[Check, ...] = ()
    """What every gate says now; empty at rest."""
