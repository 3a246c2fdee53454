"""Client for one Envoy's admin interface: reads which versions Envoy uses and how many updates it rejected."""

from __future__ import annotations

import http.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairlead.routing.envoy.proto import EDGE, MODELS
from fairlead.routing.publish.resource_sets import KINDS, Kind

_PREFIX: Mapping[Kind, str] = {
    "cds": "cluster_manager.cds",
    "lds": "listener_manager.lds",
    "rds": f"http.{EDGE}.rds.{MODELS}",
}
_WARMING = "cluster_manager.warming_clusters"
_VERSION = "version_text"
_COUNTERS = ("update_success", "update_rejected", "update_failure")


def _path(fields: Sequence[str], *more: str, limit: str) -> str:
    kinds = "|".join(_PREFIX[kind].replace(".", r"\.") for kind in KINDS)
    names = "|".join((rf"({kinds})\.({'|'.join(fields)})", *more))
    return f"/stats?{limit}&filter={_quoted(f'^({names})$')}"


def _quoted(text: str) -> str:
    return "".join(one if one.isalnum() or one in "._" else f"%{ord(one):02X}" for one in text)


# With 50 routes a gateway has 40,000 statistics. It matches each against the filter, on the thread that also loads
# configurations: 93 ms for all, 28 ms with `usedonly`, 4 ms for text readouts alone.
_ALL_STATS = _path((_VERSION, *_COUNTERS), _WARMING, limit="usedonly")
_VERSION_STATS = _path((_VERSION,), limit="type=TextReadouts")


@dataclass(frozen=True, slots=True)
class Sample:
    """Envoy's statistics at one moment. `connection` changes when the client reconnects: Envoy may have restarted."""

    connection: int
    versions: Mapping[Kind, str]
    handled: Mapping[Kind, int]
    """How many updates it has read, accepted and rejected ones together."""
    rejected: Mapping[Kind, int]
    warming: int


class AdminClient:
    """Reads over one keep-alive connection, with a short timeout. Not thread-safe.

    `over_http` says where the gateway gets its configuration from. A file that cannot be loaded counts as rejected;
    a response that cannot be fetched says nothing about its content.
    """

    def __init__(self, host: str, port: int, *, timeout_s: float = 0.25, over_http: bool = False) -> None:
        self._http = http.client.HTTPConnection(host, port, timeout=timeout_s)
        self._connection = 0
        self._last: Sample | None = None
        self._rejections = ("update_rejected",) if over_http else ("update_rejected", "update_failure")

    def read(self, *, counters: bool = True) -> Sample | None:
        """Read a sample. Returns None when Envoy does not answer; never raises.

        Without `counters` it reads only the versions and repeats the last sample's counters. It reads the counters all
        the same when a version has changed or clusters were warming.
        """
        try:
            if self._http.sock is None:
                self._connection += 1
            last = self._last
            if not counters and last is not None and last.connection == self._connection and not last.warming:
                versions = _versions(self._get(_VERSION_STATS))
                if versions == last.versions:
                    return last
            self._last = _sample(self._connection, self._get(_ALL_STATS), self._rejections)
            return self._last
        except (OSError, http.client.HTTPException, ValueError):
            self._http.close()
            return None

    def _get(self, path: str) -> Mapping[str, str]:
        self._http.request("GET", path)
        response = self._http.getresponse()
        text = response.read().decode()
        if response.status != 200:
            raise ValueError(f"status {response.status}")
        return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def _versions(values: Mapping[str, str]) -> dict[Kind, str]:
    texts = {kind: values.get(f"{_PREFIX[kind]}.{_VERSION}", "").strip('"') for kind in KINDS}
    return {kind: version for kind, version in texts.items() if version}


def _sample(connection: int, values: Mapping[str, str], rejections: Sequence[str]) -> Sample:
    def count(kind: Kind, *fields: str) -> int:
        # Envoy leaves out counters that were never incremented.
        return sum(int(values.get(f"{_PREFIX[kind]}.{field}", 0)) for field in fields)

    return Sample(
        connection=connection,
        versions=_versions(values),
        handled={kind: count(kind, "update_success", *rejections) for kind in KINDS},
        rejected={kind: count(kind, *rejections) for kind in KINDS},
        warming=int(values.get(_WARMING, 0)),
    )
