"""An engine with a real API server's store. Its gateway, its smoke test and its clock are simulated."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from fairlead.contracts.revision import Check, Verdict
from fairlead.contracts.route import VersionRef
from fairlead.contracts.table import Table
from fairlead.control.parallel_writes import ParallelWrites
from fairlead.rollout.ports import GatewayState, Reading
from fairlead.rollout.reconcile import Engine
from fairlead.store.kubernetes import KubernetesStore
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.kinds import ROUTES


class EngineHarness:
    """An engine with a real store. The gateway (always serves the head), smoke test and clock are simulated."""

    def __init__(self, api: Api, namespace: str) -> None:
        self._where = api, namespace
        self.writes = ParallelWrites()
        self.now = datetime.now(UTC)
        self.store = self._store()
        self.engine = self._engine()

    def restart(self) -> None:
        """Replace the control plane with a new one, which has only the stored data."""
        self.store.close()
        self.store = self._store()
        self.engine = self._engine()

    def _store(self) -> KubernetesStore:
        store = KubernetesStore(*self._where, clock=lambda: self.now)
        store.start()
        store.wait_until_loaded(10)
        return store

    def _engine(self) -> Engine:
        return Engine(
            self.store,
            gateways=self,
            metrics=self,
            smoke=self,
            clock=lambda: self.now,
            monotonic=lambda: self.now.timestamp(),
            log=lambda line: None,
            scales=self.store,
            writes=self.writes,
        )

    def gateways(self) -> Sequence[GatewayState]:
        head = self.store.head("iris")
        return [GatewayState("e1", True, {"iris": head.seq} if head else {})]

    def read(self) -> Sequence[Reading]:
        return [Reading("e1", self.now, {}, {}, self.now.timestamp())]  # readable, with no counts

    def smoke(self, table: Table, ref: VersionRef) -> Check:
        return Check(gate="smoke", verdict=Verdict.PASS, reason="golden rows agree")

    def go_on(self, seconds: float) -> None:
        """Advance the clock, with a tick every five seconds."""
        for _ in range(int(seconds // 5)):
            self.now += timedelta(seconds=5)
            self.engine.tick()

    def object(self) -> dict[str, Any]:
        """The route's object, as shown by kubectl."""
        return self._where[0].get(ROUTES, self._where[1], "iris")

    def condition(self, kind: str) -> str:
        return str(next(one["status"] for one in self.object()["status"]["conditions"] if one["type"] == kind))
