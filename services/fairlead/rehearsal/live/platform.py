"""The stage: a whole platform whose versions are stand-ins, and what a scenario can do to it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from fairlead.contracts.action import Action, ActionType
from fairlead.contracts.instance import Wanted
from fairlead.contracts.platform import ControlSettings, GatewaySettings, Platform
from fairlead.contracts.route import RouteSpec, Target, VersionSpec
from fairlead.contracts.scenario import Scenario
from fairlead.local import ports
from fairlead.local.probe import ask_soon
from fairlead.local.state import StateFolder
from fairlead.local.supervisor import Supervisor
from fairlead.rehearsal.frames import ROUTE
from fairlead.rehearsal.live.admin_proxy import AdminProxy
from fairlead.rehearsal.live.load_generator import BODY
from fairlead.rehearsal.live.stub_version import OFF_STAGE, write_part
from fairlead.rehearsal.schedule import Arm, Behaving, behaving_at, has_fault, most_instances
from fairlead.store.sqlite import SqliteStore

PREDICT = f"/models/{ROUTE}/predict"
BEFORE_THE_RELEASE = -1.0


class LivePlatform:
    """One platform in one folder, made for one scenario. `supervisor` runs it; nothing runs before."""

    def __init__(self, folder: StateFolder, scenario: Scenario, binary: Path, *, seed: int) -> None:
        self.store = SqliteStore(folder.ledger)
        self._scenario = scenario
        self._parts = folder.root / "parts"
        self._parts.mkdir(exist_ok=True)
        self._played: Behaving | None = None
        port, control, admin = _three_ports()
        platform = Platform(gateway=GatewaySettings(port=port), control=ControlSettings(port=control))
        watched = any(event.fault in ("metrics-outage", "gateway-silent") for event in scenario.events)
        # The relay takes the place where the control plane asks, and Envoy's own page goes elsewhere.
        elsewhere = f'{{"admin": {{"address": {{"socket_address": {{"port_value": {admin}}}}}}}}}'
        self.supervisor = Supervisor(
            folder,
            self.store,
            platform,
            binary,
            command=partial(_stand_in, seed=seed),
            gateway_options=("--config-yaml", elsewhere) if watched else (),
        )
        self._relay = AdminProxy(self.supervisor.run_facts.admin_port, admin) if watched else None
        if self._relay is not None:
            self._relay.start()
        self.assign(BEFORE_THE_RELEASE)
        self.wish(Arm.STABLE)

    @property
    def port(self) -> int:
        """The gateway's."""
        return self.supervisor.run_facts.gateway.port

    def close(self) -> None:
        """Let go of what is not a child: the relay's port and the ledger."""
        if self._relay is not None:
            self._relay.stop()
        self.store.close()

    def wish(self, target: Arm) -> None:
        """The user's: both versions, and which of them shall serve."""
        versions = {
            arm.value: VersionSpec(source=str(self._part(arm)), instances=most_instances(self._scenario, arm))
            for arm in Arm
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
        """Whether every stand-in runs, and a user's request is answered."""
        rows = self.store.instances()
        if len(rows) < sum(most_instances(self._scenario, arm) for arm in Arm):
            return False
        if not all(row.ready or row.reason == OFF_STAGE for row in rows):
            return False
        return (await ask_soon(self.port, "POST", PREDICT, BODY)).status == 200

    # What a scenario does

    def assign(self, at_s: float) -> None:
        """Everybody plays what is said of this moment."""
        behaving = behaving_at(self._scenario, at_s)
        if behaving == self._played:
            return
        for arm in Arm:
            write_part(self._part(arm), behaving.of(arm))
        self._played = behaving

    async def trouble(self, at_s: float) -> None:
        """What is broken at this moment is, and nothing else."""
        if self._relay is not None:
            self._relay.deaf = has_fault(self._scenario, "metrics-outage", at_s)
            self._relay.silent = has_fault(self._scenario, "gateway-silent", at_s)
        control, away = self.supervisor.control, has_fault(self._scenario, "control-plane-outage", at_s)
        if away and not control.is_held:
            await control.hold(0)
        elif not away and control.is_held:
            control.let_go()

    def restart_gateway(self) -> None:
        """It dies, and the supervisor starts another one."""
        if self.supervisor.gateway.pid is not None:
            os.kill(self.supervisor.gateway.pid, signal.SIGKILL)

    def ask(self, kind: ActionType, number: int) -> None:
        """A person asks for something."""
        now = datetime.now(UTC)
        name = f"scenario-{number}"
        self.store.create_action(Action(name=name, route=ROUTE, type=kind, actor="scenario", created_at=now))

    def _part(self, arm: Arm) -> Path:
        return self._parts / f"{arm.value}.json"


def _stand_in(wanted: Wanted, port: int, *, seed: int) -> Sequence[str]:
    """How the supervisor starts an instance: its part is what the version's source names."""
    numbers = {"--instance": wanted.index, "--port": port, "--seed": seed}
    options = [word for name, value in numbers.items() for word in (name, str(value))]
    return [
        sys.executable,
        "-m",
        "fairlead.rehearsal.live.stub_version",
        wanted.source,
        "--version",
        wanted.ref.version,
        *options,
    ]


def _three_ports() -> tuple[int, int, int]:
    taken: set[int] = set()
    for _ in range(3):
        taken.add(ports.pick(taken))
    first, second, third = taken
    return first, second, third
