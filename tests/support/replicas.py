"""Runs two replicas of the control plane as processes, and gateways that reach them through a relay."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from fairlead.contracts.gateway import GatewaySite
from fairlead.contracts.instance import Instance
from fairlead.contracts.route import RouteSpec
from fairlead.routing.envoy.bootstrap import rest_bootstrap
from fairlead.routing.snapshot import Endpoint
from fairlead.store.sqlite import SqliteStore
from support.envoy import Envoy, running_envoy
from support.platform_certificates import VERIFIED, PlatformFiles, issued
from support.processes import Child, free_ports, wait_until
from support.relay import Relay, running_relay

LOOPBACK = "127.0.0.1"
TESTS = Path(__file__).resolve().parents[1]


@dataclass
class ReplicatedPlatform:
    """Replicas "a" and "b", a relay in front of their xDS ports and one in front of their APIs, and gateways that share
    one port."""

    folder: Path
    relay: Relay
    api: Relay
    """What gateways ask goes here: to the replica that was made the leader, until a test says otherwise."""
    stack: ExitStack
    gateway_port: int
    ports: Mapping[str, Mapping[str, int]]
    store: SqliteStore
    files: PlatformFiles | None = None
    """With them gateways and replicas speak TLS."""
    also_plain: bool = False
    """Whether replicas that start answer gateways without TLS, too."""
    sites: list[GatewaySite] = field(default_factory=list)
    envoys: dict[str, Envoy] = field(default_factory=dict)
    children: dict[str, Child] = field(default_factory=dict)

    def start(self, name: str) -> Child:
        """Start a replica. It may not answer yet."""
        facts = {"gateway_port": self.gateway_port, "control_port": self.api.port, "ports": self.ports}
        tls = asdict(self.files) if self.files is not None else None
        written = json.dumps({**facts, "tls": tls, "also_plain": self.also_plain}, default=str)
        draft = self.folder / ".replica.json"
        draft.write_text(written)  # another replica may read the file at this moment
        draft.rename(self.folder / "replica.json")
        child = Child(
            f"replica-{name}",
            [sys.executable, "-m", "support.replica", name, self.folder],
            log=self.folder / f"replica-{name}.log",
            env={"PYTHONPATH": os.pathsep.join([str(TESTS), str(TESTS.parent / "services")])},
        )
        self.children[name] = self.stack.enter_context(child)
        return child

    def make_leader(self, name: str) -> None:
        """Make this replica the leader."""
        draft = self.folder / ".leader"
        draft.write_text(name)
        draft.rename(self.folder / "leader")
        self.ask(name)

    def ask(self, name: str, *, cut: bool = True) -> None:
        """Let what gateways ask go to this replica; `cut` ends the open connections."""
        self.api.to(self.ports[name]["tls" if self.files and not self.also_plain else "api"], cut=cut)

    def connect_gateways_to(self, name: str | None) -> None:
        """Let the gateways reach this replica only; None: none of them. Their open connections are closed."""
        self.relay.to(None if name is None else self.ports[name]["tls" if self.files else "xds"])

    def remove_gateway(self, name: str) -> None:
        """Stop a gateway; the replicas know."""
        self.sites[:] = [site for site in self.sites if site.name != name]
        self._list()
        envoy = self.envoys.pop(name)
        envoy.process.terminate()
        envoy.process.wait(timeout=10)

    def add_gateway(self, name: str, *, wait: bool = True, plain_at: str = "") -> Envoy:
        """Start a gateway that gets its configuration through the relay; `plain_at` this replica, without TLS."""
        [admin] = free_ports(1)
        self.sites.append(GatewaySite(name, LOOPBACK, admin))
        self._list()
        folder = self.folder / name
        folder.mkdir()
        asks, own = Endpoint(LOOPBACK, self.relay.port), Endpoint(LOOPBACK, admin)
        if plain_at:
            asks = Endpoint(LOOPBACK, self.ports[plain_at]["xds"])
        elif self.files is not None:
            asks = replace(asks, secrets=self.files.secrets, name=VERIFIED)
        page = str(folder / "admin.sock")
        config = rest_bootstrap(asks, admin=own, admin_path=page, cluster="test", node=name)
        self.envoys[name] = self.stack.enter_context(running_envoy(config, folder, wait=wait, admin_port=admin))
        return self.envoys[name]

    def put_route(self, spec: RouteSpec, ports: Mapping[str, int]) -> None:
        """Write the route's spec, and report one ready instance of each version on these ports."""
        now = datetime.now(UTC)
        for version, port in ports.items():
            ref = spec.versions[version].ref(version)
            self.store.report(
                Instance(
                    id=f"{spec.model}-{version}",
                    model=spec.model,
                    ref=ref,
                    host=LOOPBACK,
                    port=port,
                    ready=True,
                    observed_at=now,
                )
            )
        self.store.put_route(spec.model, spec, now=now, actor="test")

    def wait_revision(self, model: str, condition: str) -> None:
        """Wait until the head has this cause or phase."""

        def holds() -> bool:
            head = self.store.head(model)
            return head is not None and condition in (head.cause.value, head.state.phase.value)

        wait_until(holds, f"{model} is {condition}: {self.store.head(model)}")

    def _list(self) -> None:
        draft = self.folder / ".gateways.json"
        draft.write_text(json.dumps([asdict(site) for site in self.sites]))
        draft.rename(self.folder / "gateways.json")


@contextmanager
def replicated_platform(folder: Path, *, tls: bool = False) -> Iterator[ReplicatedPlatform]:
    """A platform with no replica and no gateway yet. At the end of the block all of them are stopped."""
    gateway_port, *others = free_ports(7)
    of_replica = ("api", "xds", "tls")
    ports = {"a": dict(zip(of_replica, others[:3], strict=True)), "b": dict(zip(of_replica, others[3:], strict=True))}
    files = issued(folder / "tls") if tls else None
    (folder / "gateways.json").write_text("[]")
    with running_relay(None) as relay, running_relay(None) as api, ExitStack() as stack:
        store = SqliteStore(folder / "ledger.db")
        yield ReplicatedPlatform(folder, relay, api, stack, gateway_port, ports, store, files)
