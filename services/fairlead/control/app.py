"""Composition root of the control plane on one machine: which store, gateways, metrics and smoke test it works with."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from fairlead.contracts.platform import Run
from fairlead.contracts.prometheus import MetricSettings
from fairlead.control import ledger_archive
from fairlead.control.action_socket import Door
from fairlead.control.answers import AnswerRings
from fairlead.control.api import build_api
from fairlead.control.desired_state import World
from fairlead.control.endpoints import ReadyInstances
from fairlead.control.loop import Loop
from fairlead.control.smoke import GatewaySmoke
from fairlead.rollout.analysis.envoy_stats import EnvoyStats
from fairlead.rollout.analysis.prometheus_stats import PrometheusStats
from fairlead.rollout.ports import GatewayState
from fairlead.rollout.reconcile import Engine
from fairlead.routing.envoy.bootstrap import bootstrap
from fairlead.routing.envoy.sources import from_folder
from fairlead.routing.publish.admin import AdminClient
from fairlead.routing.publish.files import FilePublisher
from fairlead.routing.snapshot import Endpoint, Settings
from fairlead.store.sqlite import SqliteStore

LOOPBACK = "127.0.0.1"
DOOR = "control.sock"
"""Beside the ledger; commands find it there (cli.ask)."""


def run(ledger: Path, folder: Path, facts: Run) -> None:
    """Run until SIGTERM: the loop on a thread of its own, the API in front of it.

    `ledger` is the store's file, `folder` the one that the gateway watches.
    """
    log = logging.getLogger("fairlead.control")
    store = SqliteStore(ledger)
    admin = AdminClient(LOOPBACK, facts.admin_port)
    publisher = FilePublisher(folder, admin)
    smoke = GatewaySmoke(LOOPBACK, facts.gateway.port)
    answers = AnswerRings(log)
    history = past(facts.metrics)
    engine = Engine(
        store,
        gateways=PublishedTo(publisher),
        metrics=EnvoyStats(LOOPBACK, facts.admin_port),
        smoke=smoke,
        clock=lambda: datetime.now(UTC),
        log=ledger_archive.write,
        answers=answers,
        history=history,
        replays=facts.metrics.source == "prometheus",
    )
    world = World(store, ReadyInstances(store), settings_of(facts, folder))
    loop = Loop(store, engine, publisher, world, log=log)
    loop.turn()
    # The gateway starts when this file appears, and must find a configuration then.
    write_bootstrap(folder, facts)
    turning = threading.Thread(target=loop.run, name="loop")
    turning.start()
    door = Door(ledger.with_name(DOOR), store)
    try:
        uvicorn.run(build_api(store, loop), host=LOOPBACK, port=facts.control.port, log_config=None, access_log=False)
    finally:
        door.close()
        loop.stop()
        turning.join()
        smoke.close()
        answers.close()
        if history is not None:
            history.close()


def past(metrics: MetricSettings) -> PrometheusStats | None:
    """The Prometheus of the platform, where it has one."""
    return PrometheusStats(metrics.prometheus) if metrics.prometheus is not None else None


class PublishedTo:
    """`rollout.ports.Gateways` from what the publisher last heard: the two rooms do not know each other."""

    def __init__(self, publisher: FilePublisher) -> None:
        self._publisher = publisher

    def gateways(self) -> Sequence[GatewayState]:
        """The one gateway of this machine."""
        return [
            GatewayState(one.name, one.reachable, one.programmed, one.rejected) for one in self._publisher.gateways()
        ]


def settings_of(facts: Run, folder: Path) -> Settings:
    """What the gateway is told beside the tables."""
    return Settings(
        host=LOOPBACK,
        port=facts.gateway.port,
        control=Endpoint(LOOPBACK, facts.control.port),
        routes_from=from_folder(str(folder), "rds"),
        max_request_bytes=facts.gateway.max_request_bytes,
        cors_origins=facts.gateway.cors_origins,
    )


def write_bootstrap(folder: Path, facts: Run) -> None:
    """Write what Envoy is started with, whole or not at all."""
    text = json.dumps(bootstrap(str(folder), admin=Endpoint(LOOPBACK, facts.admin_port)), indent=2)
    draft = folder / ".bootstrap.json"
    draft.write_text(text)
    draft.rename(folder / "bootstrap.json")
