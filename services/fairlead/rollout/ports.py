"""What the engine needs from outside, as narrow as it can be. No I/O here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from fairlead.contracts.action import Action, Outcome
from fairlead.contracts.gateway import Key
from fairlead.contracts.instance import Instance, Wanted
from fairlead.contracts.revision import Buckets, Check, Revision, Window
from fairlead.contracts.route import Route, VersionRef
from fairlead.contracts.table import Table


class EngineStore(Protocol):
    """The part of the store the engine uses; `store.base.Store` has it."""

    def routes(self) -> list[Route]: ...  # noqa: D102
    def head(self, route: str) -> Revision | None: ...  # noqa: D102
    def revision(self, route: str, seq: int) -> Revision: ...  # noqa: D102
    def append(self, revision: Revision) -> Revision: ...  # noqa: D102
    def prune(self, route: str, *, keep: int, now: datetime) -> int: ...  # noqa: D102
    def actions(self, route: str | None = None, *, outcome: Outcome | None = None) -> list[Action]: ...  # noqa: D102
    def finish_action(  # noqa: D102
        self, name: str, outcome: Outcome, *, message: str = "", revision: int | None = None
    ) -> None: ...
    def add_window(self, route: str, window: Window, *, at_once: bool = True) -> None: ...  # noqa: D102
    def windows(self, route: str) -> list[Window]: ...  # noqa: D102
    def instances(self) -> list[Instance]: ...  # noqa: D102
    def want(self, wanted: Sequence[Wanted]) -> None: ...  # noqa: D102
    def wanted(self) -> list[Wanted]: ...  # noqa: D102
    def set_status(self, route: str, status: dict[str, object]) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class GatewayState:
    """One gateway as it last answered. `programmed` maps a route's name to the revision it serves."""

    name: str
    reachable: bool
    programmed: Mapping[str, int] = field(default_factory=dict)
    rejected: str | None = None
    """The reason it gave for refusing a configuration; the old one keeps serving."""


class Gateways(Protocol):
    """Who serves what right now."""

    def gateways(self) -> Sequence[GatewayState]:
        """Every known gateway; never raises: one that does not answer is `reachable=False`."""
        ...


class Smoke(Protocol):
    """Asks a version its golden rows, on the way users take."""

    def smoke(self, table: Table, ref: VersionRef) -> Check:
        """Pass, fail with the row that differs, or inconclusive when it could not be asked. Never raises.

        Only asked once the table, which pins the version, is served by every reachable gateway.
        """
        ...


@dataclass(frozen=True, slots=True)
class Site:
    """One instance whose answers are wanted."""

    id: str
    ref: VersionRef
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What one instance answered to one request. `shadow` says that it was a copy."""

    request_id: str
    ref: VersionRef
    shadow: bool
    status: int = 200
    label: str | None = None
    score: float | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    """The fields of an answer of this version, and their types."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What the instances of one route told since they were last asked."""

    answers: Sequence[Answer] = ()
    classes: Mapping[VersionRef, Mapping[str, int]] = field(default_factory=dict)
    """How often each class was answered to users, by version; an instance that began anew is left out."""
    lost: int = 0
    """Answers that nobody will hear of."""
    silent: tuple[str, ...] = ()
    """Instances that did not answer."""


class Answers(Protocol):
    """What services kept of their answers. Counts and records, never rates. Neither call waits or raises."""

    def listen(self, wanted: Mapping[str, Sequence[Site]]) -> None:
        """Whose answers are wanted from now on, by route; said again and again.

        What an instance kept before it was wanted is not told: somebody else may have counted it.
        """
        ...

    def hear(self) -> Mapping[str, Heard]:
        """What was heard since the last call, by route."""
        ...


class Nobody:
    """`Answers` where nobody keeps any."""

    def listen(self, wanted: Mapping[str, Sequence[Site]]) -> None:
        """To nobody."""

    def hear(self) -> Mapping[str, Heard]:
        """Nothing."""
        return {}


class Clock(Protocol):
    """Now, in UTC."""

    def __call__(self) -> datetime: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Reading:
    """Raw cumulative counters of one gateway at one moment, as the estimator wants them (section 9).

    `clusters` maps a cluster to counter name to value; `endpoints` maps it to endpoint address to
    (rq_success, rq_error). A counter that is not there has not been incremented yet: it is 0.
    """

    gateway: str
    at: datetime
    clusters: Mapping[Key, Mapping[str, int]]
    endpoints: Mapping[Key, Mapping[str, tuple[int, int]]]
    uptime_s: float | None = None
    """How long this gateway's process has run: less than the time since the last reading means a restart."""
    latency: Mapping[Key, Buckets] = field(default_factory=dict)
    """How many answers took at most each bound of the grid (`contracts.latency`), since the gateway began."""


class MetricSource(Protocol):
    """Where counts come from. Counts, never rates."""

    def read(self) -> Sequence[Reading]:
        """One reading per gateway that answered; an empty list is a metrics outage, and no evidence. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Series:
    """One counter of one target as it was scraped, without gaps filled or values made up."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]
    """(unix time in seconds, value), ascending."""


class History(Protocol):
    """Counters as they were: whoever missed a window can count it later. Every method raises Unavailable."""

    @property
    def interval_s(self) -> float:
        """How often it looks itself."""
        ...

    def clock(self) -> datetime:
        """What it takes for now: its samples carry this time."""
        ...

    def readings(self, table: Table, since: datetime, until: datetime, *, latency: bool) -> Sequence[Reading]:
        """Every gateway's counters of this table's model, as often as they were scraped in between."""
        ...

    def series(self, selector: str, since: datetime, until: datetime) -> Sequence[Series]:
        """Whatever a selector finds in between."""
        ...
