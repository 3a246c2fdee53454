"""A gateway under test: a real Envoy that watches a folder, and a real FilePublisher that writes it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.routing.compile import compile
from fairlead.routing.envoy.bootstrap import bootstrap
from fairlead.routing.envoy.sources import from_folder
from fairlead.routing.publish.admin import AdminClient
from fairlead.routing.publish.files import FilePublisher
from fairlead.routing.snapshot import AccessLog, Endpoint, Routed, Settings, Snapshot
from support.envoy import Envoy, running_envoy
from support.nameserver import NameServer, resolver
from support.processes import free_ports

V1 = VersionRef(version="1.0.0", identity="a" * 10)
V2 = VersionRef(version="1.1.0", identity="b" * 10)
V3 = VersionRef(version="1.2.0-rc.1", identity="c" * 10)


def iris(seq: int, weight: int, **more: object) -> Routed:
    """Iris with a candidate at this weight."""
    fields = {"candidate": V2, "pins": (V1, V2), "weight": weight, **more}
    return Routed("iris", seq, Table.model_validate({"model": "iris", "stable": V1, **fields}))


def bad(snapshot: Snapshot, seq: int) -> Snapshot:
    """A snapshot that passes Fairlead's checks and that Envoy rejects."""
    [(name, routes)] = snapshot.routes.items()
    text = json.dumps(routes).replace('"iris": 1', f'"iris": {seq}').replace('"timeout": "10s"', '"timeout": "-1s"')
    return replace(snapshot, routes={name: json.loads(text)}, revisions={"iris": seq})


def until(condition: Callable[[], object], *, timeout_s: float = 10, every_s: float = 0.005) -> float:
    """Polls until it holds; returns how long that took."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < timeout_s, "did not happen in time"
        time.sleep(every_s)
    return time.monotonic() - begin


@dataclass
class Edge:
    """Everything a test needs to change what the gateway serves, and to send it requests."""

    folder: Path
    settings: Settings
    admin_port: int
    endpoints: dict[tuple[str, str, VersionRef], Sequence[Endpoint]]
    publisher: FilePublisher
    closing: ExitStack
    names: NameServer | None = None
    """The gateway's name server, for tests that use DNS names."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def bootstrap(self) -> Mapping[str, object]:
        asks = {} if self.names is None else resolver(self.names)
        return {**bootstrap(str(self.folder), admin=Endpoint("127.0.0.1", self.admin_port)), **asks}

    def compiled(self, *routed: Routed, pending: Sequence[str] = ()) -> Snapshot:
        return compile(routed, self.endpoints, self.settings, pending)

    def serve(self, *routed: Routed, pending: Sequence[str] = ()) -> float:
        """Publishes and waits until the gateway serves exactly this; returns seconds."""
        self.publisher.want(self.compiled(*routed, pending=pending))
        return until(lambda: self.publisher.step().settled)

    def programmed(self, *routed: Routed) -> float:
        """Publishes and waits until the gateway serves these revisions; clean-up may still be in progress."""
        self.publisher.want(self.compiled(*routed))
        wanted = {one.route: one.seq for one in routed}

        def served() -> bool:
            self.publisher.step()
            return self.publisher.gateways()[0].programmed == wanted

        return until(served, every_s=0.001)

    def client(self, **options: object) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=10, trust_env=False, **options)  # type: ignore[arg-type]

    def new_publisher(self, *, drain_s: float = 0.05) -> FilePublisher:
        """A new publisher on the same folder, as after a restart of the control plane."""
        admin = AdminClient("127.0.0.1", self.admin_port)
        publisher = FilePublisher(self.folder, admin, drain_s=drain_s, log=self.folder / "envoy.log")
        self.closing.callback(publisher.close)
        return publisher


@contextmanager
def an_edge(folder: Path, *, names: NameServer | None = None, **settings: object) -> Iterator[Edge]:
    """Writes nothing yet and starts nothing."""
    port, admin_port, control = free_ports(3)
    chosen = Settings(
        port=port,
        control=Endpoint("127.0.0.1", control),
        routes_from=from_folder(str(folder), "rds"),
        access_log=AccessLog(str(folder / "access.log")),
    )
    with ExitStack() as closing:
        edge = Edge(folder, replace(chosen, **settings), admin_port, {}, None, closing, names)  # type: ignore[arg-type]
        edge.publisher = edge.new_publisher()
        yield edge


@contextmanager
def serving(edge: Edge, *routed: Routed, pending: Sequence[str] = ()) -> Iterator[Envoy]:
    """Writes the first files, starts Envoy, and waits until everything is acknowledged."""
    edge.publisher.want(edge.compiled(*routed, pending=pending))
    edge.publisher.step()
    with running_envoy(edge.bootstrap, edge.folder) as envoy:
        until(lambda: edge.publisher.step().settled)
        yield envoy
