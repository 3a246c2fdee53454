"""`fairlead up`: start a platform from a file, show its progress and a first prediction, and run until Ctrl-C."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shlex
import time
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from fairlead import errors, logs
from fairlead.contracts.access import KEY_HEADER
from fairlead.contracts.answers import REVISION_HEADER
from fairlead.contracts.next_commands import next_release
from fairlead.contracts.platform import Platform
from fairlead.local import envoy, log_files, ports
from fairlead.local.apply import apply, read_platform
from fairlead.local.copy_progress import CopyProgress
from fairlead.local.probe import Reply, ask_async
from fairlead.local.repeated_lines import Fold
from fairlead.local.state import DEFAULT, StateFolder
from fairlead.local.supervisor import Supervisor
from fairlead.local.versions import VersionCopies
from fairlead.logs import shown
from fairlead.rollout.policy.small_shares import small_shares
from fairlead.store.base import Store
from fairlead.store.sqlite import SqliteStore

POLL_INTERVAL_S = 0.1
LOG_INTERVAL_S = 0.25
FOLD_S = 10.0
"""Lines that repeat are folded for so long, and until nothing new came for IDLE_READS reads."""
IDLE_READS = 8
_STOPPING = "caught ENVOY_SIGTERM"
"""A warning of Envoy's that only says that we stop it."""


def run(
    file: Path | None,
    *,
    state: Path,
    port: int | None,
    control_port: int | None,
    envoy_binary: Path | None,
    wait_s: float,
    actor: str,
    log_level: logs.LogLevel,
    log_format: logs.LogFormat,
) -> None:
    """Run the platform until a signal. Raises FairleadError for every problem that the user can fix."""
    logs.configure(log_level, log_format=log_format)
    console = Console()
    platform = _with_ports(read_platform(file) if file else Platform(), port, control_port)
    binary = envoy.find(envoy_binary)
    folder = StateFolder(state)
    os.umask(0o077)  # what this process and its children write into the folder is for its owner only
    if said := folder.create():
        console.print(Text(shown(said)), soft_wrap=True)
    with folder.locked():
        asyncio.run(_up(console, folder, platform, file, binary, wait_s, actor))
    console.print(Text(shown(f"stopped; the ledger stays in {folder.root}")), soft_wrap=True)


async def _up(
    console: Console,
    folder: StateFolder,
    platform: Platform,
    file: Path | None,
    binary: Path,
    wait_s: float,
    actor: str,
) -> None:
    left = require_ports(folder, platform)
    if left:
        console.print(f"`fairlead up` was killed; what it left goes on: {', '.join(sorted(left))}", highlight=False)
    store = SqliteStore(folder.ledger)
    base = file.absolute().parent if file else Path.cwd()
    copies = VersionCopies(folder.versions, CopyProgress(console))
    for route in apply(store, platform, base, copies, now=datetime.now(UTC), actor=actor):
        for found in small_shares(route.spec.strategy, route.spec.mirrors):
            console.print(Text(shown(f"warning: models.{route.name}.{found}")), soft_wrap=True)
    for one in store.unreadable_routes():
        console.print(Text(shown(f"{one.message}; it is left as it is, and serves what it served")))
    supervisor = Supervisor(folder, store, platform, binary)
    repeating = asyncio.create_task(_repeat_logs(folder.logs))
    try:
        await supervisor.run(StartupReport(console, store, supervisor, wait_s, folder).show)
    finally:
        repeating.cancel()
    console.print("draining done, everything stopped", highlight=False)


def require_ports(folder: StateFolder, platform: Platform) -> Collection[str]:
    """Raise Conflict if a port is used by anyone but a process that a killed supervisor left; returns their names."""
    left, last = folder.orphans(), folder.last_run()
    tls, before_tls = platform.gateway.tls, last and last.gateway.tls
    in_file = "name another one in the platform file: gateway.tls.port"
    gateway, control = _flag("--port"), _flag("--control-port")
    secured = (log_files.GATEWAY, tls.port, before_tls and before_tls.port, "TLS", in_file) if tls else None
    for name, port, before, what, hint in (
        (log_files.GATEWAY, platform.gateway.port, last and last.gateway.port, "the gateway", gateway),
        (log_files.CONTROL, platform.control.port, last and last.control.port, "the control plane", control),
        *((secured,) if secured else ()),
    ):
        if name not in left or port != before:
            ports.require_free(port, what, hint)
    return left


def _flag(flag: str) -> str:
    return f'choose another one: {flag} PORT; with make: make up ARGS="{flag} PORT"'


class ChildLogs:
    """What the children log from now on, as far as the level of our own log allows it.

    What a model prints, which has no level, stays in its file, unless our level is `info` or `debug`.
    """

    def __init__(self, folder: Path) -> None:
        self._follower = log_files.Follower(
            lambda: {path.stem: path for path in folder.glob("*.log") if path.stem != log_files.SUPERVISOR}
        )
        self._follower.skip()
        self._fold = Fold(longest_s=FOLD_S, idle_calls=IDLE_READS)

    def new(self) -> list[log_files.Entry]:
        """The lines to show now. What repeats is shown once, and its number later."""
        least = logging.getLogger().getEffectiveLevel()
        entries = [
            entry
            for entry in self._follower.read()
            if logs.level_of(entry.fields) >= least and _STOPPING not in str(entry.fields.get("message"))
        ]
        return list(self._fold.add(entries))


async def _repeat_logs(folder: Path) -> None:
    children = ChildLogs(folder)
    while True:
        for entry in children.new():
            logs.repeat(entry.fields, entry.source)
        await asyncio.sleep(LOG_INTERVAL_S)


def _with_ports(platform: Platform, port: int | None, control_port: int | None) -> Platform:
    gateway = platform.gateway.model_copy(update={"port": port} if port else {})
    control = platform.control.model_copy(update={"port": control_port} if control_port else {})
    if gateway.port == control.port:
        raise errors.Invalid(f"gateway and control plane cannot both use port {gateway.port}")
    if gateway.tls is not None and gateway.tls.port in (gateway.port, control.port):
        raise errors.Invalid(f"gateway.tls.port is {gateway.tls.port}, which is used already; name another port")
    return platform.model_copy(update={"gateway": gateway, "control": control})


class StartupReport:
    """Shows the progress of the start, then a first prediction, then commands to run next."""

    def __init__(
        self, console: Console, store: Store, supervisor: Supervisor, wait_s: float, folder: StateFolder
    ) -> None:
        self._console = console
        self._store = store
        self._wait_s = wait_s
        self._run = supervisor.run_facts
        gateway = supervisor.run_facts.gateway
        self._headers = gateway.own_headers(folder.own_key()) if gateway.auth or gateway.tls else {}
        self._option = "" if folder.root == DEFAULT.absolute() else f" --state {shlex.quote(str(folder.root))}"
        self._models = [route.name for route in store.routes()]

    async def show(self) -> None:
        """Wait until everything is up. Raises Unavailable, naming what is not up and where its log is."""
        began = time.monotonic()
        columns = (
            SpinnerColumn(finished_text="*"),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self._console) as progress:
            tasks = {name: progress.add_task(name, total=1) for name in ("gateway", *self._models)}
            missing = await self._poll(progress, tasks)
            while missing:
                if time.monotonic() - began > self._wait_s:
                    raise errors.Unavailable(
                        f"not up after {self._wait_s:.0f} s. " + "; ".join(f"{n}: {why}" for n, why in missing.items()),
                        hint="read the logs in the state folder under logs/, one file per process",
                    )
                await asyncio.sleep(POLL_INTERVAL_S)
                missing = await self._poll(progress, tasks)
        if warm := [name for name in self._models if not self._is_cold(name)]:
            await self._predict(warm[0])
        self._say_next(time.monotonic() - began)

    async def _poll(self, progress: Progress, tasks: dict[str, TaskID]) -> dict[str, str]:
        """Update the progress display; returns the names that are not up yet, and why."""
        missing = {}
        for name, task in tasks.items():
            why = await self._why_not_up(name)
            if why:
                missing[name] = why
            progress.update(task, description=shown(f"{name}: {why or 'up'}"), completed=0 if why else 1)
        return missing

    async def _why_not_up(self, name: str) -> str | None:
        if name == "gateway":
            reply = await self._ask("GET", "/v2/health/ready")
            return None if reply.status == 200 else "starting"
        head = self._store.head(name)
        if self._is_cold(name):
            return None  # to ask whether it is ready would start it
        if head is not None and (await self._ask("GET", f"/v2/models/{name}/ready")).status == 200:
            return None
        rows = [instance for instance in self._store.instances() if instance.model == name and not instance.ready]
        return f"{rows[0].ref} {rows[0].reason}" if rows else "starting"

    def _is_cold(self, model: str) -> bool:
        head = self._store.head(model)
        return head is not None and head.table.stable in head.table.cold

    async def _predict(self, model: str) -> None:
        """Send a first prediction through the gateway, a golden row of the serving version, and print it."""
        golden = await self._ask("GET", f"/models/{model}/golden")
        rows = json.loads(golden.body).get("rows") if golden.status == 200 else None
        if not rows:
            return
        body = json.dumps(rows[0]["input"])
        reply = await self._ask("POST", f"/models/{model}/predict", body.encode())
        if reply.status != 200:
            raise errors.Unavailable(
                f"the first prediction of {model} failed with status {reply.status}: {reply.body.decode()}"
            )
        url = f"{self._run.gateway.url}/models/{model}/predict"
        version, revision = reply.headers.get("x-model-version"), reply.headers.get(REVISION_HEADER)
        out = self._console
        out.print("\nfirst prediction, through the gateway:", highlight=False)
        key = f"-H '{KEY_HEADER}: KEY' " if self._run.gateway.auth else ""
        tls = self._run.gateway.tls
        believed = "--cacert CA " if tls is not None else ""
        shown_to = "--cert CERTIFICATE --key KEY_FILE " if tls is not None and tls.client_ca is not None else ""
        curl = f"  curl -s {url} {believed}{shown_to}{key}-H 'content-type: application/json' -d '{body}'"
        out.print(Text(shown(curl)), soft_wrap=True)
        out.print(Text(shown(f"  {reply.body.decode(errors='replace')}")), soft_wrap=True)
        out.print(Text(shown(f"  answered by {model} {version}, route revision {revision}\n")))

    def _say_next(self, seconds: float) -> None:
        base, control = self._run.gateway.url, f"http://{ports.LOOPBACK}:{self._run.control.port}"
        out = self._console
        out.print(f"up after {seconds:.1f} s", highlight=False)
        out.print(f"  console        {control}/", highlight=False)
        out.print(f"  gateway        {base}/models", highlight=False)
        for model in self._models:
            out.print(f"  docs           {base}/models/{model}/docs", highlight=False)
        out.print(f"  control plane  {control}/api/v1/routes", highlight=False)
        out.print("next, in another terminal:", highlight=False)
        for line in self._commands():
            out.print(Text(shown(f"  {line}{self._option}")), soft_wrap=True)
        out.print("Ctrl-C drains and stops everything.", highlight=False)

    def _commands(self) -> list[str]:
        for route in self._store.routes():
            if release := next_release(route, self._store.head(route.name)):
                return [release, f"fairlead status {route.name} --watch", f"fairlead rollback {route.name}"]
        model = self._models[0] if self._models else "MODEL"
        return ["fairlead deploy DIR", f"fairlead status {model}", f"fairlead history {model}"]

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> Reply:
        return await ask_async(self._run.gateway.port, method, path, body, headers=self._headers)
