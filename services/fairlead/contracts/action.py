"""`ModelRouteAction`: a request to the rollout engine, created once, idempotent by its name."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import StringConstraints

from fairlead.contracts.base import Document, Duration, Moment
from fairlead.contracts.manifest import ModelName


class ActionType(StrEnum):
    """The kinds of request."""

    ROLLBACK = "rollback"
    RETRY = "retry"
    APPROVE = "approve"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"


OPTIONS = ("toRevision", "evenIfDown", "evenIfStableServes", "pauseFor")
"""What a request says beyond its type, as the commands and the action socket name it."""

PAUSE_LIMITS_S = (1.0, 7 * 86400.0)
"""The shortest and the longest pause that ends by itself."""


def pause_limits() -> str:
    """The limits as words, for errors."""
    return "a pause that ends by itself lasts 1s to 7d; without --for it lasts until `fairlead resume`"


class Outcome(StrEnum):
    """The result of an action."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    EXPIRED = "expired"


class Action(Document):
    """One request. `attempt`, when given, limits it to that attempt: the commands set it, so that a late rollback never
    rejects the next version, and a late approval never approves it."""

    namespace: str = "default"
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$")]
    route: ModelName
    """The ModelRoute that the action applies to."""
    type: ActionType
    """The requested action. RBAC grants each type as a verb on the route."""
    attempt: int | None = None
    """The attempt the action applies to; None for the current one."""
    generation: int | None = None
    """A generation of the spec: the attempt that it begins after `attempt` is meant as well."""
    step: int | None = None
    """For an approval: the step it applies to, counted from 0; None for the current one."""
    to_revision: int | None = None
    """For a rollback: the revision whose stable version should serve again; None for the previous one."""
    even_if_down: bool = False
    """Move users even onto a version without a ready instance, away from one that has one."""
    even_if_stable_serves: bool = False
    """For promote: skip the gates although stable has a ready instance."""
    pause_for: Duration | None = None
    """For a pause: after this time, 1s to 7d, it ends by itself; None: it lasts until resume."""
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
        return self._request() == other._request()

    def _request(self) -> tuple[object, ...]:
        where = (self.namespace, self.route, self.type, self.attempt, self.generation)
        return (*where, self.step, self.to_revision, self.even_if_down, self.even_if_stable_serves, self.pause_for)
