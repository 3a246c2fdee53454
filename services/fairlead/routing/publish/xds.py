"""The publisher for gateways that ask for their configuration, and for several replicas that answer them.

The leader plans as the publisher of files does, over all gateways at once. What it decides is kept first and shown
second, so whatever a gateway has seen is known to every leader after it. The others show what is kept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from fairlead import errors
from fairlead.routing.check import check_snapshot, check_succession
from fairlead.routing.publish.fleet import Fleet
from fairlead.routing.publish.gateway import Gateway, Programmed, Progress, revisions_of
from fairlead.routing.publish.phases import (
    Settled,
    State,
    Wait,
    Write,
    hear,
    plan,
    refusal,
    refusals,
    renewed,
    wish,
    wrote,
)
from fairlead.routing.publish.publication import Publication, Publications, Shown
from fairlead.routing.publish.resource_sets import Desired, Kind, Written, order_of
from fairlead.routing.publish.snapshot_cache import Shelf
from fairlead.routing.snapshot import Snapshot

DRAIN_S = 10.0
"""How long clusters outlive the last route to them: a request that retries looks its cluster up again."""
RESTING_POLL_S = 1.0
"""How often gateways are asked while nothing, or only time, is waited for."""
EAGER_POLL_S = 0.01


class XdsPublisher:
    """`want` and `step` are the leader's, `follow` is everybody else's. Not for several threads at once."""

    def __init__(
        self,
        publications: Publications,
        shelf: Shelf,
        fleet: Fleet,
        clock: Callable[[], float] = time.monotonic,
        *,
        drain_s: float = DRAIN_S,
        resting_poll_s: float = RESTING_POLL_S,
    ) -> None:
        self._publications, self._shelf, self._fleet = publications, shelf, fleet
        self._clock, self._drain_s, self._resting_poll_s = clock, drain_s, resting_poll_s
        self._state: State | None = None
        self._shown: dict[Kind, Shown] = {}
        self._wanted: tuple[Snapshot, Desired] | None = None
        self._token: object = None
        self._programmed = Programmed()
        self._next_look = float("-inf")
        self._progress = Progress(settled=False, waiting_for="a first wish")
        self._orphaned = False
        """Whether gateways serve something that no publication is left of."""

    def follow(self) -> None:
        """Show what the leader has published. Raises Unavailable when it cannot be read: what is shown stays."""
        self._state, self._wanted = None, None
        token = self._publications.token()
        if token == self._token and self._shelf.loaded:
            return
        publication = self._publications.load()
        if publication is not None:
            self._shelf.put(publication.kinds)
        self._token = token

    def want(self, snapshot: Snapshot) -> None:
        """Replaces whatever was wanted before.

        Raises Refused for a snapshot that no gateway may be given, or that would take every route away at once;
        Unavailable while it is not known what gateways have been given.
        """
        if self._wanted is not None and self._wanted[0] is snapshot:
            return
        state = self._lead()
        check_snapshot(snapshot)
        check_succession(self._published_revisions(state), snapshot, unknown=self._orphaned)
        desired = Desired.of(snapshot, self._wanted[1] if self._wanted is not None else None)
        self._wanted = (snapshot, desired)
        self._state = wish(state, desired)
        self._progress = Progress(settled=False, waiting_for="the next step")
        self._next_look = float("-inf")

    def step(self) -> Progress:
        """Listens, publishes what can be published, and says what is missing. Never waits for a gateway.

        Raises Unavailable or Conflict when the publication cannot be kept: nothing was shown then.
        """
        now = self._clock()
        if now < self._next_look:
            return self._progress
        state = self._lead()
        resting = self._progress.settled or self._wanted is None
        self._fleet.look(state.published, now, every_s=self._resting_poll_s if resting else EAGER_POLL_S)
        self._state = state = self._heard(state, now)
        if self._wanted is None:
            self._next_look = now + self._resting_poll_s
            return self._progress
        self._advance(state, self._wanted[1], now)
        return self._progress

    def gateways(self) -> tuple[Gateway, ...]:
        """Every known gateway as it was last heard. One that serves nothing yet counts as not reachable."""
        state = self._state
        refused = refusals(state, self._wanted[1]) if state is not None and self._wanted is not None else {}
        return tuple(
            Gateway(
                heard.name,
                heard.reachable and bool(heard.versions or heard.refused),
                self._programmed.by(heard.versions.get("rds", "")) if heard.reachable else {},
                refused.get(heard.name),
            )
            for heard in self._fleet.heard()
        )

    @property
    def sequence(self) -> int:
        """The highest number this leader has given out; 0 for a replica that does not lead."""
        return self._state.sequence if self._state else 0

    def close(self) -> None:
        """Stops listening. What is published stays published."""
        self._fleet.close()

    def _lead(self) -> State:
        """The leader's state; at the beginning, from what is kept and what gateways say."""
        if self._state is not None:
            return self._state
        publication = self._publications.load()
        state = State() if publication is None else _resumed(publication)
        self._shown = {} if publication is None else dict(publication.kinds)
        self._shelf.put(self._shown)
        for kinds in (state.good, state.published):
            self._programmed.wrote(kinds.get("rds"))
        now = self._clock()
        self._fleet.look(state.published, now, every_s=0, patient=True)
        told = [order_of(version).sequence for heard in self._fleet.heard() for version in heard.versions.values()]
        # Also above what gateways have from a publication that was lost: below it they would not take anything.
        state = hear(replace(state, sequence=max([state.sequence, *told])), self._fleet.deciding(now), now)
        self._orphaned = publication is None and bool(told)
        if self._fleet.deciding(now) and (renewals := renewed(state)):
            state = self._publish(state, renewals)
        self._state = state
        return state

    def _heard(self, state: State, now: float) -> State:
        heard = hear(state, self._fleet.deciding(now), now)
        if heard.refused != state.refused:
            self._keep(heard, self._shown)
        return heard

    def _advance(self, state: State, desired: Desired, now: float) -> None:
        writes: list[Write] = []
        planned = state
        while isinstance(action := plan(planned, desired, now, drain_s=self._drain_s), Write):
            planned = wrote(planned, action)
            writes.append(action)
        if writes:
            self._state = planned = self._publish(state, writes)
        until = action.until if isinstance(action, Wait) else None
        rests = isinstance(action, Settled) or until is not None
        self._next_look = min(until or float("inf"), now + self._resting_poll_s) if rests else float("-inf")
        reason = action.reason if isinstance(action, Wait) else ""
        self._progress = Progress(isinstance(action, Settled), reason, refusal(planned, desired))

    def _publish(self, state: State, writes: list[Write]) -> State:
        """Keep first, show second: no gateway may have what a later leader would not know of."""
        shown = dict(self._shown)
        for write in writes:
            state = wrote(state, write)
            shown[write.kind] = Shown.of(write.written)
        self._keep(state, shown)
        self._shown = shown
        self._shelf.put(shown)
        for write in writes:
            self._fleet.wrote(write.kind, self._clock())
            if write.kind == "rds":
                self._programmed.wrote(write.written)
        return state

    def _keep(self, state: State, shown: Mapping[Kind, Shown]) -> None:
        good = {
            kind: Shown.of(written)
            for kind, written in state.good.items()
            if kind not in state.acknowledged and written.version != shown[kind].version
        }
        try:
            self._publications.save(Publication(shown, good, state.refused, self._published_revisions(state)))
        except errors.FairleadError:
            # Somebody else may lead, or the writing may have been kept all the same: begin again from what is kept.
            self._state = None
            raise

    def _published_revisions(self, state: State) -> Mapping[str, int]:
        routes = state.published.get("rds")
        return revisions_of(routes) if routes is not None else {}


def _resumed(publication: Publication) -> State:
    def written(kinds: Mapping[Kind, Shown]) -> dict[Kind, Written]:
        return {kind: shown.written() for kind, shown in kinds.items()}

    return State(
        sequence=publication.sequence,
        published=written(publication.kinds),
        good=written(publication.good),
        refused=publication.refused,
    )
