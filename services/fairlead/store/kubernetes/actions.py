"""Actions: ModelRouteAction objects, created by users. The engine writes the outcome to their status."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

from pydantic import ValidationError

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.action import OPTIONS, Action, Outcome
from fairlead.store.kubernetes.api import AlreadyExists
from fairlead.store.kubernetes.kinds import ACTIONS, ROUTES, Object, name_of
from fairlead.store.kubernetes.ledger import owned_by
from fairlead.store.kubernetes.session import Session

MAX_FINISHED_ACTIONS = 50
"""How many finished actions per route are kept as objects. The ledger names every action that was carried out."""
_SPEC_FIELDS = ("route", "type", "attempt", "generation", "step", *OPTIONS, "actor", "reason", "createdAt", "expiresAt")


class KubernetesActions:
    """`store.base.ActionStore`."""

    _session: Session
    _sorted: tuple[tuple[Object, ...], dict[str, list[Object]]]

    @property
    def actors_are_verified(self) -> bool:
        """Whether a policy checks an action's actor against its caller; see `admission`."""
        raise NotImplementedError

    def create_action(self, action: Action) -> Action:
        """Store the action, or return the stored one of that name. Raises Conflict if that is a different request."""
        session, document = self._session, action.to_json()
        metadata: Object = {"name": action.name, "labels": {labels.ROUTE: action.route}}
        route = session.objects.get(ROUTES, action.route)
        if route is not None:
            metadata["ownerReferences"] = [owned_by(route)]
        # An option that is not set is left out: definitions of an earlier release do not know it. Step 0 is a step.
        unset = (None, False)
        spec = {name: document[name] for name in _SPEC_FIELDS if not any(document.get(name) is one for one in unset)}
        try:
            written = session.api.create(ACTIONS, session.namespace, {"metadata": metadata, "spec": spec})
        except AlreadyExists:
            found = self._action(session.api.get(ACTIONS, session.namespace, action.name))
            if not found.is_same_request(action.model_copy(update={"namespace": session.namespace})):
                raise errors.Conflict(
                    f"action {action.name!r} exists already, and it is a different request: {found.type} of "
                    f"{found.route!r}",
                    hint="use another name",
                ) from None
            return found
        written = ACTIONS.trim(written)
        session.objects.note_written(ACTIONS, written)
        return self._action(written)

    def actions(self, route: str | None = None, *, outcome: Outcome | None = None) -> list[Action]:
        """Actions, oldest first."""
        objects = self._session.objects.list(ACTIONS)
        if self._sorted[0] is not objects:
            self._sorted = (objects, _by_route(objects))
        of_routes = self._sorted[1]
        chosen = of_routes.get(route, ()) if route is not None else [one for each in of_routes.values() for one in each]
        # Most actions are finished, and the engine reads the pending ones of each route every tick: filter first.
        wanted = [one for one in chosen if outcome is None or _outcome(one) == outcome]
        found = [action for one in wanted if (action := self._readable(one)) is not None]
        return sorted(found, key=lambda action: (action.created_at, action.name))

    def action(self, name: str) -> Action:
        """One action. Raises NotFound."""
        found = self._session.objects.get(ACTIONS, name)
        if found is None:
            raise errors.NotFound(f"there is no action {name!r}")
        return self._action(found)

    def finish_action(
        self,
        name: str,
        outcome: Outcome,
        *,
        message: str = "",
        revision: int | None = None,
        route: str | None = None,  # noqa: ARG002 - the name is enough in one namespace
    ) -> None:
        """Store the outcome. Repeating the call with the same outcome does nothing."""
        if self._session.objects.get(ACTIONS, name) is None and self._session.refreshed(ACTIONS, name) is None:
            raise errors.NotFound(f"there is no action {name!r}")

        def finished(status: Object) -> Object:
            before = Outcome(status.get("outcome", Outcome.PENDING))
            if before is outcome:
                return status
            if before is not Outcome.PENDING:
                raise errors.Conflict(f"action {name!r} is already {before}")
            done = {"outcome": outcome.value, "message": message, "actorVerified": self.actors_are_verified}
            return done | ({"revision": revision} if revision is not None else {})

        self._session.write_status(ACTIONS, name, finished)

    def delete_old_actions(self, route: str) -> int:
        """Delete a route's finished actions except the newest; returns how many. The leader calls this sometimes."""
        self._session.fence.token()
        finished = [action for action in self.actions(route) if action.outcome is not Outcome.PENDING]
        for action in finished[:-MAX_FINISHED_ACTIONS]:
            with suppress(errors.NotFound):  # another process deleted it first
                self._session.api.delete(ACTIONS, self._session.namespace, action.name)
            self._session.objects.note_deleted(ACTIONS, action.name)
        return len(finished[:-MAX_FINISHED_ACTIONS])

    def _readable(self, found: Object) -> Action | None:
        """None for an object that is valid by its CRD but not by the contract; such an action cannot be carried out."""
        try:
            return self._action(found)
        except ValidationError:
            return None

    def _action(self, found: Object) -> Action:
        spec, status = found["spec"], found.get("status") or {}
        pending = _outcome(found) == Outcome.PENDING
        return Action.model_validate(
            {
                **{name: spec[name] for name in _SPEC_FIELDS if spec.get(name) is not None},
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
