"""Composition root of the control plane in a cluster. Every replica serves gateways and the API; the leader decides."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp

from fairlead.contracts.access import KEY_HEADER, key_hash
from fairlead.contracts.gateway import PASS_HEADER, GatewaySite
from fairlead.contracts.prometheus import MetricSettings
from fairlead.control.answers import AnswerRings, Connect, plain
from fairlead.control.api import build_api
from fairlead.control.chart_settings import API_PORT, XDS_PORT
from fairlead.control.console.pages import Console
from fairlead.control.console.place import Place
from fairlead.control.console.reading import ConsoleStore, Reader
from fairlead.control.console.trial import Trial
from fairlead.control.demand import GatewayDemand
from fairlead.control.desired_state import DesiredState
from fairlead.control.displaced import DisplacedRoutes, TellingEngine
from fairlead.control.drift import DriftReadings, over_http
from fairlead.control.endpoints import EndpointSource, ServiceNames
from fairlead.control.guard import guard_of
from fairlead.control.holds import Holds, elsewhere, mounted
from fairlead.control.input_watch import InputWatch
from fairlead.control.load import WatchedLoad
from fairlead.control.loop import ChangeTokens, Loop, TickingEngine
from fairlead.control.metrics import Metrics
from fairlead.control.parallel_writes import ParallelWrites
from fairlead.control.quotas import Keep, MemoryKeep, quotas_of
from fairlead.control.secure_port import SecurePort, for_gateways
from fairlead.control.smoke import GatewaySmoke
from fairlead.rollout.analysis.fleet_stats import FleetStats
from fairlead.rollout.analysis.fleet_use import FleetUse
from fairlead.rollout.analysis.prometheus_stats import PrometheusStats
from fairlead.rollout.ports import EngineStore, GatewayState, Scales
from fairlead.rollout.reconcile import Engine
from fairlead.routing.access_file import AccessFile
from fairlead.routing.publish.callers import Tokens
from fairlead.routing.publish.fleet import Fleet
from fairlead.routing.publish.publication import Publications
from fairlead.routing.publish.server import build_xds
from fairlead.routing.publish.snapshot_cache import SnapshotCache
from fairlead.routing.publish.xds import XdsPublisher
from fairlead.routing.snapshot import Endpoint, Settings
from fairlead.slow_clients import RECEIVE_S, LimitedServer

RESYNC_S = 1.0
"""How often everything is read again although nothing changed."""
FINISH_S = 5
"""How long requests in flight may take to end after SIGTERM."""


class ClusterStore(EngineStore, ConsoleStore, ChangeTokens, Protocol):
    """The part of the store that this process uses."""

    @property
    def loaded(self) -> bool:
        """Whether everything was listed once. Before that, an empty store may just not be loaded yet."""
        ...


class FurtherNamespaces(DisplacedRoutes, Protocol):
    """What several namespaces add to a store; `store.kubernetes.namespaces` in a cluster."""

    def unread(self) -> Sequence[str]:
        """The namespaces whose routes nobody knows."""
        ...


class Leadership(Protocol):
    """Whether this replica is the leader."""

    def leads(self) -> bool:
        """True while this replica certainly leads for some time still. Never raises: False when it is not known."""
        ...


class Gateways(Protocol):
    """Lists the gateways; `gateways.GatewayPods` in a cluster."""

    @property
    def loaded(self) -> bool: ...  # noqa: D102
    def gateways(self) -> Sequence[GatewaySite]: ...  # noqa: D102
    def rejection_reason(self, name: str) -> str | None: ...  # noqa: D102


class ControlPlane:
    """One replica of the control plane. All that it needs of the cluster is passed in."""

    def __init__(
        self,
        store: ClusterStore,
        leadership: Leadership,
        publications: Publications,
        gateways: Gateways,
        settings: Settings,
        *,
        smoke_at: Endpoint,
        log: logging.Logger,
        endpoints: EndpointSource | None = None,
        metrics: MetricSettings | None = None,
        tokens: Tokens | None = None,
        scales: Scales | None = None,
        namespaces: FurtherNamespaces | None = None,
        namespace: str = "default",
        access: AccessFile | None = None,
        quota_keep: Keep | None = None,
        connect: Connect = plain,
        resync_s: float = RESYNC_S,
    ) -> None:
        """`smoke_at` is the gateways' Service: the smoke test sends golden rows the same way as users' requests.

        With `tokens`, gateways must prove which one they are. `scales` writes the pods of versions that it manages.
        `namespaces` knows what several namespaces add; None: there is one.
        `namespace` is named in the commands of the console. `access` says who may call; None: everybody.
        `quota_keep` keeps what clients have used of their quotas; None: only this process knows it. `connect` makes the
        connections to instances.
        """
        self.metrics = Metrics()
        self.snapshots = SnapshotCache()
        # Only the leader's is published, and only the leader tests.
        own_key, entry = secrets.token_urlsafe(32), settings.entry
        settings = replace(settings, entry=replace(entry, own_key=key_hash(own_key)) if entry is not None else None)
        passes = {PASS_HEADER: own_key} if entry is not None and entry.is_gated else {}
        own = {**passes, **({KEY_HEADER: own_key} if access is not None else {})}
        self._store, self._smoke = store, GatewaySmoke(smoke_at.host.rstrip("."), smoke_at.port, own)
        self._stats, self._answers = WatchedLoad(FleetStats(gateways.gateways)), AnswerRings(log, connect=connect)

        def leads() -> bool:
            return store.loaded and gateways.loaded and leadership.leads()

        self.holds, self._use = Holds(store, self.gateways, leads=leads), FleetUse(gateways.gateways)
        metric_settings = metrics or MetricSettings()
        self._history = PrometheusStats(metric_settings.prometheus) if metric_settings.prometheus is not None else None
        self._writes = ParallelWrites()
        self._quotas = quotas_of(access, gateways.gateways, quota_keep or MemoryKeep(), log)
        self._publisher = XdsPublisher(
            publications, self.snapshots, Fleet(gateways), unread=namespaces.unread if namespaces is not None else tuple
        )
        self._inputs = InputWatch(over_http(connect))
        engine: TickingEngine = Engine(
            store,
            gateways=self,
            metrics=self._stats,
            smoke=self._smoke,
            clock=lambda: datetime.now(UTC),
            log=log.info,
            answers=self._answers,
            history=self._history,
            replays=metric_settings.source == "prometheus",
            scales=scales,
            writes=self._writes,
            demand=GatewayDemand(self._use, self.holds),
            inputs=self._inputs,
        )
        if namespaces is not None:
            engine = TellingEngine(engine, namespaces)
        self.loop = Loop(
            self.holds,
            engine,
            self._publisher,
            DesiredState(
                store,
                endpoints or ServiceNames(),
                settings,
                guard_of(access, own_key, lambda: len(gateways.gateways()), self._quotas.closed),
            ),
            log=log,
            leads=leads,
            resync_s=resync_s,
            ticked=self._ticked,
        )
        self.metrics.add_state(
            store,
            self.loop,
            gateways=self.gateways,
            sequence=lambda: self._publisher.sequence,
            spent=self._quotas.spent,
        )
        # Its pages are opened through a forwarded port, under a name of loopback. Nobody acts from them: this process
        # would act with its own rights, for somebody whom it does not know.
        trial = Trial(smoke_at.host.rstrip("."), smoke_at.port, asks_for_key=access is not None, passes=passes)
        drift = DriftReadings(store.instances, over_http(connect))
        reader = Reader(store, self.loop, Place.of_namespace(namespace), load=self._stats, drift=drift)
        self.console = Console(reader, settings.hosts, trial=trial)
        api = build_api(store, self.loop, metrics=self.metrics, console=self.console, unready=self._unready)
        self.api: ASGIApp = mounted(self.holds, api)
        self.api_without_holds: ASGIApp = mounted(elsewhere, api)
        self.xds: ASGIApp = build_xds(self.snapshots, tokens=tokens, on_answer=self.metrics.answered)
        self._thread = threading.Thread(target=self.loop.run, name="loop")

    def gateways(self) -> Sequence[GatewayState]:
        """`rollout.ports.Gateways`: each gateway, as the publisher last saw it."""
        return [
            GatewayState(one.name, one.reachable, one.programmed, one.rejected) for one in self._publisher.gateways()
        ]

    def _ticked(self, seconds: float) -> None:
        self.metrics.ticked(seconds)
        self._quotas.turn()

    def start(self) -> None:
        """Start the loop: follow, and lead while this replica is the leader."""
        self._thread.start()

    def stop(self) -> None:
        """Stop deciding, and release every gateway's request so that it goes to another replica."""
        self.loop.stop()
        if self._thread.ident is not None:
            self._thread.join()
        self.snapshots.close()
        self._smoke.close()
        self._stats.close()
        self._use.close()
        self._answers.close()
        self._inputs.close()
        if self._history is not None:
            self._history.close()
        self._quotas.close()
        self._writes.close()
        self._publisher.close()

    def _unready(self) -> str:
        if not self._store.loaded:
            return "the store has not been listed yet"
        return "" if self.snapshots.loaded else "nothing is published yet"


def serve(
    control: ControlPlane,
    address: str,
    *,
    api_port: int = API_PORT,
    xds_port: int = XDS_PORT,
    secure: SecurePort | None = None,
    stopped: Callable[[], None] = lambda: None,
) -> None:
    """Serve the API and gateways until SIGTERM or SIGINT; then stop the loop first and the servers last.

    With `secure` gateways are answered with TLS, and without it only if it says so.
    `stopped` is called once this replica decides nothing any more: from then on another may lead.
    """
    configs = []
    if secure is None or secure.also_plain:
        configs += [_config(control.api, address, api_port), _config(control.xds, address, xds_port)]
    else:
        configs.append(_config(control.api_without_holds, address, api_port))
    if secure is not None:
        app = for_gateways(control.xds, control.api)
        configs.append(secure.secured(_config(app, address, secure.port), control.metrics.answered))
    asyncio.run(_serve(control, configs, stopped))


async def _serve(control: ControlPlane, configs: Sequence[uvicorn.Config], stopped: Callable[[], None]) -> None:

    def ending() -> None:
        control.console.close()
        control.holds.close()

    servers = [_Server(config, RECEIVE_S, ending=ending) for config in configs]
    loop, asked = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    running = [asyncio.create_task(server.serve()) for server in servers]
    control.start()
    asked_to_end = asyncio.create_task(asked.wait())
    await asyncio.wait([asked_to_end, *running], return_when=asyncio.FIRST_COMPLETED)
    await asyncio.to_thread(control.stop)
    await asyncio.to_thread(stopped)
    for server in servers:
        server.should_exit = True
    await asyncio.gather(*running)
    asked_to_end.cancel()


def _config(app: ASGIApp, address: str, port: int) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=address,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        http="h11",  # it limits the size of a head
        lifespan="off",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=FINISH_S,
    )


class _Server(LimitedServer):
    """One of the servers in this process. `_serve` handles signals for all, so the server installs no handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
