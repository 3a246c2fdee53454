"""Looking: instances, gateways, golden rows and counters become one frozen observation per route.

Nothing is kept from one tick to the next but the raw counters (`analysis.window_boundaries`) and what the ledger says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fairlead import errors
from fairlead.contracts.action import Action
from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Check, Phase, Revision, Verdict, Window
from fairlead.contracts.route import Route, VersionRef
from fairlead.rollout.policy.evidence import weigh
from fairlead.rollout.policy.gates import acknowledged
from fairlead.rollout.policy.observation import Observation
from fairlead.rollout.policy.situation import Situation
from fairlead.rollout.ports import (
    Answers,
    Clock,
    EngineStore,
    Gateways,
    GatewayState,
    History,
    MetricSource,
    Site,
    Smoke,
)
from fairlead.rollout.windows.attempt_history import Attempts
from fairlead.rollout.windows.custom_metrics import Tallies
from fairlead.rollout.windows.freshness import Settled, ask
from fairlead.rollout.windows.from_answers import PairedWindows
from fairlead.rollout.windows.from_counters import CountedWindows
from fairlead.rollout.windows.from_prometheus import ReplayedWindows
from fairlead.rollout.windows.observed_time import Watch
from fairlead.rollout.windows.source import Asked, Source

LATE = 3
"""Two looks that are further apart than this many windows did not watch what was between them."""


@dataclass(frozen=True, slots=True)
class Look:
    """What all routes share at one tick."""

    now: datetime
    until: datetime
    """The same on the windows' clock, which is never set back."""
    gateways: tuple[GatewayState, ...]
    instances: tuple[Instance, ...]
    ended: bool = False
    """A window's time is over."""
    settled: Settled = Settled(None)
    """How far the history is then, where there is one."""


class Observer:
    """Looks at the world once per tick."""

    def __init__(
        self,
        store: EngineStore,
        *,
        gateways: Gateways,
        metrics: MetricSource,
        smoke: Smoke,
        clock: Clock,
        monotonic: Callable[[], float],
        window_s: float,
        answers: Answers,
        history: History | None = None,
        replays: bool = False,
    ) -> None:
        """`history` is asked for custom gates, and for everything where it `replays`; `metrics` is not asked then."""
        self._store = store
        self._gateways = gateways
        self._smoke = smoke
        self._clock = clock
        self._window_s = window_s
        self._answers = answers
        self._history = history
        replayed = ReplayedWindows(history, window_s) if history is not None and replays else None
        self._source: Source = replayed or CountedWindows(metrics)
        self._paired = PairedWindows(answers)
        self._attempts = Attempts(store)
        self._watch = Watch(monotonic, break_s=LATE * window_s)
        self._wanted: dict[str, tuple[Site, ...]] = {}
        self._ahead = timedelta()
        self._slot = -1

    def glance(self) -> Look:
        """As `look`, but no window ends by it."""
        now = self._clock()
        self._watch.look()
        return Look(now, now + self._ahead, tuple(self._gateways.gateways()), tuple(self._store.instances()))

    def look(self) -> Look:
        """Everything that is the same for all routes. A window ends by the wall clock."""
        look = self.glance()
        self._answers.listen(self._wanted)
        self._wanted = {}
        self._paired.hear()
        slot = int((look.until.timestamp() - self._source.behind_s) // self._window_s)
        if slot == self._slot:
            return look
        self._slot = slot
        self._source.end(look.until)
        settled = ask(self._history, look.now) if self._history is not None else look.settled
        return replace(look, ended=True, settled=settled)

    def windows(self, route: Route, head: Revision, look: Look) -> list[Window]:
        """The windows that ended at this look, and those that can be counted only now, with what they say."""
        if head.state.phase is Phase.STABLE:
            self._watch.begin(route.name)
        if not look.ended and not self._paired.has_news(route.name):
            return []
        before = self._attempts.windows(head)
        self._paired.match(route, head, before)
        if head.state.phase is Phase.STABLE:
            if look.ended:
                self._source.begin(head)
            return []
        asked = Asked(route, head, before, self._attempts.stretch(head), look.until, look.settled)
        found = self._ended(asked, look) if look.ended else []
        weighed = list[Window]()
        for window in found or [self._ready(one, asked, look) for one in self._paired.windows(asked)]:
            evidence = weigh(route.spec.strategy, (*before, *weighed), window)
            weighed.append(window.model_copy(update={"evidence": evidence}))
        if weighed:
            self._paired.place(route.name, weighed[-1])
        return weighed

    def _ended(self, asked: Asked, look: Look) -> list[Window]:
        """What the source has now; the last one says who is ready, and what services told."""
        # The clock was set back. Windows go on from where they were: a brake that waits for the clock is none.
        self._ahead += max(timedelta(), asked.noted - asked.until)
        tallies, found = Tallies(self._history, asked), list[Window]()
        windows = self._source.windows(asked)
        self._source.begin(asked.head)
        for window in windows:
            told = window.model_copy(update={"custom": tallies.up_to(window.end)})
            told = self._ready(told, asked, look)
            is_last = window is windows[-1]
            found.append(self._paired.fill(told) if is_last else told.model_copy(update={"ready": None}))
        return found

    def _ready(self, window: Window, asked: Asked, look: Look) -> Window:
        """The window with how many of the candidate's instances are ready, if somebody watched it."""
        is_watched = self._watch.place(asked.route.name, window.seconds)
        ready = _ready(asked.route, look).get(asked.head.state.target, 0) if is_watched else None
        return window.model_copy(update={"ready": ready})

    def observe(self, route: Route, head: Revision | None, look: Look, actions: Sequence[Action]) -> Observation:
        """The route's world at this look."""
        seen = Observation(now=look.now, ready=_ready(route, look), gateways=look.gateways)
        if head is None:
            return seen
        self._wanted[route.name] = _sites(route, head, look)
        seen = replace(seen, shadow=self._paired.told(route.name))
        entered_s = self._watch.enter(route.name, (head.state.attempt, head.state.entered_at))
        seen = replace(seen, since_window_s=self._watch.left_s(route.name), since_entered_s=entered_s)
        seen = replace(seen, windows=self._attempts.windows(head), named=self._named(route, actions))
        return replace(seen, smoke=self._smoked(Situation(route, head, seen)))

    def _smoked(self, situation: Situation) -> Check | None:
        """Ask the golden rows once they can be asked on the way users take, and as long as nothing has weight."""
        candidate, head = situation.candidate, situation.head
        if candidate is None or head.state.phase is not Phase.PREPARING or not situation.strategy.warm_up.smoke:
            return None
        if candidate not in head.table.pins or not situation.ready(candidate):
            return None
        if acknowledged(situation).verdict is not Verdict.PASS:
            return None
        return self._smoke.smoke(head.table, candidate)

    def _named(self, route: Route, actions: Sequence[Action]) -> dict[int, Revision]:
        found = {}
        for seq in {action.to_revision for action in actions if action.to_revision is not None}:
            try:
                found[seq] = self._store.revision(route.name, seq)
            except errors.NotFound:
                continue  # the policy refuses the action with a sentence
        return found


def _sites(route: Route, head: Revision, look: Look) -> tuple[Site, ...]:
    """Whose answers are compared: where something is mirrored, or two versions answer users. At rest nobody's."""
    table = head.table
    if not table.mirrors and table.candidate is None:
        return ()
    refs = {table.stable, table.candidate, *(mirror.version for mirror in table.mirrors)}
    return tuple(
        Site(one.id, one.ref, one.host, one.port)
        for one in look.instances
        if one.ref in refs and one.ready and (one.namespace, one.model) == (route.namespace, route.spec.model)
    )


def _ready(route: Route, look: Look) -> dict[VersionRef, int]:
    found: dict[VersionRef, int] = {}
    for instance in look.instances:
        if instance.ready and (instance.namespace, instance.model) == (route.namespace, route.spec.model):
            found[instance.ref] = found.get(instance.ref, 0) + 1
    return found
