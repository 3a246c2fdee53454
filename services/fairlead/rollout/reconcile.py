"""One tick of the engine: observe, decide, act and report, for every route. No I/O of its own.

Level-triggered: the decisions keep nothing from one tick to the next, and `observe` keeps only what it can rebuild or
count as a gap. A tick may be skipped, repeated or killed anywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

from fairlead import errors
from fairlead.contracts.action import Outcome
from fairlead.contracts.revision import Revision
from fairlead.contracts.route import Route, UnreadableRoute, VersionRef
from fairlead.rollout import report
from fairlead.rollout.act import act
from fairlead.rollout.observe import Observer, TickSnapshot, ready_counts
from fairlead.rollout.policy.cold import stopped
from fairlead.rollout.policy.decide import decide
from fairlead.rollout.policy.desired_instances import is_settled, wanted_instances
from fairlead.rollout.policy.wanted import managed, wanted
from fairlead.rollout.ports import (
    AnswerSource,
    Clock,
    Demand,
    EngineStore,
    Gateways,
    History,
    Inputs,
    MetricSource,
    NoAnswers,
    NoScales,
    OneByOne,
    Scales,
    Smoke,
    StatusWrites,
)

MAX_REVISIONS_PER_TICK = 8
"""Revisions of one route in one tick: enough for a release, its pin and a few actions. The next tick does the rest."""


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
        answers: AnswerSource | None = None,
        history: History | None = None,
        replays: bool = False,
        scales: Scales | None = None,
        why_unknown: Callable[[], str] = lambda: "",
        demand: Demand | None = None,
        writes: StatusWrites | None = None,
        inputs: Inputs | None = None,
    ) -> None:
        """`log` gets one line of JSON per appended revision: the archive. Without `answers`, none are compared.

        `history` serves custom gates; if it `replays`, it also replaces `metrics`. `monotonic` is a clock in seconds
        that cannot be set; it shows how far the `clock` jumped. `why_unknown` says why the instances may be old, and is
        empty while they are current. `scales` gives versions their instances where nothing else does. Without `demand`
        no version becomes cold. `writes` carries out the writes of statuses. Without `inputs` nobody is told that a
        candidate gets other rows than stable.
        """
        self._store = store
        self._log = log
        self._scales = scales or NoScales()
        self._writes = writes or OneByOne()
        self._reread: dict[str, Route] = {}
        self._stopped: dict[str, frozenset[VersionRef]] = {}
        self._observer = Observer(
            store,
            gateways=gateways,
            metrics=metrics,
            smoke=smoke,
            clock=clock,
            monotonic=monotonic,
            window_s=window_s,
            answers=answers or NoAnswers(),
            history=history,
            replays=replays,
            why_unknown=why_unknown,
            demand=demand,
            inputs=inputs,
        )

    def tick(self, between: Callable[[], None] = lambda: None) -> list[Revision]:
        """Reconcile every route, then write which instances should run. Returns the appended revisions.

        `between` is called before each route and may call `tick_urgent`: with many rollouts a tick takes long. Raises
        Unavailable when the store cannot be used. A problem of one route goes into its status and stops no other route.
        """
        snapshot, routes, appended = self._observer.start_tick(), self._store.routes(), list[Revision]()
        unreadable = self._store.unreadable_routes()
        winners = self._winners(routes, unreadable)
        homes = {one.name: one.namespace for one in routes} | {one.name: one.namespace for one in unreadable}
        made = {one.name: one.created_at for one in routes}
        self._observer.forget_deleted({one.name for one in routes} | {one.name for one in unreadable})
        self._reread, self._stopped = {}, {}
        try:
            for broken in unreadable:
                self._report_unreadable(broken, snapshot)
            for known in routes:
                between()
                route = self._reread.get(known.name, known)
                if winners[route.spec.model] != route.name:
                    winner = winners[route.spec.model]
                    older = winner in made and (made[winner], winner) < (route.created_at, route.name)
                    self._write_status(route, report.report_conflict(route, winner, homes[winner], older=older))
                    continue
                appended += self._reconcile_safely(route, snapshot)
        finally:
            self._writes.finish_all()
        routes = [self._reread.get(one.name, one) for one in routes]
        self._write_wanted([route for route in routes if winners[route.spec.model] == route.name], unreadable, snapshot)
        return appended

    def tick_urgent(self) -> list[Revision]:
        """Reconcile only routes with a new request: a spec that the head does not have yet, or a pending action.

        A user's request need not wait until all other routes were read; those wait for `tick`. Returns and raises
        the same as `tick`.
        """
        routes = self._store.routes()
        with_actions = {action.route for action in self._store.actions(outcome=Outcome.PENDING)}
        winners = self._winners(routes, self._store.unreadable_routes())
        urgent = [
            route
            for route in routes
            if winners[route.spec.model] == route.name and (route.name in with_actions or self._has_new_spec(route))
        ]
        # A tick that was interrupted by this call must not act on the older specs that it had read.
        self._reread.update((route.name, route) for route in urgent)
        snapshot = self._observer.take_snapshot() if urgent else None
        return [
            revision
            for route in urgent
            if snapshot is not None
            for revision in self._reconcile_safely(route, snapshot, write_status=False)
        ]

    def reconcile(
        self, route: Route, snapshot: TickSnapshot | None = None, *, write_status: bool = True
    ) -> list[Revision]:
        """Bring one route as far forward as possible now. Raises Conflict when another writer was faster.

        An urgent tick passes `write_status=False`: its revisions are published first, and `tick` writes the status.
        """
        snapshot, appended = snapshot or self._observer.start_tick(), list[Revision]()
        self._record_windows(route, snapshot)
        for _ in range(MAX_REVISIONS_PER_TICK):
            # The head before the actions: decide() relies on it.
            head = self._store.head(route.name)
            actions = self._store.actions(route.name, outcome=Outcome.PENDING)
            observation = self._observer.observe(route, head, snapshot, actions)
            decision = decide(route, head, observation, actions)
            if head is None and self._is_deleted(route):
                break  # since the tick began: a first revision would have no route that it is deleted with
            revision = act(self._store, route.name, decision, log=self._log)
            if revision is None:
                if write_status:
                    needs = wanted(route, head, observation)
                    self._stopped[route.name] = stopped(route, head, observation)
                    self._write_status(route, report.report(route, head, observation, decision, needs))
                    # Here and not at the end of the tick: no other decision may come between.
                    self._scales.scale(route, managed(route, needs))
                break
            appended.append(revision)
        return appended

    def _is_deleted(self, route: Route) -> bool:
        try:
            self._store.route(route.name)
        except errors.NotFound:
            return True
        except errors.Invalid:
            return False  # it is there, and cannot be read any more
        return False

    def _has_new_spec(self, route: Route) -> bool:
        try:
            head = self._store.head(route.name)
        except errors.Invalid:
            return False  # `tick` reports it
        return head is None or head.generation != route.generation

    def _reconcile_safely(self, route: Route, snapshot: TickSnapshot, *, write_status: bool = True) -> list[Revision]:
        # A decision reads what the last status stored: the windows.
        self._writes.finish(route.name)
        try:
            return self.reconcile(route, snapshot, write_status=write_status)
        except errors.Conflict:
            return []  # the next tick reads it again
        except errors.Invalid as error:
            self._report_invalid(route, error)
            return []

    def _write_status(self, route: Route, status: dict[str, object]) -> None:
        """Write it, perhaps beside those of other routes. Nothing of the engine may change while it is written."""

        def write() -> None:
            try:
                self._store.set_status(route.name, status, namespace=route.namespace)
            except errors.Conflict:
                return  # the next tick writes it
            except errors.Invalid as error:
                self._report_invalid(route, error)

        self._writes.start(route.name, write)

    def _report_invalid(self, route: Route, error: errors.Invalid) -> None:
        status = report.report_unreadable(route.name, route.generation, error.message, target=route.spec.target_ref)
        self._store.set_status(route.name, status, namespace=route.namespace)

    def _report_unreadable(self, broken: UnreadableRoute, snapshot: TickSnapshot) -> None:
        """Say what is wrong in the route's status, and refuse requests that would wait for ever."""
        message = f"{broken.message}; what it serves stays as it is until its spec is corrected or Fairlead is upgraded"
        head = self._head(broken.name)
        counts = ready_counts(head.namespace, head.table.model, snapshot) if head is not None else {}
        ready = counts.get(head.table.stable, 0) if head is not None else 0
        status = report.report_unreadable(
            broken.name, broken.generation, message, head=head, gateways=snapshot.gateways, ready=ready
        )
        self._store.set_status(broken.name, status, namespace=broken.namespace)
        for action in self._store.actions(broken.name, outcome=Outcome.PENDING):
            with suppress(errors.Conflict):  # not the leader of that namespace yet: the next tick refuses it
                self._store.finish_action(action.name, Outcome.REFUSED, message=message, route=broken.name)

    def _head(self, route: str) -> Revision | None:
        """The head; None also if it cannot be read."""
        try:
            return self._store.head(route)
        except errors.Invalid:
            return None

    def _winners(self, routes: Sequence[Route], unreadable: Sequence[UnreadableRoute]) -> dict[str, str]:
        """The route of each model: the one that serves it, read or not; else the oldest one.

        So a route that changes its model cannot take one that another route serves, of whichever namespace.
        """
        claims: dict[str, list[Route]] = {}
        for route in sorted(routes, key=lambda one: (one.created_at, one.name)):
            claims.setdefault(route.spec.model, []).append(route)
        found = {
            model: next(filter(self._serves, some), some[0]) if len(some) > 1 else some[0]
            for model, some in claims.items()
        }
        winners = {model: route.name for model, route in found.items()}
        for broken in unreadable:
            head = self._head(broken.name)
            if head is not None and not (head.table.model in found and self._serves(found[head.table.model])):
                winners[head.table.model] = broken.name
        return winners

    def _serves(self, route: Route) -> bool:
        """Whether the route's last table is of the model that its spec names."""
        head = self._head(route.name)
        return head is not None and head.table.model == route.spec.model

    def _record_windows(self, route: Route, snapshot: TickSnapshot) -> None:
        head = self._store.head(route.name)
        for window in self._observer.windows(route, head, snapshot) if head is not None else ():
            # No write of its own: the next write stores it, either the revision decided on it or the status.
            self._store.add_window(route.name, window, at_once=False)

    def _write_wanted(
        self, routes: Sequence[Route], unreadable: Sequence[UnreadableRoute], snapshot: TickSnapshot
    ) -> None:
        heads = dict(self._heads(routes))
        # Nobody knows what they want, so none of their instances is stopped.
        kept = {one.name for one in unreadable}
        kept |= {head.table.model for one in unreadable if (head := self._head(one.name)) is not None}
        self._store.want(
            wanted_instances(
                routes,
                heads,
                snapshot.now,
                existing=snapshot.wanted,
                settled={name for name, head in heads.items() if is_settled(head, snapshot.gateways)},
                serving={name for gateway in snapshot.gateways for name in gateway.programmed} | kept,
                stopped=self._stopped,
            )
        )

    def _heads(self, routes: Sequence[Route]) -> Iterator[tuple[str, Revision]]:
        for route in routes:
            # A route without a head is not settled, so none of its instances is stopped.
            if (head := self._head(route.name)) is not None:
                yield route.name, head
