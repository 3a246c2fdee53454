"""What the first page shows: every model, those with a problem first. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from fairlead.contracts.health import Health, Mark, health_of
from fairlead.contracts.revision import Phase
from fairlead.contracts.status import Status
from fairlead.control.console.place import Place
from fairlead.views import health as health_words
from fairlead.views import rollout, sparkline

MAX_ROWS = 200
"""More rows would make the page too large to be sent again at each change. Those that serve are left out first."""
READING_S = 5.0
"""How often the engine reads what gateways count: when one of its windows ends."""
_ORDER = (Mark.DOWN, Mark.DEGRADED, Mark.UNKNOWN, Mark.STARTING, Mark.COLD, Mark.SERVING)


@dataclass(frozen=True, slots=True)
class Row:
    """One model."""

    model: str
    mark: str
    """The mark alone, for the style of the row."""
    health: str
    load: str
    """Requests per second now; empty where that is not known."""
    drawing: str
    """Those of the last minutes, as SVG."""
    reason: str
    phase: str
    stable: str
    candidate: str
    weight: str
    step: str
    revision: str
    gateway: str
    waiting: str
    command: str


@dataclass(frozen=True, slots=True)
class Fleet:
    """The whole page. `left_out` rows are not shown."""

    summary: str
    title: str
    rows: tuple[Row, ...]
    left_out: int


def fleet(
    statuses: Iterable[Status],
    place: Place,
    now: datetime,
    load: Mapping[str, Sequence[float]] = MappingProxyType({}),
    namespaces: Mapping[str, str] = MappingProxyType({}),
) -> Fleet:
    """The page: models that are down first, then by health, then those in a rollout, then by name.

    `load` has the requests per second of each route that are known, one number for each of the engine's windows.
    `namespaces` has the namespace of each route.
    """
    found = sorted(((status, health_of(status)) for status in statuses), key=lambda one: _urgency(*one))
    rows = tuple(
        _row(status, health, place.of_model(namespaces.get(status.route, "")), now, load.get(status.route, ()))
        for status, health in found[:MAX_ROWS]
    )
    summary = _summary(found)
    down = sum(health.is_down for _, health in found)
    return Fleet(summary, f"{down} down" if down else "Models", rows, max(0, len(found) - MAX_ROWS))


def _urgency(status: Status, health: Health) -> tuple[int, bool, str]:
    return _ORDER.index(health.mark), status.candidate is None, status.route


def _summary(found: Iterable[tuple[Status, Health]]) -> str:
    """How many models there are, by health, and how many are in a rollout: `3 models: 1 down, 2 serving`."""
    pairs = list(found)
    if not pairs:
        return "no models yet"
    marks = Counter(health.mark for _, health in pairs)
    counts = ", ".join(f"{marks[mark]} {mark}" for mark in _ORDER if marks[mark])
    rolling = sum(status.phase not in (None, Phase.STABLE) for status, _ in pairs)
    models = "1 model" if len(pairs) == 1 else f"{len(pairs)} models"
    return f"{models}: {counts}" + (f"; {rolling} in a rollout" if rolling else "")


def _row(status: Status, health: Health, place: Place, now: datetime, load: Sequence[float]) -> Row:
    return Row(
        model=status.route,
        mark=health.mark.value,
        health=health_words.mark(health, now),
        load=sparkline.amount(load[-1]) if load else "",
        drawing=sparkline.draw(load, "requests per second", READING_S),
        reason=health.reason,
        phase=rollout.phase(status),
        stable=str(status.stable or "-"),
        candidate=str(status.candidate or "-"),
        weight=rollout.weight(status),
        step=rollout.step(status),
        revision=status.revision or "-",
        gateway=rollout.programmed(status),
        # In place of a reason that is the same sentence.
        waiting=status.waiting if status.waiting != health.reason else "",
        command=health_words.next_step(health, place.with_options, place.gateways),
    )
