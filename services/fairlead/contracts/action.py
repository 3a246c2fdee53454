"""`ModelRouteAction`: a request to the engine, created once, idempotent by its name."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from fairlead.contracts.base import Document, Moment
from fairlead.contracts.manifest import ModelName


class ActionType(StrEnum):
    """What may be asked."""

    ROLLBACK = "rollback"
    RETRY = "retry"
    APPROVE = "approve"
    PAUSE = "pause"
    RESUME = "resume"


class Outcome(StrEnum):
    """What became of it."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXPIRED = "expired"


class Action(Document):
    """One request. `attempt`, when given, is the attempt it is meant for: a late approval never approves the next."""

    namespace: str = "default"
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$")]
    route: ModelName
    """The ModelRoute it is about."""
    type: ActionType
    """What is asked; RBAC grants each type as a verb on the route."""
    attempt: int | None = None
    """The attempt it is meant for; None for whichever is present."""
    step: int | None = None
    """For an approval: the step it is meant for, counted from 0; None for the present one."""
    to_revision: int | None = None
    """For a rollback: the revision whose stable version shall serve again; None for the one before."""
    actor: str
    """Who asks. In a cluster a policy holds it equal to the caller's user name."""
    actor_verified: bool = False
    """Whether something held `actor` against the caller."""
    reason: str = ""
    """Why; it goes into the ledger."""
    created_at: Moment
    expires_at: Moment | None = None
    """When it is worth nothing any more if nobody acted on it."""
    outcome: Outcome = Outcome.PENDING
    """What became of it."""
    message: str = ""
    """The engine's sentence about it."""
    revision: int | None = None
    """The revision that carried it out."""

    def asks_the_same(self, other: Action) -> bool:
        """True when both ask for the same thing, by whomever and whenever."""
        mine = (self.namespace, self.route, self.type, self.attempt, self.step, self.to_revision)
        return mine == (other.namespace, other.route, other.type, other.attempt, other.step, other.to_revision)
