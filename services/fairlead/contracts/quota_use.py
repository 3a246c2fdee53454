"""How much of its quota each client has used: kept by the control plane, shown by commands.

It is computed from what gateways have counted since they started. So it has the last reading of each gateway too, and a
control plane that starts again goes on from there: what was counted meanwhile is in the next reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from datetime import UTC, datetime, timedelta

from fairlead.contracts.access import Access, Quota
from fairlead.contracts.base import Document


class Reading(Document):
    """What a gateway has counted since it started."""

    uptime_s: int = 0
    """How long it runs. One that runs for a shorter time than before has started again."""
    clients: dict[str, int] = {}
    """Requests by client."""

    def more_than(self, before: Reading) -> dict[str, int]:
        """What was counted since then."""
        if self.uptime_s < before.uptime_s:
            return self.clients
        last = before.clients
        return {
            name: number - last.get(name, 0) if number >= last.get(name, 0) else number
            for name, number in self.clients.items()
        }


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
    gateways: dict[str, Reading] | None = None
    """The last reading of each gateway; null before the first."""
    quotas: dict[str, Quota] = {}
    """The quotas at that time, for those who may not read the document of clients."""


def counted(use: QuotaUse, readings: Mapping[str, Reading], there: Set[str], access: Access, now: datetime) -> QuotaUse:
    """The use after these readings, by gateway. `there` are all gateways, also those that did not answer.

    Of a gateway that was not known everything counts, except at the first reading of all.
    """
    known = use.gateways or {}
    more: dict[str, int] = {}
    for gateway, reading in readings.items() if use.gateways is not None else ():
        for client, new in reading.more_than(known.get(gateway, Reading())).items():
            more[client] = more.get(client, 0) + new
    kept = {gateway: reading for gateway, reading in known.items() if gateway in there}
    quotas = {name: client.quota for name, client in access.clients.items() if client.quota is not None}
    clients = {}
    for name in quotas:
        used, new = use.clients.get(name, Used()).at(now), more.get(name, 0)
        clients[name] = Used(day=used.day, in_day=used.in_day + new, in_month=used.in_month + new)
    return QuotaUse(clients=clients, gateways={**kept, **readings}, quotas=quotas)


def closed(use: QuotaUse, access: Access, now: datetime) -> dict[str, int]:
    """The clients whose quota is used up, and when that ends, in whole seconds since 1970."""
    found = {}
    for name, client in access.clients.items():
        used = use.clients.get(name, Used()).at(now)
        ends = [end for end, number, most in _periods(client.quota, used, now) if number >= most]
        if ends:
            found[name] = max(ends)
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
