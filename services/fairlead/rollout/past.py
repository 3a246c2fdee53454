"""Windows from a history: whatever was missed is counted when it can be, as the windows that it was.

What was counted last is read from the ledger, so it does not matter who missed it: the history, the way to it, or the
whole control plane. Nothing is remembered here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fairlead.contracts.gates import GateSpec, is_custom
from fairlead.contracts.promql import fill
from fairlead.contracts.revision import Arms, Counts, Histograms, Revision, Tally, Window
from fairlead.contracts.route import Route, VersionRef
from fairlead.errors import Unavailable
from fairlead.rollout.analysis.counts import Counted, Gap, count
from fairlead.rollout.analysis.custom_counts import Asked, NotYet
from fairlead.rollout.analysis.custom_counts import count as count_custom
from fairlead.rollout.analysis.cuts import Cut
from fairlead.rollout.analysis.recall import REPLAYED_S, SETTLE_S, SKEW_S, cuts, ends, keep_s
from fairlead.rollout.ports import History

_NEAR = timedelta(seconds=SETTLE_S + SKEW_S)
"""What is further ahead of what Prometheus has was noted by another clock."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Up to when a history has everything; or why it cannot be asked."""

    until: datetime | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Stretch:
    """For how long the same two versions have been compared, and with which weights."""

    since: datetime
    weights: tuple[tuple[datetime, int], ...]
    """From when on which, ascending."""

    def weight(self, at: datetime) -> int:
        """The candidate's share at a moment."""
        return next((weight for since, weight in reversed(self.weights) if since <= at), self.weights[0][1])


def ask(history: History, now: datetime) -> Settled:
    """How far it is. Never raises."""
    try:
        theirs = history.clock()
    except Unavailable as error:
        return Settled(None, error.message)
    ahead = (theirs - now).total_seconds()
    if abs(ahead) > SKEW_S:
        which = "ahead of" if ahead > 0 else "behind"
        return Settled(None, f"Prometheus's clock is {abs(ahead):,.0f} s {which} ours, so its windows are not ours")
    return Settled(theirs - timedelta(seconds=SETTLE_S))


class PastWindows:
    """The windows of one route since the last counted one."""

    def __init__(self, history: History, window_s: float) -> None:
        self._history = history
        self._window_s = window_s

    def windows(
        self, head: Revision, stretch: Stretch, settled: Settled, until: datetime, before: Sequence[Window]
    ) -> list[Window]:
        """In the order of their ends, without evidence. A window that is not over everywhere is not among them.

        A gap that is only noted ends at `until`, now on the windows' own clock.
        """
        since, noted = _counted_until(before, stretch), noted_until(before, stretch)
        problem = settled.problem if settled.until is None else set_back(since, settled.until)
        if settled.until is None or problem:
            return _gap(max(noted, stretch.since), until, head.table.weight, problem)
        at = ends(since, settled.until, self._window_s)
        if not at:
            return []
        first = max(since, settled.until - timedelta(seconds=REPLAYED_S))
        interval = self._history.interval_s
        try:
            readings = self._history.readings(
                head.table,
                first - timedelta(seconds=keep_s(interval)),
                settled.until,
                latency=(settled.until - first).total_seconds() <= self._short_s(),
            )
        except Unavailable as error:
            return _gap(max(noted, stretch.since), until, head.table.weight, error.message)
        found = [self._window(head, stretch, end, cut) for end, cut in cuts(readings, first, at, interval)]
        # Gaps that were noted when nothing could be counted stay as they are, and are not noted again. Those that lie
        # ahead were noted by another time than this: the clock was set since.
        told = max((one.end for one in before if one.end <= settled.until + _NEAR), default=stretch.since)
        kept = [window for window in found if window.gap is None or window.start >= told]
        return kept if len(found) == 1 else [_without_latency(window) for window in kept]

    def _short_s(self) -> float:
        """Scrapes and windows do not end together: nothing was missed up to here."""
        return 2 * max(self._window_s, self._history.interval_s) + self._window_s

    def _window(self, head: Revision, stretch: Stretch, end: datetime, cut: Cut) -> Window:
        start = cut.start or end
        try:
            counted, gap = count(cut.before, cut.after, head.table), None
        except Gap as found:
            counted, gap = Counted(), str(found)
        return Window(
            start=start,
            end=end,
            weight=stretch.weight(end),
            candidate=counted.candidate,
            stable=counted.stable,
            assigned=counted.assigned,
            unserved=counted.unserved,
            rejections=counted.rejections,
            latency=Histograms() if cut.bridged else counted.latency,
            gap=gap,
        )


@dataclass
class Tallies:
    """The custom gates of one route at one look: what each counted since it was last counted."""

    history: History | None
    route: Route
    head: Revision
    stretch: Stretch
    settled: Settled
    before: Sequence[Window]
    _until: dict[str, datetime] = field(default_factory=dict)
    _found: dict[str, dict[str, Asked] | str] = field(default_factory=dict)

    def up_to(self, end: datetime) -> dict[str, Tally]:
        """One for each custom gate that has something to say at this moment."""
        if self.head.table.candidate is None:
            return {}
        gates = [(at, gate) for at, gate in enumerate(self.route.spec.strategy.gates) if is_custom(gate.name)]
        found = {gate.name: self._tally(gate, at, end) for at, gate in gates if gate.role != "off"}
        return {name: tally for name, tally in found.items() if tally is not None}

    def _tally(self, gate: GateSpec, index: int, end: datetime) -> Tally | None:
        since = self._since(gate.name)
        if self.history is None:
            why = f"no Prometheus is configured, and strategy.gates.{index}.promql needs one"
            return Tally(until=since, gap=why)
        if self.settled.until is None:
            return Tally(until=since, gap=self.settled.problem)
        until = min(end, self.settled.until)
        if why := set_back(since, self.settled.until):
            return Tally(until=since, gap=why)
        if until <= since:
            return None
        if gate.name not in self._found:
            self._found[gate.name] = self._ask(self.history, gate, since, self.settled.until)
        asked = self._found[gate.name]
        if isinstance(asked, str):
            return Tally(until=since, gap=asked)
        try:
            counts = {role: count_custom(one, since, until, self.history.interval_s) for role, one in asked.items()}
        except NotYet:
            return None
        except Gap as gap:
            self._until[gate.name] = until
            return Tally(until=until, gap=str(gap))
        self._until[gate.name] = until
        return Tally(until=until, arms=Arms(candidate=counts["candidate"], stable=counts.get("stable", Counts())))

    def _since(self, gate: str) -> datetime:
        if gate not in self._until:
            told = (one.custom[gate].until for one in reversed(self.before) if gate in one.custom)
            self._until[gate] = max(next(told, self.stretch.since), self.stretch.since)
        floor = (self.settled.until or self._until[gate]) - timedelta(seconds=REPLAYED_S)
        return max(self._until[gate], floor)

    def _ask(self, history: History, gate: GateSpec, since: datetime, until: datetime) -> dict[str, Asked] | str:
        """The series of both versions, or why there are none."""
        start = since - timedelta(seconds=keep_s(history.interval_s))
        table, found = self.head.table, dict[str, Asked]()
        try:
            for role, ref in self._arms(gate):
                values = _values(role, ref, table.namespace, table.model)
                bad, total = (history.series(fill(query, values), start, until) for query in _queries(gate))
                found[role] = Asked(bad, total)
        except Unavailable as error:
            return error.message
        return found

    def _arms(self, gate: GateSpec) -> Iterator[tuple[str, VersionRef]]:
        table = self.head.table
        if table.candidate is not None:
            yield "candidate", table.candidate
        if gate.limit is None:
            yield "stable", table.stable


def _queries(gate: GateSpec) -> tuple[str, str]:
    if gate.promql is None:
        raise ValueError(f"gate {gate.name} has no promql")  # the contract refuses such a gate
    return gate.promql.bad, gate.promql.total


def _values(role: str, ref: VersionRef, namespace: str, model: str) -> dict[str, str]:
    return {"model": model, "namespace": namespace, "version": ref.version, "identity": ref.identity, "role": role}


def noted_until(before: Sequence[Window], stretch: Stretch) -> datetime:
    """Up to when windows say anything, on their own clock."""
    return max([window.end for window in before], default=stretch.since)


def set_back(since: datetime, until: datetime) -> str:
    """Why nothing can be counted when what was counted last lies ahead of all there is; empty when it does not."""
    ahead = (since - until).total_seconds()
    if ahead <= SETTLE_S + SKEW_S:
        return ""
    return f"Prometheus's clock was set back: what was counted last lies {ahead:,.0f} s ahead of it"


def _counted_until(before: Sequence[Window], stretch: Stretch) -> datetime:
    newest = next((window.end for window in reversed(before) if window.gap is None), stretch.since)
    return max(newest, stretch.since)


def _gap(start: datetime, end: datetime, weight: int, why: str) -> list[Window]:
    return [Window(start=start, end=end, weight=weight, gap=why)] if start < end else []


def _without_latency(window: Window) -> Window:
    """Of what was missed nobody knows which answers were an instance's first and slow ones."""
    return window.model_copy(update={"latency": Histograms()})
