"""Runs one replica of the cluster's control plane as a process, with SQLite and files instead of a cluster.

python -m support.replica NAME FOLDER       with PYTHONPATH=tests
FOLDER holds replica.json (ports and gateways), leader (the name of the replica that leads), ledger.db and the
publication.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairlead.contracts.gateway import GatewaySite
from fairlead.control.cluster import ControlPlane, serve
from fairlead.control.endpoints import ReadyInstances
from fairlead.control.secure_port import SecurePort
from fairlead.routing.envoy.sources import from_control_plane
from fairlead.routing.publish.rejection_log import last_rejection
from fairlead.routing.snapshot import Endpoint, Settings
from fairlead.store.sqlite import SqliteStore
from support.platform_certificates import NAMES, VERIFIED
from support.publications import FolderPublications

LOOPBACK = "127.0.0.1"


class ListedStore(SqliteStore):
    """A store that is always loaded: it reads a file, so there is no first listing to wait for."""

    loaded = True


@dataclass
class LeaderFile:
    """A leader election that reads the leader's name from a file."""

    name: str
    path: Path

    def leads(self) -> bool:
        return self.path.exists() and self.path.read_text() == self.name


@dataclass
class ListedGateways:
    """Gateways listed in a file that tests rewrite, with rejections read from the gateways' logs."""

    path: Path
    logs: Path
    loaded: bool = True

    def gateways(self) -> Sequence[GatewaySite]:
        return [GatewaySite(**one) for one in json.loads(self.path.read_text())]

    def rejection_reason(self, name: str) -> str | None:
        return last_rejection(self.logs / name / "envoy.log")


def build(name: str, folder: Path) -> tuple[ControlPlane, dict[str, Any]]:
    """The replica, and what `serve` needs beside it, from replica.json."""
    facts = json.loads((folder / "replica.json").read_text())
    tls, ports = facts["tls"], facts["ports"][name]
    asked, secure = Endpoint(LOOPBACK, facts["control_port"]), None
    if tls is not None:
        also_plain = facts["also_plain"]
        asked = asked if also_plain else replace(asked, secrets=tls["secrets"], name=VERIFIED)
        made = SecurePort.of_folder(Path(tls["control_plane"]), NAMES["gateway"], name=VERIFIED, also_plain=also_plain)
        secure = replace(made, port=ports["tls"])
    store = ListedStore(folder / "ledger.db")
    control = ControlPlane(
        store,
        LeaderFile(name, folder / "leader"),
        FolderPublications(folder),
        ListedGateways(folder / "gateways.json", folder),
        Settings(
            port=facts["gateway_port"],
            control=asked,
            routes_from=from_control_plane(),
            holds=True,
        ),
        smoke_at=Endpoint(LOOPBACK, facts["gateway_port"]),
        log=logging.getLogger("control"),
        endpoints=ReadyInstances(store),
    )
    return control, {"api_port": ports["api"], "xds_port": ports["xds"], "secure": secure}


def main(name: str, folder: Path) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    control, how = build(name, folder)
    serve(control, LOOPBACK, **how)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
