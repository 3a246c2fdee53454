"""One Envoy's admin interface: the few statistics that say what it uses and what it refused."""

from __future__ import annotations

import http.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fairlead.routing.envoy.proto import EDGE, MODELS
from fairlead.routing.publish.content import KINDS, Kind

_PREFIX: Mapping[Kind, str] = {
    "cds": "cluster_manager.cds",
    "lds": "listener_manager.lds",
    "rds": f"http.{EDGE}.rds.{MODELS}",
}
_WARMING = "cluster_manager.warming_clusters"
_FIELDS = ("version_text", "update_success", "update_rejected", "update_failure")
_FILTER = (
    "^(" + "|".join(_PREFIX[kind].replace(".", r"\.") for kind in KINDS) + rf")\.({'|'.join(_FIELDS)})$|^{_WARMING}$"
)


@dataclass(frozen=True, slots=True)
class Sample:
    """What an Envoy says at one moment. `connection` changes when it had to be called anew: it may be another one."""

    connection: int
    versions: Mapping[Kind, str]
    handled: Mapping[Kind, int]
    """How many writings it has read, whatever it thought of them."""
    refused: Mapping[Kind, int]
    warming: int


class AdminClient:
    """Asks over one kept connection, with a short time limit. Not for several threads at once.

    `over_http` says where the gateway gets its configuration from: a file that could not be read was refused, an
    answer that could not be fetched says nothing about its content.
    """

    def __init__(self, host: str, port: int, *, timeout_s: float = 0.25, over_http: bool = False) -> None:
        self._http = http.client.HTTPConnection(host, port, timeout=timeout_s)
        self._connection = 0
        self._refusing = ("update_rejected",) if over_http else ("update_rejected", "update_failure")

    def read(self) -> Sample | None:
        """None when it cannot be asked now; never raises."""
        try:
            if self._http.sock is None:
                self._connection += 1
            self._http.request("GET", f"/stats?filter={_quoted(_FILTER)}")
            response = self._http.getresponse()
            text = response.read().decode()
            if response.status != 200:
                raise ValueError(f"status {response.status}")
            return _sample(self._connection, text, self._refusing)
        except (OSError, http.client.HTTPException, ValueError):
            self._http.close()
            return None

    def close(self) -> None:
        """Gives the connection back."""
        self._http.close()


def _quoted(text: str) -> str:
    return "".join(one if one.isalnum() or one in "._" else f"%{ord(one):02X}" for one in text)


def _sample(connection: int, text: str, refusing: Sequence[str]) -> Sample:
    values = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)

    def count(kind: Kind, *fields: str) -> int:
        return sum(int(values.get(f"{_PREFIX[kind]}.{field}", 0)) for field in fields)

    texts = {kind: values.get(f"{_PREFIX[kind]}.version_text", "").strip('"') for kind in KINDS}
    return Sample(
        connection=connection,
        versions={kind: version for kind, version in texts.items() if version},
        handled={kind: count(kind, "update_success", *refusing) for kind in KINDS},
        refused={kind: count(kind, *refusing) for kind in KINDS},
        warming=int(values.get(_WARMING, 0)),
    )
