"""One tick of the engine: observe, decide, act, report, for every route. No I/O of its own.

Level-triggered: nothing is remembered between two ticks but the last raw counters, so a tick may be skipped,
repeated or killed anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from fairlead import errors
from fairlead.contracts.action import Outcome
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route
from fairlead.rollout import report
from fairlead.rollout.act import act
from fairlead.rollout.observe import Look, Observer
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.desired_instances import wanted
from fairlead.rollout.ports import Answers, Clock, EngineStore, Gateways, History, MetricSource, Nobody, Smoke

AT_ONCE = 8
"""Revisions of one route in one tick: a release, its pin and a few actions. More is a fault, and the next tick's."""


class Engine:
    """The rollout engine. One per control plane; not for several threads at once."""

    def __init__(
        self,
        store: EngineStore,
        *,
        gateways: Gateways,
        metrics: MetricSource,
        smoke: Smoke,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
        log: Callable[[str], None],
        window_s: float = 5.0,
        answers: Answers | None = None,
        history: History | None = None,
        replays: bool = False,
    ) -> None:
        """`log` gets one line of JSON per appended revision: the archive. Without `answers` none are compared.

        `history` is asked for custom gates, and for everything instead of `metrics` where it `replays`. `monotonic` are
        seconds that nobody sets, by which is known what a jump of the `clock` was.
        """
        self._store = store
        self._log = log
        self._newer: dict[str, Route] = {}
        self._observer = Observer(
            store,
            gateways=gateways,
            metrics=metrics,
            smoke=smoke,
            clock=clock,
            monotonic=monotonic,
            window_s=window_s,
            answers=answers or Nobody(),
            history=history,
            replays=replays,
        )

    def tick(self, between: Callable[[], None] = lambda: None) -> list[Revision]:
        """Reconcile every route, then say which instances should run. Returns the revisions that were appended.

        `between` is called between two routes, and may `hurry`: with many rollouts a tick is long. Raises Unavailable
        when the store cannot be used. What concerns one route alone is in that route's status and stops no other.
        """
        look, routes, appended = self._observer.look(), self._store.routes(), list[Revision]()
        winners = {model: winner.name for model, winner in _winners(routes).items()}
        self._newer = {}
        for known in routes:
            between()
            route = self._newer.get(known.name, known)
            if winners[route.spec.model] != route.name:
                self._store.set_status(route.name, report.report_conflict(route, _winners(routes)[route.spec.model]))
                continue
            appended += self._guarded(route, look)
        routes = [self._newer.get(one.name, one) for one in routes]
        self._want([route for route in routes if winners[route.spec.model] == route.name], look)
        return appended

    def hurry(self) -> list[Revision]:
        """Reconcile only what somebody asks for: a spec that its head does not know yet, an action that is open.

        A person's wish need not wait until all other routes were looked at; those wait for `tick`. Returns and raises
        as it.
        """
        routes = self._store.routes()
        asked = {action.route for action in self._store.actions(outcome=Outcome.PENDING)}
        winners = _winners(routes)
        urgent = [
            route
            for route in routes
            if winners[route.spec.model] is route and (route.name in asked or self._is_news(route))
        ]
        # Whoever interrupted a tick by this must not be overruled by what the tick had read before.
        self._newer.update((route.name, route) for route in urgent)
        look = self._observer.glance() if urgent else None
        return [revision for route in urgent if look is not None for revision in self._guarded(route, look, tell=False)]

    def reconcile(self, route: Route, look: Look | None = None, *, tell: bool = True) -> list[Revision]:
        """Bring one route forward as far as it can go now. Raises Conflict when somebody else wrote meanwhile.

        `tell` says whether its status is written: in a hurry, what was decided is published first, and `tick` tells.
        """
        look, appended = look or self._observer.look(), list[Revision]()
        self._remember(route, look)
        for _ in range(AT_ONCE):
            # The head before the actions: decide() relies on it.
            head = self._store.head(route.name)
            actions = self._store.actions(route.name, outcome=Outcome.PENDING)
            observation = self._observer.observe(route, head, look, actions)
            decision = decide(route, head, observation, actions)
            revision = act(self._store, route.name, decision, log=self._log)
            if revision is None:
                if tell:
                    self._store.set_status(route.name, report.report(route, head, observation, decision))
                break
            appended.append(revision)
        return appended

    def _is_news(self, route: Route) -> bool:
        try:
            head = self._store.head(route.name)
        except errors.Invalid:
            return False  # `tick` tells
        return head is None or head.generation != route.generation

    def _guarded(self, route: Route, look: Look, *, tell: bool = True) -> list[Revision]:
        try:
            return self.reconcile(route, look, tell=tell)
        except errors.Conflict:
            return []  # read again at the next tick
        except errors.Invalid as error:
            self._store.set_status(route.name, report.report_unreadable(route, error.message))
            return []

    def _remember(self, route: Route, look: Look) -> None:
        head = self._store.head(route.name)
        for window in self._observer.windows(route, head, look) if head is not None else ():
            # What is decided on it is written next: a revision takes it along, else the status goes with it.
            self._store.add_window(route.name, window, at_once=False)

    def _want(self, routes: Sequence[Route], look: Look) -> None:
        heads = dict(self._heads(routes))
        self._store.want(
            wanted(
                routes,
                heads,
                look.now,
                existing=self._store.wanted(),
                settled={name for name, head in heads.items() if _is_settled(head, look)},
                serving={name for gateway in look.gateways for name in gateway.programmed},
            )
        )

    def _heads(self, routes: Sequence[Route]) -> Iterator[tuple[str, Revision]]:
        for route in routes:
            try:
                head = self._store.head(route.name)
            except errors.Invalid:
                continue  # not settled then: nothing of it is stopped
            if head is not None:
                yield route.name, head


def _winners(routes: Sequence[Route]) -> dict[str, Route]:
    """One route per model: the oldest."""
    found: dict[str, Route] = {}
    for route in sorted(routes, key=lambda one: (one.created_at, one.name)):
        found.setdefault(route.spec.model, route)
    return found


def _is_settled(head: Revision, look: Look) -> bool:
    """True when every known gateway serves the head: only then nobody sends requests to what left it.

    One that does not answer counts as not there yet, unlike for a rise: it may still be sending.
    """
    return bool(look.gateways) and all(
        one.reachable and one.programmed.get(head.route, 0) >= head.seq for one in look.gateways
    )
