"""A whole platform with stub versions, and the changes that a scenario makes to it."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from fairlead.contracts import sockets
from fairlead.contracts.action import Action, ActionType
from fairlead.contracts.instance import Wanted
from fairlead.contracts.platform import ControlSettings, GatewaySettings, Platform
from fairlead.contracts.route import RouteSpec, Target, VersionSpec
from fairlead.contracts.scenario import Scenario
from fairlead.local import ports
from fairlead.local.probe import ask_async
from fairlead.local.state import StateFolder
from fairlead.local.supervisor import Supervisor
from fairlead.rehearsal.frames import ROUTE
from fairlead.rehearsal.live.admin_proxy import AdminProxy
from fairlead.rehearsal.live.load_generator import BODY
from fairlead.rehearsal.live.stub_version import NOT_READY, write_behaviour
from fairlead.rehearsal.schedule import Behaviours, VersionRole, behaviours_at, has_fault, max_instances
from fairlead.store.sqlite import SqliteStore

PREDICT = f"/models/{ROUTE}/predict"
BEFORE_RELEASE_S = -1.0
MARGIN_S = 2.0
ANSWERED = frozenset({200, 422, 500, 504})
"""Statuses of a gateway that has the route: the stub's own, and the timeout of a stub that is slower than that."""


class LivePlatform:
    """One platform in one folder for one scenario. No process runs until `supervisor` is run."""

    def __init__(self, folder: StateFolder, scenario: Scenario, binary: Path, *, seed: int) -> None:
        self.store = SqliteStore(folder.ledger)
        self._scenario = scenario
        self._behaviour_files = folder.root / "parts"
        self._behaviour_files.mkdir(exist_ok=True)
        self._current: Behaviours | None = None
        port, control = _two_ports()
        platform = Platform(gateway=GatewaySettings(port=port), control=ControlSettings(port=control))
        watched = any(event.fault in ("metrics-outage", "gateway-silent") for event in scenario.events)
        # The proxy listens on the socket that the gateway's port reads, and Envoy's admin page on another.
        page = folder.root / "page.sock"
        elsewhere = {"admin": {"address": {"pipe": {"path": sockets.address(page)}}}}
        self.supervisor = Supervisor(
            folder,
            self.store,
            platform,
            binary,
            command=partial(_stub_command, seed=seed),
            gateway_options=("--config-yaml", json.dumps(elsewhere)) if watched else (),
        )
        self._admin_proxy = AdminProxy(folder.admin_socket, page) if watched else None
        if self._admin_proxy is not None:
            self._admin_proxy.start()
        self.set_behaviours(BEFORE_RELEASE_S)
        self.set_target(VersionRole.STABLE)

    @property
    def port(self) -> int:
        """The gateway's port."""
        return self.supervisor.run_facts.gateway.port

    def close(self) -> None:
        """Stop the admin proxy and close the ledger."""
        if self._admin_proxy is not None:
            self._admin_proxy.stop()
        self.store.close()

    def set_target(self, target: VersionRole) -> None:
        """Write the route's spec: both versions, with this one as the target."""
        versions = {
            role.value: VersionSpec(
                source=str(self._behaviour_file(role)), instances=max_instances(self._scenario, role)
            )
            for role in VersionRole
        }
        spec = RouteSpec(
            model=ROUTE,
            versions=versions,
            target=Target(version=target.value),
            timeouts=self._scenario.timeouts,
            strategy=self._scenario.strategy,
        )
        self.store.put_route(ROUTE, spec, now=datetime.now(UTC), actor="scenario")

    async def is_up(self) -> bool:
        """Whether every stub version runs, and the gateway answers a user's request."""
        rows = self.store.instances()
        if len(rows) < sum(max_instances(self._scenario, role) for role in VersionRole):
            return False
        if not all(row.ready or row.reason == NOT_READY for row in rows):
            return False
        # A stub may be as slow as the scenario says, and fail as it says.
        reply = await ask_async(self.port, "POST", PREDICT, BODY, timeout_s=self._scenario.timeouts.request + MARGIN_S)
        return reply.status in ANSWERED

    # What a scenario does

    def set_behaviours(self, at_s: float) -> None:
        """Make both versions behave as the scenario says for this time."""
        behaviours = behaviours_at(self._scenario, at_s)
        if behaviours == self._current:
            return
        for role in VersionRole:
            write_behaviour(self._behaviour_file(role), behaviours.of(role))
        self._current = behaviours

    async def apply_faults(self, at_s: float) -> None:
        """Start the faults of this time, and end all others."""
        if self._admin_proxy is not None:
            self._admin_proxy.refuse_counters = has_fault(self._scenario, "metrics-outage", at_s)
            self._admin_proxy.drop_requests = has_fault(self._scenario, "gateway-silent", at_s)
        control, away = self.supervisor.control, has_fault(self._scenario, "control-plane-outage", at_s)
        if away and not control.is_held:
            await control.hold(0)
        elif not away and control.is_held:
            control.release()

    def restart_gateway(self) -> None:
        """Kill the gateway; the supervisor starts a new one."""
        if self.supervisor.gateway.pid is not None:
            os.kill(self.supervisor.gateway.pid, signal.SIGKILL)

    def create_action(self, kind: ActionType, number: int) -> None:
        """Create the action that a person would create."""
        now = datetime.now(UTC)
        name = f"scenario-{number}"
        self.store.create_action(Action(name=name, route=ROUTE, type=kind, actor="scenario", created_at=now))

    def _behaviour_file(self, role: VersionRole) -> Path:
        return self._behaviour_files / f"{role.value}.json"


def _stub_command(wanted: Wanted, port: int, *, seed: int) -> Sequence[str]:
    """The command that starts an instance; its behaviour file is the source of the version."""
    numbers = {"--instance": wanted.index, "--port": port, "--seed": seed}
    options = [word for name, value in numbers.items() for word in (name, str(value))]
    return [
        sys.executable,
        "-P",
        "-m",
        "fairlead.rehearsal.live.stub_version",
        wanted.source,
        "--version",
        wanted.ref.version,
        *options,
    ]


def _two_ports() -> tuple[int, int]:
    first = ports.pick(set())
    return first, ports.pick({first})
