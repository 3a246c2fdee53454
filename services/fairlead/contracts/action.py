"""`ModelRouteAction`: a request to the rollout engine, created once, idempotent by its name."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from fairlead.contracts.base import Document, Moment
from fairlead.contracts.manifest import ModelName


class ActionType(StrEnum):
    """The kinds of request."""

    ROLLBACK = "rollback"
    RETRY = "retry"
    APPROVE = "approve"
    PAUSE = "pause"
    RESUME = "resume"


class Outcome(StrEnum):
    """The result of an action."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXPIRED = "expired"


class Action(Document):
    """One request. `attempt`, when given, limits it to that attempt: a late approval never approves the next one."""

    namespace: str = "default"
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$")]
    route: ModelName
    """The ModelRoute that the action applies to."""
    type: ActionType
    """The requested action. RBAC grants each type as a verb on the route."""
    attempt: int | None = None
    """The attempt the action applies to; None for the current one."""
    step: int | None = None
    """For an approval: the step it applies to, counted from 0; None for the current one."""
    to_revision: int | None = None
    """For a rollback: the revision whose stable version should serve again; None for the previous one."""
    actor: str
    """Who requests the action. In a cluster a policy requires it to equal the caller's user name."""
    actor_verified: bool = False
    """Whether `actor` was checked against the caller."""
    reason: str = ""
    """Why the action is requested; stored in the ledger."""
    created_at: Moment
    expires_at: Moment | None = None
    """When the action expires if it has not been carried out."""
    outcome: Outcome = Outcome.PENDING
    """The result of the action."""
    message: str = ""
    """The engine's explanation of the outcome."""
    revision: int | None = None
    """The revision that carried the action out."""

    def is_same_request(self, other: Action) -> bool:
        """True when both request the same thing. Actors and times may differ."""
        mine = (self.namespace, self.route, self.type, self.attempt, self.step, self.to_revision)
        return mine == (other.namespace, other.route, other.type, other.attempt, other.step, other.to_revision)
