"""Reads how many requests of each client gateways have let through, from Envoy's admin page /stats."""

from __future__ import annotations

import http.client
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote

from fairlead.contracts.gateway import GatewaySite
from fairlead.contracts.grpc import (
    DEADLINE_EXCEEDED,
    INTERNAL,
    PERMISSION_DENIED,
    RESOURCE_EXHAUSTED,
    UNAUTHENTICATED,
    UNAVAILABLE,
    UNKNOWN,
)
from fairlead.contracts.quota_use import Reading
from fairlead.rollout.analysis.side_by_side import SideBySide

_PATH = f"/stats?usedonly&filter={quote('^(access[.]requests|server[.]uptime$)', safe='')}"
_LINE = re.compile(
    r"access\.requests\.fairlead\.client\.([a-z0-9-]+)\.fairlead\.status\.(\d+)(?:\.fairlead\.grpc\.(\d*))?: (\d+)"
)
_UPTIME = re.compile(r"server\.uptime: (\d+)")
NOT_COUNTED = frozenset({"401", "403", "429"})
"""Refused, by the gateway or, for too much load, by the model: no client pays for these, and for none of 5xx."""
CALLS_NOT_COUNTED = frozenset(
    map(
        str,
        (UNKNOWN, DEADLINE_EXCEEDED, PERMISSION_DENIED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, UNAUTHENTICATED),
    )
)
"""The same of calls of gRPC, by their code."""


class OneGateway:
    """The counts of one gateway, over one kept connection. Not for several threads at once."""

    def __init__(self, host: str, port: int, *, timeout_s: float) -> None:
        self._http = http.client.HTTPConnection(host, port, timeout=timeout_s)

    def read(self) -> Reading | None:
        """Its requests by client, and how long it runs; None without an answer."""
        try:
            self._http.request("GET", _PATH)
            response = self._http.getresponse()
            text = response.read().decode()
            if response.status != http.client.OK:
                raise ValueError(f"status {response.status}")
        except (OSError, http.client.HTTPException, ValueError):
            self._http.close()  # the next reading opens it again
            return None
        found = Counter[str]()
        for client, status, code, number in _LINE.findall(text):
            if status not in NOT_COUNTED and not status.startswith("5") and code not in CALLS_NOT_COUNTED:
                found[client] += int(number)
        uptime = _UPTIME.search(text)
        return Reading(uptime_s=_signed(int(uptime[1])) if uptime else 0, clients=dict(found))

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


class ClientCounts:
    """`quotas.Gateways`: every gateway that `sites` names, side by side."""

    def __init__(self, sites: Callable[[], Sequence[GatewaySite]], *, timeout_s: float = 0.5) -> None:
        """A gateway that has not answered after `timeout_s` is read with the next reading."""

        def connect(site: GatewaySite) -> OneGateway:
            return OneGateway(site.host, site.admin_port, timeout_s=timeout_s)

        self._gateways = SideBySide(sites, connect, "clients")

    def read(self) -> Mapping[str, Reading | None]:
        """By gateway; None for one without an answer."""
        return {site.name: reading for site, reading in self._gateways.ask(lambda one: one.read()).items()}

    def close(self) -> None:
        """Close every connection."""
        self._gateways.close()


def _signed(number: int) -> int:
    """Envoy writes a negative number as one of 64 bits without a sign."""
    return number if number < 1 << 63 else number - (1 << 64)
