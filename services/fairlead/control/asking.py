"""Asks the engine for an action and waits for its answer: for the action socket and for the console."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from pydantic import ValidationError

from fairlead import errors
from fairlead.contracts.action import OPTIONS, Action, ActionType, Outcome
from fairlead.contracts.bound_action import BINDING, bound
from fairlead.contracts.earlier_versions import names_to_return_to, revision_named
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route
from fairlead.contracts.spelling import reason_too_long

ANSWER_TIMEOUT_S = 5.0
"""How long a request waits for the engine. After that the action stays stored; the engine may carry it out until it
expires."""
LIFETIME = timedelta(minutes=10)
_POLL_INTERVAL_S = 0.005


class ActionStore(Protocol):
    """The part of the store that actions need."""

    def route(self, name: str) -> Route: ...  # noqa: D102
    def head(self, route: str) -> Revision | None: ...  # noqa: D102
    def revisions(self, route: str, *, limit: int | None = None) -> list[Revision]: ...  # noqa: D102
    def instances(self) -> list[Instance]: ...  # noqa: D102
    def create_action(self, action: Action) -> Action: ...  # noqa: D102
    def action(self, name: str) -> Action: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, and whether that was checked."""

    name: str
    is_verified: bool

    @classmethod
    def of(cls, claimed: object, peer: str | None) -> Actor:
        """A name that somebody claims is no verified one; else it is that of the process that asks."""
        return cls(str(claimed), False) if claimed else cls(peer or "unknown", peer is not None)


class Asking:
    """Stores requests, and waits for what the engine says. Any thread may use it."""

    def __init__(self, store: ActionStore, *, answer_timeout_s: float = ANSWER_TIMEOUT_S) -> None:
        self._store = store
        self._answer_timeout_s = answer_timeout_s

    def ask(self, asked: Mapping[str, Any], actor: Actor) -> Action:
        """The action with its outcome; it is still pending if the engine did not answer in time.

        Asking again with the same `name` gives the same action. Raises Invalid, NotFound, and Conflict if the name
        stands for a different request.
        """
        action = self._store.create_action(self._as_action(asked, actor))
        deadline = time.monotonic() + self._answer_timeout_s
        while action.outcome is Outcome.PENDING and time.monotonic() < deadline:
            time.sleep(_POLL_INTERVAL_S)
            action = self._store.action(action.name)
        return action

    def asked(self, name: str) -> Action:
        """The action of this name as it is now. Raises NotFound."""
        return self._store.action(name)

    def other_versions(self, action: Action) -> list[str]:
        """After a refused rollback: the versions that one could return to instead."""
        if action.type is not ActionType.ROLLBACK or action.outcome is not Outcome.REFUSED:
            return []
        route = self._store.route(action.route)
        return names_to_return_to(route, self._store.revisions(route.name), self._store.instances())

    def _as_action(self, asked: Mapping[str, Any], actor: Actor) -> Action:
        """Build the action. It is bound to the attempt that the person saw, or else to the current one."""
        model, kind = str(asked.get("model")), str(asked.get("type"))
        route = self._store.route(model)
        seen = {name: asked[name] for name in BINDING if asked.get(name) is not None} or self._bound(route, kind)
        since = _asked_at(asked)
        options = {name: asked[name] for name in OPTIONS if asked.get(name) is not None}
        if isinstance(to := options.get("toRevision"), str | int):
            options["toRevision"] = revision_named(to, route, lambda: self._store.revisions(model))
        if why := reason_too_long(str(asked.get("reason") or "")):
            raise errors.Invalid(why)
        try:
            return Action.model_validate(
                {
                    "name": asked.get("name"),
                    "route": model,
                    "type": kind,
                    **seen,
                    **options,
                    "actor": actor.name,
                    "actorVerified": actor.is_verified,
                    "reason": asked.get("reason") or "",
                    "createdAt": since,
                    "expiresAt": since + LIFETIME,
                }
            )
        except ValidationError as error:
            first = error.errors()[0]
            raise errors.Invalid(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None

    def _bound(self, route: Route, kind: str) -> dict[str, int]:
        head = self._store.head(route.name)
        if head is None:
            return {}
        return bound(kind, head.state.attempt, head.state.step, head.generation, route.generation)


def _asked_at(asked: Mapping[str, Any]) -> datetime:
    """When the command began, by the same clock: a request may wait long for a control plane that hangs."""
    now = datetime.now(UTC)
    try:
        return min(now, datetime.fromisoformat(str(asked.get("createdAt"))))
    except (ValueError, TypeError):
        return now
