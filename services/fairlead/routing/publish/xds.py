"""Publisher for gateways that poll for their configuration (REST xDS), with several replicas that answer them.

The leader plans as the file publisher does, for all gateways together. It stores each update in the publication before
it puts it into the snapshot cache, so every later leader knows everything a gateway has seen. The other replicas serve
the stored publication.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from fairlead import errors
from fairlead.routing.check import check_snapshot, check_succession, check_unread, seen_routes
from fairlead.routing.publish.fleet import Fleet
from fairlead.routing.publish.gateway import Gateway, Progress, PublishedRevisions, revisions_of
from fairlead.routing.publish.publication import EncodedUpdate, Publication, Publications
from fairlead.routing.publish.resource_sets import DesiredResources, Kind, Update, order_of
from fairlead.routing.publish.snapshot_cache import SnapshotCache
from fairlead.routing.publish.update_order import (
    DRAIN_S,
    PlanState,
    Publish,
    Settled,
    Wait,
    apply_publish,
    apply_reports,
    plan,
    rejection_reason,
    rejections,
    republish_unacknowledged,
    set_desired,
)
from fairlead.routing.snapshot import Snapshot

IDLE_POLL_S = 1.0
"""How often gateways are polled while the publisher is settled or waits for time to pass."""
ACTIVE_POLL_S = 0.01


class XdsPublisher:
    """The leader calls `want` and `step`, the other replicas call `follow`. Not thread-safe."""

    def __init__(
        self,
        publications: Publications,
        cache: SnapshotCache,
        fleet: Fleet,
        clock: Callable[[], float] = time.monotonic,
        *,
        drain_s: float = DRAIN_S,
        idle_poll_s: float = IDLE_POLL_S,
        unread: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """`unread` are the namespaces whose routes this process has never read."""
        self._publications, self._cache, self._fleet = publications, cache, fleet
        self._clock, self._drain_s, self._idle_poll_s = clock, drain_s, idle_poll_s
        self._state: PlanState | None = None
        self._updates: dict[Kind, EncodedUpdate] = {}
        self._wanted: tuple[Snapshot, DesiredResources] | None = None
        self._token: object = None
        self._revisions = PublishedRevisions()
        self._next_poll = float("-inf")
        self._progress = Progress(settled=False, waiting_for="a first snapshot")
        self._unread = unread
        self._known: frozenset[str] = frozenset()
        """The routes of every snapshot so far."""
        self._orphaned = False
        """Whether gateways serve a configuration whose publication is lost."""

    def follow(self) -> None:
        """Serve what the leader has published. Raises Unavailable when it cannot be read; the cache then stays."""
        self._state, self._wanted = None, None
        token = self._publications.token()
        if token == self._token and self._cache.loaded:
            return
        publication = self._publications.load()
        if publication is not None:
            self._cache.put(publication.kinds)
        self._token = token

    def want(self, snapshot: Snapshot) -> None:
        """Set the desired snapshot, replacing the last one.

        Raises Refused for a snapshot that no gateway may get, or that would remove every route at once, or routes of a
        namespace that nobody has read; Unavailable while the stored publication cannot be read.
        """
        if self._wanted is not None and self._wanted[0] is snapshot:
            return
        state = self._lead()
        check_snapshot(snapshot)
        published = self._published_revisions(state)
        check_succession(published, snapshot, unknown=self._orphaned)
        unread = self._unread()
        self._known = seen_routes(self._known, snapshot.revisions, published if unread else {})
        check_unread(published.keys() - self._known, unread)
        desired = DesiredResources.of(snapshot, self._wanted[1] if self._wanted is not None else None)
        self._wanted = (snapshot, desired)
        self._state = set_desired(state, desired)
        self._progress = Progress(settled=False, waiting_for="the next step")
        self._next_poll = float("-inf")

    def step(self) -> Progress:
        """Poll the gateways, publish what can be published, and return the progress. Never waits for a gateway.

        Raises Unavailable or Conflict when the publication cannot be stored; no gateway has then seen it.
        """
        now = self._clock()
        if now < self._next_poll:
            return self._progress
        state = self._lead()
        idle = self._progress.settled or self._wanted is None
        self._fleet.poll(state.published, now, every_s=self._idle_poll_s if idle else ACTIVE_POLL_S)
        self._state = state = self._with_reports(state, now)
        if self._wanted is None:
            self._next_poll = now + self._idle_poll_s
            return self._progress
        self._advance(state, self._wanted[1], now)
        return self._progress

    def gateways(self) -> tuple[Gateway, ...]:
        """Every known gateway as it last answered. One that serves nothing yet counts as not reachable."""
        state = self._state
        rejected = rejections(state, self._wanted[1]) if state is not None and self._wanted is not None else {}
        return tuple(
            Gateway(
                report.name,
                report.reachable and bool(report.versions or report.rejected),
                self._revisions.of_version(report.versions.get("rds", "")) if report.reachable else {},
                rejected.get(report.name),
            )
            for report in self._fleet.reports()
        )

    @property
    def sequence(self) -> int:
        """The highest sequence number this leader has used; 0 for a replica that does not lead."""
        return self._state.sequence if self._state else 0

    def close(self) -> None:
        """Stop polling. What is published stays published."""
        self._fleet.close()

    def _lead(self) -> PlanState:
        """The leader's state; at the beginning, from the stored publication and the gateways' reports."""
        if self._state is not None:
            return self._state
        publication = self._publications.load()
        state = PlanState() if publication is None else _resumed(publication)
        self._updates = {} if publication is None else dict(publication.kinds)
        self._cache.put(self._updates)
        for kinds in (state.good, state.published):
            self._revisions.record(kinds.get("rds"))
        now = self._clock()
        self._fleet.poll(state.published, now, every_s=0, first=True)
        in_use = [order_of(version).sequence for one in self._fleet.reports() for version in one.versions.values()]
        # Also above what gateways have from a lost publication: they would not take anything below that.
        state = replace(state, sequence=max([state.sequence, *in_use]))
        state = apply_reports(state, self._fleet.serving_reports(now), now)
        self._orphaned = publication is None and bool(in_use)
        if self._fleet.serving_reports(now) and (actions := republish_unacknowledged(state)):
            state = self._publish(state, actions)
        self._state = state
        return state

    def _with_reports(self, state: PlanState, now: float) -> PlanState:
        after = apply_reports(state, self._fleet.serving_reports(now), now)
        if after.rejected != state.rejected:
            self._save(after, self._updates)
        return after

    def _advance(self, state: PlanState, desired: DesiredResources, now: float) -> None:
        actions: list[Publish] = []
        planned = state
        while isinstance(action := plan(planned, desired, now, drain_s=self._drain_s), Publish):
            planned = apply_publish(planned, action)
            actions.append(action)
        if actions:
            self._state = planned = self._publish(state, actions)
        until = action.until if isinstance(action, Wait) else None
        idle = isinstance(action, Settled) or until is not None
        self._next_poll = min(until or float("inf"), now + self._idle_poll_s) if idle else float("-inf")
        reason = action.reason if isinstance(action, Wait) else ""
        self._progress = Progress(isinstance(action, Settled), reason, rejection_reason(planned, desired))

    def _publish(self, state: PlanState, actions: list[Publish]) -> PlanState:
        """Store first, serve second: a later leader must know everything that a gateway may have."""
        updates = dict(self._updates)
        for action in actions:
            state = apply_publish(state, action)
            updates[action.kind] = EncodedUpdate.of(action.update)
        self._save(state, updates)
        self._updates = updates
        self._cache.put(updates)
        for action in actions:
            self._fleet.record_update(action.kind, self._clock())
            if action.kind == "rds":
                self._revisions.record(action.update)
        return state

    def _save(self, state: PlanState, updates: Mapping[Kind, EncodedUpdate]) -> None:
        good = {
            kind: EncodedUpdate.of(update)
            for kind, update in state.good.items()
            if kind not in state.acknowledged and update.version != updates[kind].version
        }
        try:
            self._publications.save(Publication(updates, good, state.rejected, self._published_revisions(state)))
        except errors.FairleadError:
            # Another replica may lead, or the save may have succeeded after all: start again from the stored one.
            self._state = None
            raise

    def _published_revisions(self, state: PlanState) -> Mapping[str, int]:
        routes = state.published.get("rds")
        return revisions_of(routes) if routes is not None else {}


def _resumed(publication: Publication) -> PlanState:
    def decoded(kinds: Mapping[Kind, EncodedUpdate]) -> dict[Kind, Update]:
        return {kind: update.decoded() for kind, update in kinds.items()}

    return PlanState(
        sequence=publication.sequence,
        published=decoded(publication.kinds),
        good=decoded(publication.good),
        rejected=publication.rejected,
    )
