"""How much of its quota each client has used: kept by the control plane, shown by commands.

It is computed from what gateways have counted since they started. So it has the last reading of each gateway too, and a
control plane that starts again goes on from there: what was counted meanwhile is in the next reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from fairlead.contracts.access import Access, Quota
from fairlead.contracts.base import Document

SLACK_S = 10.0
"""How far the time that a gateway says it runs, and the time between two readings, may be off. Envoy writes the first
every five seconds, and each is a difference of a clock that may be set."""


class Reading(Document):
    """What a gateway has counted since it started."""

    uptime_s: int = 0
    """How long it runs. Negative: its clock was set back by more than that."""
    clients: dict[str, int] = {}
    """Requests by client."""
    read_at: datetime | None = None
    """When it was read, once it is kept."""

    def more_than(self, before: Reading, now: datetime) -> dict[str, int]:
        """What was counted since then."""
        if self._started_after(before, now):
            return self.clients
        last = before.clients
        return {
            name: number - last.get(name, 0) if number >= last.get(name, 0) else number
            for name, number in self.clients.items()
        }

    def _started_after(self, before: Reading, now: datetime) -> bool:
        """Whether the gateway has started again since `before`.

        Then it runs for a shorter time than has passed. That it runs for a shorter time than before is not enough,
        because a gateway whose clock was set back says that too; nor is it needed, after a long pause. A gateway that
        was young at the last reading may also run for a time near the one that has passed: then it has to run for a
        shorter time than it would if it had run on.
        """
        passed = max((now - before.read_at).total_seconds(), 0.0) if before.read_at is not None else 0.0
        if self.uptime_s < 0:
            return False
        shorter = self.uptime_s < before.uptime_s or self.uptime_s + SLACK_S < before.uptime_s + passed
        return shorter and self.uptime_s < passed + SLACK_S


class Used(Document):
    """The requests of one client in the day and the month in which the last one was counted, in UTC."""

    day: str = ""
    """Such as 2026-11-30."""
    in_day: int = 0
    in_month: int = 0

    def at(self, now: datetime) -> Used:
        """The same seen from now: in a new day or month nothing is used yet."""
        day = now.astimezone(UTC).date().isoformat()
        same_month = self.day[:7] == day[:7]
        return Used(day=day, in_day=self.in_day if self.day == day else 0, in_month=self.in_month if same_month else 0)


class QuotaUse(Document):
    """The whole."""

    clients: dict[str, Used] = {}
    gateways: dict[str, Reading | None] | None = None
    """The last reading of each gateway; null before the first. A gateway that has null did not answer at the first of
    all: what it had counted until then is not known."""
    quotas: dict[str, Quota] = {}
    """The quotas at that time, for those who may not read the document of clients."""


def counted(use: QuotaUse, readings: Mapping[str, Reading], there: Set[str], access: Access, now: datetime) -> QuotaUse:
    """The use after these readings, by gateway. `there` are all gateways, also those that did not answer.

    Of a gateway that was not known everything counts, except at the first reading of all. Where no gateway is there,
    those that were are remembered.
    """
    known: dict[str, Reading | None] = use.gateways or {}
    if use.gateways is None:
        known = dict.fromkeys(there)
    more: dict[str, int] = {}
    for gateway, reading in readings.items():
        before = known.get(gateway, Reading())
        for client, new in reading.more_than(before, now).items() if before is not None else ():
            more[client] = more.get(client, 0) + new
    kept = {gateway: reading for gateway, reading in known.items() if gateway in there or not there}
    kept |= {gateway: reading.model_copy(update={"read_at": now}) for gateway, reading in readings.items()}
    quotas = {name: client.quota for name, client in access.clients.items() if client.quota is not None}
    clients = {}
    for name in quotas:
        used, new = use.clients.get(name, Used()).at(now), more.get(name, 0)
        clients[name] = Used(day=used.day, in_day=used.in_day + new, in_month=used.in_month + new)
    return QuotaUse(clients=clients, gateways=kept if kept or use.gateways is not None else None, quotas=quotas)


def closed(use: QuotaUse, access: Access, now: datetime) -> dict[str, int]:
    """The clients whose quota is used up, and when that ends, in whole seconds since 1970."""
    found = {}
    for name, client in access.clients.items():
        used = use.clients.get(name, Used()).at(now)
        ends = [end for end, number, most in _periods(client.quota, used, now) if number >= most]
        if ends:
            found[name] = max(ends)
    return found


class Spent(NamedTuple):
    """What a client has used of its quota of a period that is now."""

    client: str
    period: str
    """`day` or `month`."""
    used: int
    allowed: int


def spent(use: QuotaUse, now: datetime) -> list[Spent]:
    """What each client has used of each of its quotas."""
    found = []
    for name, quota in use.quotas.items():
        used = use.clients.get(name, Used()).at(now)
        for period, number, most in (("day", used.in_day, quota.day), ("month", used.in_month, quota.month)):
            if most is not None:
                found.append(Spent(name, period, number, most))
    return found


def _periods(quota: Quota | None, used: Used, now: datetime) -> list[tuple[int, int, int]]:
    """When each period with a limit ends, what is used of it, and the limit."""
    if quota is None:
        return []
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    next_month = (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
    both = (
        (midnight + timedelta(days=1), used.in_day, quota.day),
        (next_month, used.in_month, quota.month),
    )
    return [(int(end.timestamp()), number, most) for end, number, most in both if most is not None]
