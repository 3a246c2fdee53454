"""Reads how many requests each cluster of one gateway has had, from Envoy's admin page /stats."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from urllib.parse import quote

from fairlead.contracts.gateway import ClusterKey, Role, parse_counter

_TOTAL, _OPEN = "upstream_rq_total", "upstream_rq_active"
_FILTER = rf"^cluster\.({'|'.join(Role)})~[^.]+\.({_TOTAL}|{_OPEN})$"
_PATH = f"/stats?usedonly&filter={quote(_FILTER, safe='')}"


class EnvoyUse:
    """The requests that one gateway has sent on, over one kept connection. Not for several threads at once."""

    def __init__(self, host: str, port: int, *, timeout_s: float = 0.5) -> None:
        self._http = http.client.HTTPConnection(host, port, timeout=timeout_s)

    def requests(self) -> Mapping[ClusterKey, tuple[int, int]] | None:
        """For each cluster, how many requests it has had, and how many are open. None without an answer."""
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

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def _parsed(text: str) -> Mapping[ClusterKey, tuple[int, int]]:
    found: dict[ClusterKey, tuple[int, int]] = {}
    for line in text.splitlines():
        name, _, value = line.partition(": ")
        counter = parse_counter(name)
        if counter is not None:
            total, is_open = found.get(counter[0], (0, 0))
            found[counter[0]] = (int(value), is_open) if counter[1] == _TOTAL else (total, int(value))
    return found
