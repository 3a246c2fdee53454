"""One store of several namespaces, for a control plane that serves them all.

A route's name is unique in a platform, as its model's public path is: `route_names` says which namespace has it. What
fails in one namespace stays there: it is logged once, in one sentence, and the others go on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TypeVar

from fairlead import errors
from fairlead.contracts.action import Action, Outcome
from fairlead.contracts.instance import Instance, Wanted
from fairlead.contracts.revision import Checkpoint, Revision
from fairlead.contracts.route import Route, UnreadableRoute
from fairlead.contracts.status import WantedInstances
from fairlead.contracts.window import Window
from fairlead.store.kubernetes.route_names import RouteNames, held_routes, route_names
from fairlead.store.kubernetes.store import KubernetesStore

_Named = TypeVar("_Named", Route, UnreadableRoute)
REFUSED_FOR_S = 60.0
"""How long a refused write counts as a problem: what is not tried again is forgotten after that."""
HOW_TO_GRANT = (
    "create the namespace if it does not exist, then upgrade the platform's chart, whose value `namespaces` lists it: "
    "it grants the rights; or take it out of `namespaces`"
)


class KubernetesNamespaces:
    """The part of `store.base.Store` that a control plane uses, over stores of one namespace each. Thread-safe.

    The first store is that of the platform's own namespace. A namespace that was never listed has no routes here:
    `unread` names it. Until it was, a route that lost its name before this process started does not get it back.
    """

    def __init__(
        self,
        stores: Sequence[KubernetesStore],
        *,
        log: logging.Logger | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._home = stores[0]
        self._stores = {store.namespace: store for store in stores}
        self._log = log or logging.getLogger("fairlead.store")
        self._names: tuple[Mapping[str, object], RouteNames] = ({}, RouteNames({}))
        self._decided: frozenset[tuple[str, str]] = frozenset()
        """Namespace and name of routes that were followed, or displaced by a route that was read."""
        self._monotonic = monotonic
        self._refused: dict[str, tuple[str, float]] = {}
        self._said: dict[str, str] = {}

    # the whole

    @property
    def loaded(self) -> bool:
        """Whether every namespace was listed, or refused, once."""
        return self._home.loaded and all(one.loaded or one.refused for one in self._stores.values())

    def unread(self) -> tuple[str, ...]:
        """The namespaces whose routes nobody knows, because they were never listed."""
        return tuple(name for name, store in self._stores.items() if not store.loaded)

    def problems(self) -> dict[str, str]:
        """One sentence for each namespace in which something fails."""
        since = self._monotonic() - REFUSED_FOR_S
        found = {name: f"{why}; {HOW_TO_GRANT}" for name, (why, at) in tuple(self._refused.items()) if at > since}
        for name, store in self._stores.items():
            if refused := store.refused:
                left = "what it has served stays as it is" if store.loaded else "its models are not served"
                found[name] = f"it cannot be read, so {left}: {refused}; {HOW_TO_GRANT}"
        return found

    def start(self) -> None:
        """Start the informers."""
        for store in self._stores.values():
            store.start()

    def close(self) -> None:
        """Stop the informers."""
        for store in self._stores.values():
            store.close()

    def change_token(self) -> object:
        """See `store.base.RouteStore.change_token`. What a namespace complains about is logged here."""
        self._log_problems()
        return tuple(store.change_token() for store in self._stores.values())

    # routes

    def routes(self) -> list[Route]:
        """The routes that are followed, of every namespace, by name."""
        return self._followed(lambda store: store.routes())

    def unreadable_routes(self) -> list[UnreadableRoute]:
        """All others that are followed, by name."""
        return self._followed(lambda store: store.unreadable_routes())

    def displaced(self) -> list[tuple[Route | UnreadableRoute, str]]:
        """The routes that are not followed, because a route of the same name in another namespace is older: its
        namespace."""
        names = self._route_names()
        known: dict[tuple[str, str], Route | UnreadableRoute] = {}
        for namespace in {namespace for namespace, _ in names.displaced}:
            store = self._stores[namespace]
            known |= {(namespace, one.name): one for one in store.routes()}
            known |= {(namespace, one.name): one for one in store.unreadable_routes()}
        return [(known[one], names.namespaces[one[1]]) for one in names.displaced if one in known]

    def report_displaced(self, route: Route | UnreadableRoute, status: dict[str, object], message: str) -> None:
        """Write the status of a route that is not followed, and refuse what people ask of it."""
        with self._kept_here(route.namespace):
            store = self._stores[route.namespace]
            store.set_status(route.name, status)
            for action in store.actions(route.name, outcome=Outcome.PENDING):
                store.finish_action(action.name, Outcome.REFUSED, message=message)

    def route(self, name: str) -> Route:
        """One route. Raises NotFound; the hint lists the routes of every namespace."""
        if name not in self._route_names().namespaces:
            names = ", ".join(sorted(self._route_names().namespaces)) or "none yet"
            raise errors.NotFound(f"there is no route {name!r}", hint=f"routes: {names}")
        return self._of(name).route(name)

    # ledger

    def append(self, revision: Revision) -> Revision:
        """See `store.base.Ledger.append`. Also raises Conflict if the route of this name is now one of another
        namespace."""
        with self._writing(revision.route, revision.namespace) as store:
            return store.append(revision)

    def head(self, route: str) -> Revision | None:
        """See `store.base.Ledger.head`."""
        with self._reading(route) as store:
            return store.head(route)

    def revision(self, route: str, seq: int) -> Revision:
        """See `store.base.Ledger.revision`."""
        with self._reading(route) as store:
            return store.revision(route, seq)

    def revisions(self, route: str, *, limit: int | None = None) -> list[Revision]:
        """See `store.base.Ledger.revisions`."""
        with self._reading(route) as store:
            return store.revisions(route, limit=limit)

    def at(self, route: str, moment: datetime) -> Revision:
        """See `store.base.Ledger.at`."""
        with self._reading(route) as store:
            return store.at(route, moment)

    def checkpoint(self, route: str) -> Checkpoint | None:
        """See `store.base.Ledger.checkpoint`."""
        return self._of(route).checkpoint(route)

    def prune(self, route: str, *, keep: int, now: datetime) -> int:
        """See `KubernetesStore.prune`."""
        with self._writing(route) as store:
            return store.prune(route, keep=keep, now=now)

    def add_window(self, route: str, window: Window, *, at_once: bool = True) -> None:
        """See `store.base.Ledger.add_window`."""
        with self._writing(route) as store:
            store.add_window(route, window, at_once=at_once)

    def windows(self, route: str) -> list[Window]:
        """See `store.base.Ledger.windows`."""
        return self._of(route).windows(route)

    # actions

    def actions(self, route: str | None = None, *, outcome: Outcome | None = None) -> list[Action]:
        """Actions on routes that are followed, oldest first."""
        if route is not None:
            return self._of(route).actions(route, outcome=outcome)
        names = self._route_names().namespaces
        found = [
            action
            for namespace, store in self._readable()
            for action in store.actions(outcome=outcome)
            if names.get(action.route) == namespace
        ]
        return sorted(found, key=lambda action: (action.created_at, action.name))

    def finish_action(
        self, name: str, outcome: Outcome, *, message: str = "", revision: int | None = None, route: str | None = None
    ) -> None:
        """See `store.base.ActionStore.finish_action`. Without `route` the action is looked for in every namespace."""
        if route is None:
            named = (one.route for one in self.actions() if one.name == name)
            route = next(named, None)
        if route is None:
            raise errors.NotFound(f"there is no action {name!r}")
        with self._writing(route) as store:
            store.finish_action(name, outcome, message=message, revision=revision)

    # instances

    def instances(self) -> list[Instance]:
        """All instances, by id."""
        found = [one for _, store in self._readable() for one in store.instances()]
        return sorted(found, key=lambda one: one.id)

    def wanted(self) -> list[Wanted]:
        """See `KubernetesStore.wanted`."""
        return sorted((row for _, store in self._readable() for row in store.wanted()), key=lambda row: row.id)

    def want(self, wanted: Sequence[Wanted]) -> None:
        """Delete versions that are not wanted any more, each in its namespace, and what uninstalls left.

        In a namespace without a row every version stays: who made the list may not have known its routes.
        """
        for namespace, store in self._readable():
            rows = [row for row in wanted if row.namespace == namespace]
            with self._kept_here(namespace):
                if rows:
                    store.want(rows)
                else:
                    store.delete_leftovers()

    def scale(self, route: Route, wanted: Sequence[WantedInstances]) -> None:
        """See `rollout.ports.Scales`."""
        with self._writing(route.name, route.namespace) as store:
            store.scale(route, wanted)

    # statuses

    def set_status(self, route: str, status: dict[str, object], *, namespace: str | None = None) -> None:
        """See `store.base.StatusStore.set_status`."""
        found = self._route_names().namespaces.get(route)
        if found is not None and namespace in (None, found):  # else the route was deleted
            with self._kept_here(found):
                self._stores[found].set_status(route, status)

    def status(self, route: str) -> dict[str, object] | None:
        """See `store.base.StatusStore.status`."""
        return self._of(route).status(route)

    # one namespace

    def _readable(self) -> Iterator[tuple[str, KubernetesStore]]:
        return ((name, store) for name, store in self._stores.items() if store.loaded)

    def _route_names(self) -> RouteNames:
        if not self._home.loaded:
            raise errors.NotReady("the routes have not been listed yet")
        objects = {name: store.route_objects() for name, store in self._readable()}
        known, names = self._names
        if known.keys() != objects.keys() or any(known[name] is not one for name, one in objects.items()):
            # Until all were read, the rival of a route may be where nobody can look.
            held = held_routes(objects, self._decided) if len(objects) < len(self._stores) else frozenset()
            names = route_names(objects, held)
            self._decided |= {(namespace, name) for name, namespace in names.namespaces.items()} | {*names.displaced}
            self._names = (objects, names)
        return names

    def _followed(self, of: Callable[[KubernetesStore], Sequence[_Named]]) -> list[_Named]:
        names = self._route_names().namespaces
        found = [one for namespace, store in self._readable() for one in of(store) if names.get(one.name) == namespace]
        return sorted(found, key=lambda one: one.name)

    def _of(self, route: str) -> KubernetesStore:
        """The store of a route; that of the platform's own namespace if no namespace has a route of this name."""
        return self._stores[self._route_names().namespaces.get(route, self._home.namespace)]

    @contextmanager
    def _reading(self, route: str) -> Iterator[KubernetesStore]:
        """A read that may be a request. Raises Invalid if the API server refuses it: of one route only."""
        store = self._of(route)
        try:
            yield store
        except errors.Refused as refused:
            raise errors.Invalid(f"the ledger of {route!r} cannot be read: {refused.message}") from refused

    @contextmanager
    def _writing(self, route: str, namespace: str | None = None) -> Iterator[KubernetesStore]:
        """A write. Raises Conflict if the API server refuses it: the next tick tries again, and other routes go on.

        So it does if the route was one of `namespace`, and by now one of another namespace has its name.
        """
        store = self._of(route)
        if namespace not in (None, store.namespace):
            raise errors.Conflict(
                f"route {route!r} of namespace {namespace} was deleted; {store.namespace} has its name"
            )
        try:
            yield store
        except errors.Refused as refused:
            self._note(store.namespace, refused)
            raise errors.Conflict(refused.message) from refused

    @contextmanager
    def _kept_here(self, namespace: str) -> Iterator[None]:
        """A write that the next tick repeats anyway: what stops it in this namespace stops nothing else."""
        try:
            yield
        except errors.Refused as refused:
            self._note(namespace, refused)
        except errors.Conflict:
            if namespace == self._home.namespace:
                raise

    def _note(self, namespace: str, refused: errors.Refused) -> None:
        now, known = self._monotonic(), self._refused.get(namespace)
        # The message names one object of perhaps many: the first one stays, so that it is logged once.
        stays = known is not None and now < known[1] + REFUSED_FOR_S
        why = known[0] if known is not None and stays else f"not everything can be written there: {refused.message}"
        self._refused[namespace] = (why, now)

    def _log_problems(self) -> None:
        found = self.problems()
        if found == self._said:
            return
        for namespace, why in found.items():
            if self._said.get(namespace) != why:
                self._log.error("namespace %s: %s", namespace, why)
        for namespace in self._said.keys() - found.keys():
            self._log.info("namespace %s can be read and written again", namespace)
        self._said = found
