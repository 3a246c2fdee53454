"""Actions: ModelRouteAction objects, created by whoever asks and answered in their status by the engine."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from pydantic import ValidationError

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.action import Action, Outcome
from fairlead.store.kubernetes.api import AlreadyExists
from fairlead.store.kubernetes.kinds import ACTIONS, ROUTES, Object, name_of
from fairlead.store.kubernetes.ledger import owned_by
from fairlead.store.kubernetes.session import Session

KEPT_ACTIONS = 50
"""Finished actions per route that stay as objects. The ledger names every one that was carried out."""
_ASKED = ("route", "type", "attempt", "step", "toRevision", "actor", "reason", "createdAt", "expiresAt")


class KubernetesActions:
    """`store.base.ActionStore`."""

    _session: Session
    _sorted: tuple[tuple[Object, ...], dict[str, list[Object]]]

    @property
    def actors_are_verified(self) -> bool:
        """Whether a policy holds an action's actor against its caller; see `admission`."""
        raise NotImplementedError

    def create_action(self, action: Action) -> Action:
        """Store it; the same name again returns what is stored. Raises Conflict if that asks for something else."""
        session, document = self._session, action.to_json()
        metadata: Object = {"name": action.name, "labels": {labels.ROUTE: action.route}}
        route = session.objects.get(ROUTES, action.route)
        if route is not None:
            metadata["ownerReferences"] = [owned_by(route)]
        spec = {name: document[name] for name in _ASKED if document.get(name) is not None}
        try:
            written = session.api.create(ACTIONS, session.namespace, {"metadata": metadata, "spec": spec})
        except AlreadyExists:
            found = self._action(session.api.get(ACTIONS, session.namespace, action.name))
            if not found.asks_the_same(action.model_copy(update={"namespace": session.namespace})):
                raise errors.Conflict(
                    f"action {action.name!r} exists and asks for something else: {found.type} of {found.route!r}",
                    hint="give this one another name",
                ) from None
            return found
        written = ACTIONS.trim(written)
        session.objects.learn(ACTIONS, written)
        return self._action(written)

    def actions(self, route: str | None = None, *, outcome: Outcome | None = None) -> list[Action]:
        """Actions, oldest first."""
        objects = self._session.objects.list(ACTIONS)
        if self._sorted[0] is not objects:
            self._sorted = (objects, _by_route(objects))
        of_routes = self._sorted[1]
        chosen = of_routes.get(route, ()) if route is not None else [one for each in of_routes.values() for one in each]
        # Most are answered, and the engine asks for the open ones of each route all the time.
        wanted = [one for one in chosen if outcome is None or _outcome(one) == outcome]
        found = [action for one in wanted if (action := self._readable(one)) is not None]
        return sorted(found, key=lambda action: (action.created_at, action.name))

    def action(self, name: str) -> Action:
        """One action. Raises NotFound."""
        found = self._session.objects.get(ACTIONS, name)
        if found is None:
            raise errors.NotFound(f"there is no action {name!r}")
        return self._action(found)

    def finish_action(self, name: str, outcome: Outcome, *, message: str = "", revision: int | None = None) -> None:
        """Say what became of it. Finishing a finished one again with the same outcome does nothing."""
        if self._session.objects.get(ACTIONS, name) is None and self._session.refreshed(ACTIONS, name) is None:
            raise errors.NotFound(f"there is no action {name!r}")

        def finished(status: Object) -> Object:
            before = Outcome(status.get("outcome", Outcome.PENDING))
            if before is outcome:
                return status
            if before is not Outcome.PENDING:
                raise errors.Conflict(f"action {name!r} is {before} already")
            done = {"outcome": outcome.value, "message": message, "actorVerified": self.actors_are_verified}
            return done | ({"revision": revision} if revision is not None else {})

        self._session.write_status(ACTIONS, name, finished)

    def forget_old_actions(self, route: str) -> int:
        """Delete finished actions of a route but for the newest; returns how many. For the leader, now and then."""
        self._session.fence.token()
        finished = [action for action in self.actions(route) if action.outcome is not Outcome.PENDING]
        for action in finished[:-KEPT_ACTIONS]:
            with suppress(errors.NotFound):  # somebody was faster
                self._session.api.delete(ACTIONS, self._session.namespace, action.name)
            self._session.objects.forget(ACTIONS, action.name)
        return len(finished[:-KEPT_ACTIONS])

    def _readable(self, found: Object) -> Action | None:
        """None for one that the contract refuses although the definition let it in: nobody can act on that."""
        try:
            return self._action(found)
        except ValidationError:
            return None

    def _action(self, found: Object) -> Action:
        spec, status = found["spec"], found.get("status") or {}
        pending = _outcome(found) == Outcome.PENDING
        return Action.model_validate(
            {
                **{name: spec[name] for name in _ASKED if spec.get(name) is not None},
                "namespace": self._session.namespace,
                "name": name_of(found),
                "createdAt": spec.get("createdAt") or _moment(found["metadata"]["creationTimestamp"]),
                "actorVerified": self.actors_are_verified if pending else status.get("actorVerified", False),
                "outcome": _outcome(found),
                "message": status.get("message", ""),
                "revision": status.get("revision"),
            }
        )


def _by_route(objects: tuple[Object, ...]) -> dict[str, list[Object]]:
    found: dict[str, list[Object]] = {}
    for one in objects:
        found.setdefault(str(one["spec"].get("route")), []).append(one)
    return found


def _outcome(found: Object) -> str:
    return str((found.get("status") or {}).get("outcome") or Outcome.PENDING.value)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
