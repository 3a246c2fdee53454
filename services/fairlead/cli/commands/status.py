"""`fairlead status`."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from fairlead.cli import health_lines, optional_modules
from fairlead.cli.connect import connect
from fairlead.cli.options import (
    DEFAULT_STATE,
    ContextOption,
    JsonOption,
    NamespaceOption,
    PlatformLocation,
    StateOption,
)
from fairlead.cli.output import console, make_table, moment, print_json, text
from fairlead.cli.state_age import StateAge, state_age
from fairlead.contracts.health import health_of
from fairlead.contracts.route import TOTAL_WEIGHT, VersionSpec
from fairlead.contracts.status import Status
from fairlead.local.state import StateFolder
from fairlead.store.base import Store
from fairlead.store.statuses import shown_statuses
from fairlead.views import rollout

REFRESH_INTERVAL_S = 0.5


def command(
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="The model; default: all models.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Refresh until Ctrl-C; in a pipe, print each change.")
    ] = False,
    state: StateOption = DEFAULT_STATE,
    context: ContextOption = None,
    namespace: NamespaceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what each model serves and the state of its rollout; with a MODEL, also its gates and gateways."""
    location = PlatformLocation(state, context, namespace)
    store = connect(location).store
    if as_json:
        age = state_age(location, store, datetime.now(UTC)).to_json()
        known = {route.name: route.spec.versions for route in store.routes()}
        print_json([one.to_json() | _more(one, known.get(one.route, {})) | age for one in shown_statuses(store, model)])
        return
    if not watch:
        console().print(_page(store, model, location))
        if model and location.in_cluster:  # not while it watches: it lists the nodes of the cluster
            pool_check, cluster = optional_modules.load("fairlead.cli.pool_check"), cast(Any, store)
            for line in pool_check.told(cluster.api, cluster.namespace, model):
                console().print(text(line))
        return
    out = console()
    if not out.is_terminal:
        _follow(out, store, model, location)
        return
    with Live(_page(store, model, location), console=out, auto_refresh=False) as live:
        while True:
            time.sleep(REFRESH_INTERVAL_S)
            live.update(_page(store, model, location), refresh=True)


def _follow(out: Console, store: Store, model: str | None, location: PlatformLocation) -> None:
    """In a pipe: print the page again, with its time, whenever a status changes. A terminal would be redrawn."""
    shown: list[Status] | None = None
    while True:
        statuses = list(shown_statuses(store, model))
        if statuses != shown:
            out.print(Group(text(moment(datetime.now(UTC))), _page(store, model, location)))
            sys.stdout.flush()
            shown = statuses
        time.sleep(REFRESH_INTERVAL_S)


def _more(status: Status, versions: Mapping[str, VersionSpec]) -> dict[str, object]:
    """The health, and the digests of the versions' folders where they are known: on one machine."""
    folders = {name: version.folder for name, version in versions.items() if version.folder}
    return {"health": health_of(status).to_json(), "folders": folders}


def _page(store: Store, model: str | None, location: PlatformLocation) -> RenderableType:
    statuses, now = list(shown_statuses(store, model)), datetime.now(UTC)
    age = state_age(location, store, now)
    before = [text(age.notice)] if age.notice else []
    if not statuses:
        return Group(*before, text("no models yet; add one with: fairlead deploy DIR"))
    rows = (_row(one, location, now, age) for one in statuses)
    current = () if age.problem else statuses
    urgent = [text(line) for one in current for line in health_lines.lines(one, location, now)]
    if model is None and not location.in_cluster:
        urgent += map(text, _of_clients(location, {one.route for one in statuses}))
    details = _details(statuses[0], location) if model else ()
    return Group(*before, make_table(_COLUMNS, rows), *urgent, *details)


def _of_clients(location: PlatformLocation, models: set[str]) -> Iterator[str]:
    run = StateFolder(location.state).last_run()
    if run is None or run.gateway.auth is None:
        return
    # Only a gateway that asks for keys has such a file, and reading it takes imports.
    for one in optional_modules.load("fairlead.cli.clients_file").complaints(Path(run.gateway.auth.file), models):
        yield f"{one.what}: {one.why}\n  {one.do}"


_COLUMNS = ("MODEL", "HEALTH", "PHASE", "STABLE", "CANDIDATE", "WEIGHT", "STEP", "REVISION", "GATEWAY", "WAITING FOR")


def _row(status: Status, location: PlatformLocation, now: datetime, age: StateAge) -> tuple[str, ...]:
    health = health_of(status)
    # What stopped with the platform is no reason of its own.
    waiting = "" if age.is_stopped and not health.serves else status.waiting
    return (
        status.route,
        health_lines.cell(health, now, age),
        rollout.phase(status),
        str(status.stable or "-"),
        str(status.candidate or "-"),
        rollout.weight(status),
        rollout.step(status),
        status.revision or "-",
        rollout.programmed(status),
        location.in_text(waiting) or "-",
    )


def _details(status: Status, location: PlatformLocation) -> Iterator[RenderableType]:
    if status.candidate is not None:
        yield text(f"\n{_bar(status)}")
        yield from map(text, rollout.progress(status, datetime.now(UTC)))
    if status.checks:
        rows = ((check.gate, check.verdict.value, location.in_text(check.reason)) for check in status.checks)
        yield Text()
        yield make_table(("GATE", "VERDICT", "REASON"), rows)
    if counts := list(rollout.counts(status)):
        yield Text()
        yield from map(text, counts)
    # In the table the reason of a rejection is cut into short lines: here it has one of its own.
    yield from map(text, rollout.problems(status, said=""))
    yield text(f"\n{rollout.ready(status)}")


def _bar(status: Status, width: int = 40) -> str:
    filled = round(width * status.weight / TOTAL_WEIGHT)
    return f"[{'#' * filled}{'.' * (width - filled)}] {rollout.shares(status)}"
