"""A gateway without a control plane: a real Envoy, our compiler and publisher, and backends that tests control."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fairlead.contracts.route import VersionRef, VersionSpec
from fairlead.contracts.table import Table
from fairlead.routing.compile import compile as compile_tables
from fairlead.routing.envoy.bootstrap import bootstrap
from fairlead.routing.envoy.sources import from_folder
from fairlead.routing.publish.admin import AdminClient
from fairlead.routing.publish.files import FilePublisher
from fairlead.routing.snapshot import AccessLog, Endpoint, Guard, Routed, Settings
from support.envoy import running_envoy
from support.faults.backend import Backend
from support.processes import ProcessFailed, free_ports, wait_until


def ref(version: str) -> VersionRef:
    """A reference to a version that has a name and no other fields."""
    return VersionSpec().ref(version)


def table(model: str, stable: str, candidate: str | None = None, weight: int = 0, **more: Any) -> Table:
    """A table from plain version names. Its pins are stable, the candidate and `pins`."""
    pins = dict.fromkeys([stable, *([candidate] if candidate else []), *more.pop("pins", ())])
    return Table(
        model=model,
        stable=ref(stable),
        candidate=ref(candidate) if candidate else None,
        weight=weight,
        pins=tuple(map(ref, pins)),
        **more,
    )


class Gateway:
    """A running gateway that serves the tables that were published last. Use `running_gateway`."""

    admin_port: int
    pid: int

    def __init__(
        self,
        folder: Path,
        port: int,
        control_port: int,
        admin: AdminClient,
        backends: Iterable[Backend],
        access_log: Path | None,
        guard: Guard | None = None,
        holds: bool = False,
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._settings = Settings(
            port=port,
            control=Endpoint("127.0.0.1", control_port),
            routes_from=from_folder(str(folder), "rds"),
            access_log=AccessLog(str(access_log)) if access_log else None,
            guard=guard,
            holds=holds,
        )
        self._endpoints: dict[tuple[str, str, VersionRef], list[Endpoint]] = {}
        for backend in backends:
            key = ("default", backend.model, ref(backend.version))
            self._endpoints.setdefault(key, []).append(Endpoint("127.0.0.1", backend.port))
        self._publisher = FilePublisher(folder, admin)
        self._tables: dict[str, Routed] = {}

    def serve(self, *tables: Table, wait: bool = True) -> None:
        """Publish these tables in addition to the others, each as its route's next revision, and wait until served."""
        for one in tables:
            before = self._tables.get(one.model)
            self._tables[one.model] = Routed(one.model, before.seq + 1 if before else 1, one)
        self._publisher.want(compile_tables(self._tables.values(), self._endpoints, self._settings))
        if wait:
            self.wait_served()

    def wait_served(self) -> None:
        """Step the publisher until Envoy has acknowledged every table. The error has the publisher's state."""
        try:
            wait_until(self.is_served, f"{', '.join(self.revisions.values())} are served", every=0.002)
        except ProcessFailed as failed:
            raise ProcessFailed(f"{failed}: {self._publisher.step()}, {self._publisher.gateways()}") from failed

    def is_served(self) -> bool:
        """Run one step of the publisher. Returns whether Envoy has acknowledged every table."""
        self._publisher.step()
        (state,) = self._publisher.gateways()
        return state.rejected is None and state.programmed == {name: one.seq for name, one in self._tables.items()}

    def publish_only(self) -> None:
        """Run one step of the publisher: for its work before Envoy runs and after routes are acknowledged."""
        self._publisher.step()

    @property
    def revisions(self) -> dict[str, str]:
        """The revision in the responses of each model: {"iris": "iris.3"}."""
        return {name: one.revision for name, one in self._tables.items()}


@contextlib.contextmanager
def running_gateway(
    folder: Path,
    backends: Iterable[Backend],
    *tables: Table,
    access_log: Path | None = None,
    guard: Guard | None = None,
    holds: bool = False,
) -> Iterator[Gateway]:
    """Run a gateway that serves `tables`, to all or to the clients of `guard`.

    A version is served by the `backends` of that version.
    """
    folder.mkdir(parents=True, exist_ok=True)
    port, admin_port, control_port = free_ports(3)
    admin = AdminClient("127.0.0.1", admin_port)
    gateway = Gateway(folder, port, control_port, admin, backends, access_log, guard, holds)
    gateway.serve(*tables, wait=False)
    gateway.publish_only()
    with (
        contextlib.closing(admin),
        running_envoy(bootstrap(str(folder), admin=Endpoint("127.0.0.1", admin_port)), folder) as envoy,
    ):
        gateway.admin_port, gateway.pid = envoy.admin_port, envoy.process.pid
        gateway.wait_served()
        yield gateway
