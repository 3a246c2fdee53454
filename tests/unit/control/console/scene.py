"""A store with one route, `iris`, and the console's pages of it, asked without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
from starlette.types import ASGIApp

from fairlead.contracts.instance import Instance
from fairlead.contracts.revision import Cause, Check, Phase, Revision, State
from fairlead.contracts.route import RouteSpec, Strategy, Target, VersionRef, VersionSpec
from fairlead.contracts.status import Condition, Gateway, Reason, Status, StepStatus
from fairlead.contracts.table import Table
from fairlead.control.api import build_api
from fairlead.control.console.acting import Acting
from fairlead.control.console.pages import Console
from fairlead.control.console.place import Place
from fairlead.control.console.reading import Reader
from fairlead.control.console.trial import Trial
from fairlead.store.sqlite import SqliteStore

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
VERSIONS = {version: VersionSpec(source=version) for version in ("1.0.0", "1.1.0")}
STABLE, CANDIDATE = (spec.ref(version) for version, spec in VERSIONS.items())
PLACE = Place("here", "--state here", "read gateway.log")


class Loop:
    beat = 0.0


def a_store(folder: Path) -> SqliteStore:
    store = SqliteStore(folder / "ledger.db")
    spec = RouteSpec(model="iris", versions=VERSIONS, target=Target(version="1.1.0"), strategy=Strategy())
    store.put_route("iris", spec, now=NOW, actor="ada")
    return store


def a_revision(
    seq: int, *, stable: VersionRef = STABLE, weight: int = 0, cause: Cause = Cause.STEP, **more: Any
) -> Revision:
    candidate = CANDIDATE if weight else None
    pins = (stable, CANDIDATE) if weight else (stable,)
    state = State(phase=Phase.CANARY if weight else Phase.STABLE, target=CANDIDATE, entered_at=NOW, attempt=1, step=0)
    table = Table(model="iris", stable=stable, candidate=candidate, weight=weight, pins=pins, attempt=1)
    at = NOW + timedelta(minutes=seq)
    fields: dict[str, Any] = {"table": table, "state": state, "created_at": at, **more}
    return Revision(route="iris", seq=seq, cause=cause, generation=1, **fields)


def append(store: SqliteStore, revision: Revision) -> Revision:
    head = store.head("iris")
    return store.append(revision.model_copy(update={"parent": head.hash if head else ""}))


def a_status(
    *, ready: bool = True, weight: int = 1000, checks: tuple[Check, ...] = (), stable_ready: int = 0, **more: Any
) -> Status:
    reason = Reason.SERVING if ready else Reason.NOTHING_READY
    message = "" if ready else "1.0.0 has no ready instance"
    condition = Condition(type="Ready", status=ready, reason=reason, message=message, since=NOW - timedelta(minutes=3))
    fields: dict[str, Any] = {
        "phase": Phase.CANARY if weight else Phase.STABLE,
        "revision": "iris.2",
        "seq": 2,
        "stable": STABLE,
        "candidate": CANDIDATE if weight else None,
        "target": CANDIDATE,
        "weight": weight,
        "step": StepStatus(number=1, of=3, next_weight=2500, entered_at=NOW.isoformat(), approved=False),
        "gateways": (Gateway(name="gateway-1", reachable=True, programmed=2),),
        "checks": checks,
        "conditions": (condition,),
        "ready": {"stable": stable_ready},
        **more,
    }
    return Status(route="iris", observed_generation=1, **fields)


def an_instance(ref: VersionRef = STABLE, *, ready: bool = True, reason: str = "") -> Instance:
    name = f"default/iris/{ref.version}/{ref.identity}/0"
    address: dict[str, Any] = {"host": "127.0.0.1", "port": 1, "observed_at": NOW}
    return Instance(id=name, model="iris", ref=ref, ready=ready, reason=reason, **address)


def a_reader(store: SqliteStore, loop: Loop | None = None) -> Reader:
    return Reader(store, loop or Loop(), PLACE, clock=lambda: NOW, monotonic=lambda: 1000.0)


def an_app(
    store: SqliteStore, *, hosts: tuple[str, ...] = (), acting: Acting | None = None, trial: Trial | None = None
) -> ASGIApp:
    """The whole API, with the console in it."""
    return build_api(store, Loop(), console=Console(a_reader(store), hosts, acting=acting, trial=trial))


def ask(
    app: ASGIApp,
    path: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    host: str = "127.0.0.1",
    form: Mapping[str, str] | None = None,
) -> httpx.Response:
    async def exchange() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=f"http://{host}:8081") as client:
            return await client.request(method, path, headers=headers, data=form)

    return asyncio.run(exchange())


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data
