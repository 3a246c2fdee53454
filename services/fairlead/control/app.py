"""Composition root of the control plane on one machine: connects store, gateway, metrics and smoke test."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from fairlead.contracts import sockets
from fairlead.contracts.access import key_hash
from fairlead.contracts.gateway import PASS_HEADER, GatewaySite
from fairlead.contracts.platform import RunningPlatform
from fairlead.contracts.prometheus import MetricSettings
from fairlead.control import ledger_archive
from fairlead.control.action_socket import ActionSocket
from fairlead.control.answers import AnswerRings
from fairlead.control.api import build_api
from fairlead.control.asking import Asking
from fairlead.control.console.acting import Acting
from fairlead.control.console.pages import Console
from fairlead.control.console.place import Place
from fairlead.control.console.reading import Reader
from fairlead.control.console.sessions import Sessions
from fairlead.control.console.trial import Trial
from fairlead.control.demand import GatewayDemand
from fairlead.control.desired_state import DesiredState
from fairlead.control.drift import over_http
from fairlead.control.endpoints import ReadyInstances
from fairlead.control.entry_certificates import FOLDER as ENTRY_FOLDER
from fairlead.control.entry_certificates import EntryCertificates, look_at
from fairlead.control.guard import guard_of
from fairlead.control.heartbeat import Heartbeat
from fairlead.control.holds import Holds, mounted
from fairlead.control.hosts import OnlyHosts
from fairlead.control.input_watch import InputWatch
from fairlead.control.kept_quotas import QUOTAS, QuotaFile
from fairlead.control.load import WatchedLoad
from fairlead.control.loop import Loop
from fairlead.control.metrics import Metrics
from fairlead.control.origins import OnlyOwnPages
from fairlead.control.quotas import quotas_of
from fairlead.control.request_records import access_log, tracing
from fairlead.control.smoke import GatewaySmoke
from fairlead.control.supervision import Supervision
from fairlead.rollout.analysis.envoy_stats import EnvoyStats
from fairlead.rollout.analysis.envoy_use import EnvoyUse
from fairlead.rollout.analysis.prometheus_stats import PrometheusStats
from fairlead.rollout.ports import GatewayState
from fairlead.rollout.reconcile import Engine
from fairlead.routing.access_file import AccessFile
from fairlead.routing.envoy.admin_page import LOOPBACK_HOSTS
from fairlead.routing.envoy.bootstrap import bootstrap
from fairlead.routing.envoy.sources import from_folder
from fairlead.routing.publish.admin import AdminClient
from fairlead.routing.publish.files import FilePublisher
from fairlead.routing.snapshot import Endpoint, EntryTls, Settings
from fairlead.slow_clients import RECEIVE_S, LimitedServer
from fairlead.store.sqlite import SqliteStore

LOOPBACK = "127.0.0.1"
GATEWAY_MEMORY_BYTES = 1 << 30
"""What the gateway of one machine may use, with the default `maxRequestBytes`."""
GATEWAY_LOG = "gateway.log"
"""Envoy's own log (local.supervisor); the access log of failed requests goes there too."""


def run(ledger: Path, folder: Path, facts: RunningPlatform, *, own_key: str = "") -> None:
    """Run until SIGTERM: the loop on its own thread, the API on the main thread.

    `ledger` is the store's file, `folder` the one that the gateway watches. `own_key` is that of the
    platform's own requests, for a gateway that asks for keys.
    """
    log = logging.getLogger("fairlead.control")
    store = SqliteStore(ledger)
    admin = AdminClient(LOOPBACK, facts.admin_port)
    publisher = FilePublisher(folder, admin)
    access = AccessFile(Path(facts.gateway.auth.file), only_owner=True) if facts.gateway.auth is not None else None
    smoke = GatewaySmoke(LOOPBACK, facts.gateway.port, facts.gateway.own_headers(own_key))
    certificates = EntryCertificates(facts.gateway.tls, folder, log) if facts.gateway.tls is not None else None
    answers = AnswerRings(log)
    history = history_of(facts.metrics)
    gateways = PublisherGateways(publisher)
    holds = Holds(store, gateways.gateways)
    use = EnvoyUse(LOOPBACK, facts.admin_port)
    load = WatchedLoad(EnvoyStats(LOOPBACK, facts.admin_port))
    inputs = InputWatch(over_http())
    engine = Engine(
        store,
        gateways=gateways,
        metrics=load,
        smoke=smoke,
        clock=lambda: datetime.now(UTC),
        log=ledger_archive.write,
        answers=answers,
        history=history,
        replays=facts.metrics.source == "prometheus",
        why_unknown=Supervision(ledger.parent).why_unknown,
        demand=GatewayDemand(use, holds),
        inputs=inputs,
    )
    quotas = quotas_of(access, lambda: [gateway_of(facts)], QuotaFile(ledger.with_name(QUOTAS)), log)
    settings = settings_of(facts, folder, key_hash(own_key))
    desired = DesiredState(store, ReadyInstances(store), settings, guard_of(access, own_key, lambda: 1, quotas.closed))
    metrics, heartbeat = Metrics(), Heartbeat(store)

    ticked = _each(metrics.ticked, heartbeat.ticked, look_at(certificates), lambda _: quotas.turn())
    loop = Loop(holds, engine, publisher, desired, log=log, ticked=ticked)
    metrics.add_state(store, loop, gateways=gateways.gateways, sequence=lambda: publisher.sequence, spent=quotas.spent)
    loop.turn()
    # The gateway starts when this file appears, and needs a configuration at that moment.
    write_bootstrap(folder, facts)
    turning = threading.Thread(target=loop.run, name="loop")
    turning.start()
    asking, sessions = Asking(store), Sessions()
    actions = ActionSocket(ledger.with_name(sockets.ACTIONS), asking, sessions.invite)
    try:
        place = Place.of_folder(ledger.parent, facts.gateway.url)
        acting, trial = (
            Acting(sessions, asking, place),
            Trial(
                LOOPBACK,
                facts.gateway.port,
                asks_for_key=access is not None,
                passes={PASS_HEADER: own_key} if facts.gateway.is_gated else {},
            ),
        )
        console = Console(Reader(store, loop, place, load=load), settings.hosts, acting=acting, trial=trial)
        whole = mounted(holds, build_api(store, loop, metrics=metrics, console=console))
        api = OnlyHosts(OnlyOwnPages(whole, settings.cors_origins), settings.hosts)

        def end() -> None:
            console.close()
            holds.close()

        config = uvicorn.Config(
            api, host=LOOPBACK, port=facts.control.port, log_config=None, access_log=False, http="h11"
        )
        LimitedServer(config, RECEIVE_S, ending=end).run()
    finally:
        actions.close()
        loop.stop()
        turning.join()
        for one in (smoke, quotas, use, answers, inputs):
            one.close()
        if history is not None:
            history.close()


def _each(*calls: Callable[[float], None]) -> Callable[[float], None]:
    def all_of_them(seconds: float) -> None:
        for one in calls:
            one(seconds)

    return all_of_them


def history_of(metrics: MetricSettings) -> PrometheusStats | None:
    """The platform's Prometheus; None when it has none."""
    return PrometheusStats(metrics.prometheus) if metrics.prometheus is not None else None


class PublisherGateways:
    """`rollout.ports.Gateways` from the publisher's last reports: rollout and routing do not import each other."""

    def __init__(self, publisher: FilePublisher) -> None:
        self._publisher = publisher

    def gateways(self) -> Sequence[GatewayState]:
        """The one gateway of this machine."""
        return [
            GatewayState(one.name, one.reachable, one.programmed, one.rejected) for one in self._publisher.gateways()
        ]


def gateway_of(facts: RunningPlatform) -> GatewaySite:
    """The one gateway of this machine."""
    return GatewaySite("edge", LOOPBACK, facts.admin_port)


def settings_of(facts: RunningPlatform, folder: Path, own_hash: str = "") -> Settings:
    """The gateway's own settings, besides the tables. `own_hash` is the hash of the platform's own key."""
    tls = facts.gateway.tls
    entry = None
    if tls is not None:
        asks = tls.client_ca is not None
        entry = EntryTls(tls.port, str(folder / ENTRY_FOLDER), tls.port, asks, tls.plain, own_hash)
    return Settings(
        host=LOOPBACK,
        port=facts.gateway.port,
        control=Endpoint(LOOPBACK, facts.control.port),
        routes_from=from_folder(str(folder), "rds"),
        max_request_bytes=facts.gateway.max_request_bytes,
        holds=True,
        hosts=(*LOOPBACK_HOSTS, *facts.gateway.hosts),
        cors_origins=facts.gateway.cors_origins,
        entry=entry,
        access_log=access_log(facts.gateway.access_log, str(folder.parent / "logs" / GATEWAY_LOG)),
        tracing=tracing(facts.gateway.tracing),
        grpc=facts.gateway.grpc,
    )


def write_bootstrap(folder: Path, facts: RunningPlatform) -> None:
    """Write Envoy's bootstrap file atomically."""
    # At least eight of the largest bodies, as in the chart.
    memory = max(GATEWAY_MEMORY_BYTES, 8 * facts.gateway.max_request_bytes)
    document = bootstrap(
        str(folder),
        admin=Endpoint(LOOPBACK, facts.admin_port),
        admin_path=sockets.address(folder.with_name(sockets.ADMIN)),
        memory_bytes=memory,
    )
    text = json.dumps(document, indent=2)
    draft = folder / ".bootstrap.json"
    draft.write_text(text)
    draft.rename(folder / "bootstrap.json")
