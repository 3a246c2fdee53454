"""Replicas of a control plane with REST xDS, and real Envoys that poll them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from fairlead.contracts.gateway import GatewaySite
from fairlead.contracts.route import VersionRef
from fairlead.control.secure_port import SecurePort, for_gateways
from fairlead.routing.compile import compile
from fairlead.routing.envoy.bootstrap import rest_bootstrap, token_secret
from fairlead.routing.envoy.sources import from_control_plane
from fairlead.routing.publish.callers import Tokens
from fairlead.routing.publish.fleet import Fleet
from fairlead.routing.publish.rejection_log import last_rejection
from fairlead.routing.publish.server import build_xds
from fairlead.routing.publish.snapshot_cache import SnapshotCache
from fairlead.routing.publish.xds import XdsPublisher
from fairlead.routing.snapshot import Endpoint, Routed, Settings, Snapshot
from integration.routing.edge import until
from support.envoy import Envoy, running_envoy
from support.event_loop_thread import end_tasks
from support.platform_certificates import NAMES, VERIFIED
from support.processes import free_ports
from support.publications import InMemoryPublications

LOOPBACK = "127.0.0.1"


@dataclass
class Static:
    """Discovery from a list; rejections from the logs of the Envoys in their folders."""

    folder: Path
    sites: list[GatewaySite] = field(default_factory=list)

    def gateways(self) -> Sequence[GatewaySite]:
        return list(self.sites)

    def rejection_reason(self, name: str) -> str | None:
        return last_rejection(self.folder / name / "envoy.log")


class Replica:
    """One control plane's publisher and its discovery service. Use `running_replica`."""

    def __init__(self, shared: InMemoryPublications, discovery: Static, *, drain_s: float) -> None:
        self.cache = SnapshotCache()
        self.answers: list[tuple[str, str]] = []
        self.publisher = XdsPublisher(shared.view(), self.cache, Fleet(discovery), drain_s=drain_s, idle_poll_s=0.1)
        self.port = 0

    def settle(self, snapshot: Snapshot) -> float:
        """Publish and wait until every gateway serves exactly this; returns seconds."""
        self.publisher.want(snapshot)
        return until(lambda: self.publisher.step().settled)


@contextmanager
def running_replica(
    shared: InMemoryPublications,
    discovery: Static,
    *,
    drain_s: float = 0.05,
    hold_s: float = 2.0,
    tokens: Tokens | None = None,
    files: Path | None = None,
    name: str = VERIFIED,
) -> Iterator[Replica]:
    """With `files`, a folder with a certificate that has this name, it speaks TLS, with gateways only."""
    replica = Replica(shared, discovery, drain_s=drain_s)
    app = build_xds(
        replica.cache,
        tokens=tokens,
        hold_s=hold_s,
        on_answer=lambda kind, answer: replica.answers.append((kind, answer)),
    )
    secure = SecurePort.of_folder(files, NAMES["gateway"], name=name) if files is not None else None
    with serving(app if secure is None else for_gateways(app, nothing), secure) as replica.port:
        try:
            yield replica
        finally:
            replica.cache.close()
            replica.publisher.close()


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """In the place of the API."""
    await PlainTextResponse("the API")(scope, receive, send)


@contextmanager
def serving(app: ASGIApp, secure: SecurePort | None = None) -> Iterator[int]:
    """Runs an ASGI application on its own thread, with TLS if `secure` is given; yields its port."""
    [port] = free_ports(1)
    config = uvicorn.Config(
        app, host=LOOPBACK, port=port, log_level="warning", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config if secure is None else secure.secured(config))
    thread = threading.Thread(target=lambda: asyncio.run(_serve(server)), name="xds", daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield port
    finally:
        server.should_exit = True
        thread.join(10)


async def _serve(server: uvicorn.Server) -> None:
    await server.serve()
    await end_tasks()  # a connection that is being accepted is known only after some turns of the loop
    # Connections that arrived during the shutdown, or outlasted its timeout, are left open by uvicorn.
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    await end_tasks()


@dataclass
class Gateways:
    """Everything a test needs to change what several gateways serve, and to send them requests.

    They share one table and so one port: the kernel distributes the connections among them, as a Service does.
    """

    folder: Path
    stack: ExitStack
    settings: Settings
    shared: InMemoryPublications = field(default_factory=InMemoryPublications)
    endpoints: dict[tuple[str, str, VersionRef], Sequence[Endpoint]] = field(default_factory=dict)
    envoys: dict[str, Envoy] = field(default_factory=dict)
    drain_ports: dict[str, int] = field(default_factory=dict)
    discovery: Static = field(init=False)

    def __post_init__(self) -> None:
        self.discovery = Static(self.folder)

    def replica(
        self, *, tokens: Tokens | None = None, files: Path | None = None, name: str = VERIFIED, **options: float
    ) -> Replica:
        """Start one more replica of the control plane."""
        running = running_replica(self.shared, self.discovery, tokens=tokens, files=files, name=name, **options)
        return self.stack.enter_context(running)

    def add(
        self, name: str, xds_port: int, *, wait: bool = True, token: Path | None = None, secrets: str = ""
    ) -> Envoy:
        """Start an Envoy of this name that polls this port, with the token in this file.

        With `secrets`, the folder with the files of `tls.secret_files`, it speaks TLS.
        """
        [admin] = free_ports(1)
        self.discovery.sites.append(GatewaySite(name, LOOPBACK, admin))
        return self.start(name, xds_port, admin, wait=wait, token=token, secrets=secrets)

    def start(
        self, name: str, xds_port: int, admin: int, *, wait: bool = True, token: Path | None = None, secrets: str = ""
    ) -> Envoy:
        """Start an Envoy whose site is known already."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        control = Endpoint(LOOPBACK, xds_port, secrets, name=VERIFIED if secrets else "")
        own = Endpoint(LOOPBACK, admin)
        secret = folder / "token.json"
        if token is not None:
            secret.write_text(json.dumps(token_secret(str(token))))
        [drain] = free_ports(1)
        self.drain_ports[name] = drain
        config = rest_bootstrap(
            control,
            admin=own,
            admin_path=str(self.socket(name)),
            drain=Endpoint(LOOPBACK, drain),
            cluster="test",
            node=name,
            token=str(secret) if token else None,
        )
        running = running_envoy(config, folder, wait=wait, admin_port=admin)
        self.envoys[name] = self.stack.enter_context(running)
        return self.envoys[name]

    def socket(self, name: str) -> Path:
        """The admin page of this Envoy."""
        return self.folder / name / "admin.sock"

    def compiled(self, *routed: Routed) -> Snapshot:
        """The snapshot that all of them should serve."""
        return compile(routed, self.endpoints, self.settings)

    def client(self) -> httpx.Client:
        """Uses a new connection for every request, so that every gateway gets some."""
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.Client(
            base_url=f"http://{LOOPBACK}:{self.settings.port}", timeout=10, trust_env=False, limits=limits
        )


@contextmanager
def some_gateways(folder: Path) -> Iterator[Gateways]:
    """Starts nothing yet; stops everything at the end."""
    port, control = free_ports(2)
    settings = Settings(port=port, control=Endpoint(LOOPBACK, control), routes_from=from_control_plane())
    with ExitStack() as stack:
        yield Gateways(folder, stack, settings)


def served(replica: Replica, seq: int) -> bool:
    """Whether every gateway serves this revision of iris."""
    replica.publisher.step()
    states = replica.publisher.gateways()
    return all(one.reachable and one.programmed == {"iris": seq} for one in states)


@contextmanager
def load(gateways: Gateways, threads: int = 3) -> Iterator[Counter[object]]:
    """Sends requests without a pause; counts responses by status, and those other than 200 with their text."""
    seen: Counter[object] = Counter()
    stop, lock = threading.Event(), threading.Lock()

    def ask() -> None:
        mine: Counter[object] = Counter()
        with gateways.client() as client:
            while not stop.is_set():
                try:
                    answer = client.post("/models/iris/predict", json={})
                    mine[200 if answer.status_code == 200 else (answer.status_code, answer.text)] += 1
                except httpx.HTTPError as error:
                    mine[repr(error)] += 1
        with lock:
            seen.update(mine)

    running = [threading.Thread(target=ask) for _ in range(threads)]
    for thread in running:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in running:
            thread.join()
