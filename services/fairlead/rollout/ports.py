"""Protocols and values through which the engine reaches the outside: store, gateways, metrics, answers. No I/O here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from fairlead.contracts.action import Action, Outcome
from fairlead.contracts.answers import add_classes
from fairlead.contracts.gateway import ClusterKey
from fairlead.contracts.instance import Instance, Wanted
from fairlead.contracts.revision import Check, Revision
from fairlead.contracts.route import Route, UnreadableRoute, VersionRef
from fairlead.contracts.status import Condition, Reason, WantedInstances
from fairlead.contracts.table import Table
from fairlead.contracts.window import Buckets, Window, add_buckets


class EngineStore(Protocol):
    """The part of the store that the engine uses; `store.base.Store` implements it."""

    def route(self, name: str) -> Route: ...  # noqa: D102
    def routes(self) -> list[Route]: ...  # noqa: D102
    def unreadable_routes(self) -> list[UnreadableRoute]: ...  # noqa: D102
    def head(self, route: str) -> Revision | None: ...  # noqa: D102
    def revision(self, route: str, seq: int) -> Revision: ...  # noqa: D102
    def revisions(self, route: str, *, limit: int | None = None) -> list[Revision]: ...  # noqa: D102
    def append(self, revision: Revision) -> Revision: ...  # noqa: D102
    def prune(self, route: str, *, keep: int, now: datetime) -> int: ...  # noqa: D102
    def actions(self, route: str | None = None, *, outcome: Outcome | None = None) -> list[Action]: ...  # noqa: D102
    def finish_action(  # noqa: D102
        self, name: str, outcome: Outcome, *, message: str = "", revision: int | None = None, route: str | None = None
    ) -> None: ...
    def add_window(self, route: str, window: Window, *, at_once: bool = True) -> None: ...  # noqa: D102
    def windows(self, route: str) -> list[Window]: ...  # noqa: D102
    def instances(self) -> list[Instance]: ...  # noqa: D102
    def want(self, wanted: Sequence[Wanted]) -> None: ...  # noqa: D102
    def wanted(self) -> list[Wanted]: ...  # noqa: D102
    def set_status(self, route: str, status: dict[str, object], *, namespace: str | None = None) -> None: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class GatewayState:
    """One gateway's last answer. `programmed` maps a route's name to the revision that the gateway serves."""

    name: str
    reachable: bool
    programmed: Mapping[str, int] = field(default_factory=dict)
    rejected: str | None = None
    """Why the gateway rejected a configuration. It keeps serving the old one."""


class Gateways(Protocol):
    """The state of every gateway."""

    def gateways(self) -> Sequence[GatewayState]:
        """Every known gateway. Never raises: a gateway that does not answer is `reachable=False`."""
        ...


class Smoke(Protocol):
    """Sends the golden rows to a version, on the same path through the gateways as users' requests."""

    def smoke(self, table: Table, ref: VersionRef) -> Check:
        """Pass; fail, with the row that differs; or inconclusive, when the rows could not be sent. Never raises.

        Called only once every reachable gateway serves the table, which pins the version.
        """
        ...


@dataclass(frozen=True, slots=True)
class InstanceAddress:
    """One instance whose answer records are read."""

    id: str
    ref: VersionRef
    host: str
    port: int
    namespace: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The record of one instance's answer to one request. `shadow`: it was a mirrored request."""

    request_id: str
    ref: VersionRef
    shadow: bool
    status: int = 200
    label: str | None = None
    score: float | None = None
    fields: Mapping[str, str] = field(default_factory=dict)
    """The fields of this version's answers, and their types."""


@dataclass(frozen=True, slots=True)
class Increase:
    """By how much the totals of a version's instances (`contracts.service_totals`) rose between readings."""

    labels: int | None = None
    """None: an instance takes no feedback."""
    wrong: int = 0
    errors: tuple[int, ...] = ()
    rows: int = 0
    cpu_s: float | None = None
    """None: an instance does not know it."""
    seconds: float = 0.0
    """Seconds between the readings, of all instances together."""
    idle_cpu_s: float = 0.0
    idle_s: float = 0.0
    """CPU seconds while no row was answered, and how long that was. They are a part of the others."""
    bins: Mapping[str, int] = field(default_factory=dict)

    def plus(self, other: Increase) -> Increase:
        """The sum of both. What one of them does not know, the sum does not know either."""
        return Increase(
            None if self.labels is None or other.labels is None else self.labels + other.labels,
            self.wrong + other.wrong,
            add_buckets(self.errors, other.errors),
            self.rows + other.rows,
            None if self.cpu_s is None or other.cpu_s is None else self.cpu_s + other.cpu_s,
            self.seconds + other.seconds,
            self.idle_cpu_s + other.idle_cpu_s,
            self.idle_s + other.idle_s,
            add_classes(dict(self.bins), dict(other.bins)),
        )


@dataclass(frozen=True, slots=True)
class CollectedAnswers:
    """Answer records of one route's instances since the last call."""

    answers: Sequence[Answer] = ()
    classes: Mapping[VersionRef, Mapping[str, int]] = field(default_factory=dict)
    """How often each class was answered to users, by version. Instances that restarted are left out."""
    lost: int = 0
    """How many answer records were overwritten or dropped before they were read."""
    silent: tuple[str, ...] = ()
    """Instances that did not answer."""
    problems: Mapping[VersionRef, Mapping[str, int]] = field(default_factory=dict)
    """How often predictions failed, by version, and by status and sentence. For people, never evidence."""
    increases: Mapping[VersionRef, Increase] = field(default_factory=dict)
    """What the services counted for gates, by version. Instances that restarted are left out."""


class AnswerSource(Protocol):
    """Answer records of the model services. Counts and records, never rates. Neither call waits or raises."""

    def subscribe(self, wanted: Mapping[str, Sequence[InstanceAddress]]) -> None:
        """Set the instances whose records are read from now on, by route. The engine calls this at every tick.

        Records from before an instance was first listed are skipped: another engine may have counted them.
        """
        ...

    def collect(self) -> Mapping[str, CollectedAnswers]:
        """The records that arrived since the last call, by route."""
        ...


class NoAnswers:
    """An `AnswerSource` without any records."""

    def subscribe(self, wanted: Mapping[str, Sequence[InstanceAddress]]) -> None:
        """Does nothing."""

    def collect(self) -> Mapping[str, CollectedAnswers]:
        """Returns no records."""
        return {}


class Inputs(Protocol):
    """Compares the rows that a candidate gets with those that stable gets. For people, never evidence."""

    def compared(self, route: str, table: Table, instances: Sequence[Instance]) -> Condition:
        """The condition `InputsDiffer`. `instances` are those of the model.

        The engine calls this at every tick. Never waits or raises.
        """
        ...

    def keep(self, routes: Collection[str]) -> None:
        """Drop what is known of all routes but these."""
        ...


class NoInputs:
    """`Inputs` where nothing is compared."""

    def compared(self, route: str, table: Table, instances: Sequence[Instance]) -> Condition:  # noqa: ARG002
        """Knows nothing."""
        return Condition(type="InputsDiffer", status=False, reason=Reason.NOT_COMPARED)

    def keep(self, routes: Collection[str]) -> None:
        """Does nothing."""


class Scales(Protocol):
    """Writes how many instances versions have, where nothing else does: in a cluster, `autoscaling.kind: managed`."""

    def scale(self, route: Route, wanted: Sequence[WantedInstances]) -> None:
        """Give the versions that it manages so many instances. Raises Conflict if this process does not lead."""
        ...


class NoScales:
    """`Scales` where no version is managed: on one machine the supervisor starts what the spec says."""

    def scale(self, route: Route, wanted: Sequence[WantedInstances]) -> None:
        """Does nothing."""


class StatusWrites(Protocol):
    """Carries out the writes of statuses: those of one route one after the other, those of different routes perhaps at
    the same time."""

    def start(self, route: str, write: Callable[[], None]) -> None:
        """Carry out a write of this route, now or soon. Raises the error of a write that was waited for."""
        ...

    def finish(self, route: str) -> None:
        """Return when no write of this route is under way. Raises its error."""
        ...

    def finish_all(self) -> None:
        """Return when no write is under way. Raises the first error."""
        ...


class OneByOne:
    """`StatusWrites` where a write costs next to nothing: each is carried out at once."""

    def start(self, route: str, write: Callable[[], None]) -> None:  # noqa: ARG002
        """Carry it out."""
        write()

    def finish(self, route: str) -> None:
        """Nothing is ever under way."""

    def finish_all(self) -> None:
        """Nothing is ever under way."""


class Demand(Protocol):
    """Who uses which version, where versions may be cold."""

    def requests(self) -> Mapping[ClusterKey, tuple[object, int]] | None:
        """For each cluster of the gateways, a value that is another one after each request, and how many are open.

        None: a gateway did not answer. Never raises.
        """
        ...

    def unfound(self, table: Table) -> frozenset[VersionRef]:
        """The cold versions of a table of which some gateway had found no instance when `requests` was last called."""
        ...

    def asked(self) -> Collection[tuple[str, VersionRef]]:
        """The cold versions that requests wait for, with their routes."""
        ...


class NoDemand:
    """`Demand` where nothing is known of it, so that no version becomes cold."""

    def requests(self) -> None:
        """Nothing is known."""

    def unfound(self, table: Table) -> frozenset[VersionRef]:  # noqa: ARG002
        """None of them is waited for."""
        return frozenset()

    def asked(self) -> Collection[tuple[str, VersionRef]]:
        """Nobody waits."""
        return ()


class Clock(Protocol):
    """Now, in UTC."""

    def __call__(self) -> datetime: ...  # noqa: D102


@dataclass(frozen=True, slots=True)
class Reading:
    """Raw cumulative counters of one gateway at one moment: the input of `analysis.counts`.

    `clusters` maps a cluster to counter name to value; `endpoints` maps it to endpoint address to
    (rq_success, rq_error). A missing counter has not been incremented yet: it is 0.
    """

    gateway: str
    at: datetime
    clusters: Mapping[ClusterKey, Mapping[str, int]]
    endpoints: Mapping[ClusterKey, Mapping[str, tuple[int, int]]]
    uptime_s: float | None = None
    """How long this gateway's process has run. Less than the time since the last reading means a restart."""
    latency: Mapping[ClusterKey, Buckets] = field(default_factory=dict)
    """How many answers took at most each bound of the grid (`contracts.latency`), since the gateway started."""
    timeouts: Mapping[ClusterKey, Mapping[str, int]] = field(default_factory=dict)
    """Requests that the gateway's own time limit ended, by cluster and endpoint address (rq_timeout)."""


class MetricSource(Protocol):
    """The source of the gateways' counters. Counts, never rates."""

    def read(self) -> Sequence[Reading]:
        """One reading per gateway that answered. An empty list is a metrics outage and no evidence. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Series:
    """One counter of one target as it was scraped, without filled gaps or interpolated values."""

    labels: Mapping[str, str]
    samples: Sequence[tuple[float, float]]
    """(unix time in seconds, value), ascending."""


class History(Protocol):
    """Past counters, from which a missed window can be counted later. Every method raises Unavailable."""

    @property
    def interval_s(self) -> float:
        """Its scrape interval."""
        ...

    def clock(self) -> datetime:
        """Its current time. Its samples carry times of this clock."""
        ...

    def readings(self, table: Table, since: datetime, until: datetime, *, latency: bool) -> Sequence[Reading]:
        """Every scrape of every gateway between the two times, with the counters of this table's model."""
        ...

    def series(self, selector: str, since: datetime, until: datetime) -> Sequence[Series]:
        """All series that a selector matches between the two times."""
        ...
