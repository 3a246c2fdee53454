"""Reads how much each cluster of one gateway is used, from Envoy's admin page /stats."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from fairlead.contracts.gateway import ClusterKey, Role, parse_counter
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table

_FIELDS = {"upstream_rq_total": "total", "upstream_rq_active": "open", "membership_healthy": "hosts"}
_FILTER = rf"^cluster\.({'|'.join(Role)})~[^.]+\.({'|'.join(_FIELDS)})$"
_PATH = f"/stats?usedonly&filter={quote(_FILTER, safe='')}"


class Use(NamedTuple):
    """The use of one cluster of one gateway."""

    total: int = 0
    """How many requests it has had since the gateway started."""
    open: int = 0
    """How many of them are open."""
    hosts: int = 0
    """How many instances it has found that pass their checks."""


class EnvoyUse:
    """The use of one gateway's clusters, over one kept connection. Not for several threads at once.

    Alone it is the part of `ports.Demand` that reads the one gateway of a machine.
    """

    def __init__(self, host: str, port: int, *, timeout_s: float = 0.5) -> None:
        self._http = http.client.HTTPConnection(host, port, timeout=timeout_s)

    def read(self) -> Mapping[ClusterKey, Use] | None:
        """The use of each cluster; None without an answer."""
        try:
            self._http.request("GET", _PATH)
            response = self._http.getresponse()
            text = response.read().decode()
            if response.status != http.client.OK:
                raise ValueError(f"status {response.status}")
            return _parsed(text)
        except (OSError, http.client.HTTPException, ValueError):
            self._http.close()  # the next reading opens it again
            return None

    def requests(self) -> Mapping[ClusterKey, tuple[int, int]] | None:
        """For each cluster, how many requests it has had, and how many are open. None without an answer."""
        found = self.read()
        return None if found is None else {key: (one.total, one.open) for key, one in found.items()}

    def unfound(self, table: Table) -> frozenset[VersionRef]:  # noqa: ARG002 - see ports.Demand
        """None: the table and the addresses of the instances reach the gateway of one machine together."""
        return frozenset()

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def _parsed(text: str) -> Mapping[ClusterKey, Use]:
    found: dict[ClusterKey, Use] = {}
    for line in text.splitlines():
        name, _, value = line.partition(": ")
        counter = parse_counter(name)
        if counter is not None:
            found[counter[0]] = found.get(counter[0], Use())._replace(**{_FIELDS[counter[1]]: int(value)})
    return found
