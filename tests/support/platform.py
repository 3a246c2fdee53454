"""Runs a whole platform with `fairlead up platform.yaml`, in its own folder and on free ports; Ctrl-C ends it."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import yaml

from fairlead.contracts.revision import Phase, Revision
from fairlead.store.sqlite import SqliteStore
from support.faults import folders
from support.load.prebuilt import Users
from support.processes import PATIENCE_S, Child, ProcessFailed, free_ports

FAIRLEAD = Path(sys.executable).with_name("fairlead")
DOUBLER = b'{"value": 21.0}'
"""The body of a request to the model of `doublers`."""


class Platform:
    """A platform in a folder. Use `running_platform`. `store` is a second connection to the platform's store."""

    def __init__(
        self,
        folder: Path,
        models: Mapping[str, Mapping[str, Any]],
        metrics: Mapping[str, Any] | None = None,
        hosts: Sequence[str] = (),
        *,
        grpc: bool = False,
        tls: Mapping[str, Any] | None = None,
    ) -> None:
        """`tls` are the files of `gateway.tls`; its port is chosen here."""
        self.folder, self.state = folder, folder / ".fairlead"
        port, control_port, self.tls_port = free_ports(3)
        self.url = f"http://127.0.0.1:{port}"
        self.control_url = f"http://127.0.0.1:{control_port}"
        document: dict[str, Any] = {
            "gateway": {"port": port, "hosts": list(hosts), "grpc": grpc},
            "control": {"port": control_port},
            "models": dict(models),
        }
        if tls is not None:
            document["gateway"]["tls"] = {"port": self.tls_port, **tls}
        if metrics is not None:
            document["metrics"] = dict(metrics)
        (folder / "platform.yaml").write_text(yaml.safe_dump(document))
        self.process = Child("fairlead up", [FAIRLEAD, "up", "platform.yaml"], log=folder / "up.log", cwd=folder)

    def start(self) -> None:
        """Start it and wait until it has answered its first prediction."""
        before = self._starts()
        self.process.start()
        self.process.wait_until(lambda: self._starts() > before, "the platform is up")
        self.store = SqliteStore(self.state / "ledger.db")

    def _starts(self) -> int:
        """How often its log says that it is up."""
        return self.process.log.read_text(errors="replace").count("up after") if self.process.log.exists() else 0

    def stop(self) -> int:
        """Send Ctrl-C and wait. Returns the exit code."""
        return self.process.stop(signal.SIGINT)

    def command(self, *arguments: str, expect: int = 0) -> str:
        """Run `fairlead ARGUMENTS` in the platform's folder; returns the output. Raises ProcessFailed."""
        done = subprocess.run(
            [FAIRLEAD, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        if done.returncode != expect:
            raise ProcessFailed(f"fairlead {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def head(self, model: str) -> Revision:
        """The newest revision of a route."""
        head = self.store.head(model)
        assert head is not None, f"{model} has no revision"
        return head

    def programmed(self, model: str) -> bool:
        """Whether every gateway serves the head, according to the route's status."""
        status = self.store.status(model) or {}
        gateways = status.get("gateways")
        seq = self.head(model).seq
        return (
            isinstance(gateways, Sequence)
            and bool(gateways)
            and all(isinstance(one, Mapping) and one.get("programmed") == seq for one in gateways)
        )

    def is_steady(self, model: str) -> bool:
        """Whether the gateway serves the head, and there is no rollout in progress or it waits for an approval."""
        status = self.store.status(model) or {}
        resting = status.get("phase") == Phase.STABLE or "approval" in str(status.get("waiting"))
        return status.get("seq") == self.head(model).seq and resting and self.programmed(model)

    def wait_for(self, model: str, what: str, *, within: float = PATIENCE_S, **table: object) -> Revision:
        """Wait until the head's table has these values and the gateway serves it."""

        def reached() -> bool:
            head = self.head(model)
            values = {name: getattr(head.table, name) for name in table}
            plain = {name: value.version if hasattr(value, "version") else value for name, value in values.items()}
            return plain == table and self.programmed(model)

        try:
            self.process.wait_until(reached, what, within=within)
        except ProcessFailed as failed:
            raise ProcessFailed(f"{failed}\nhead: {self.head(model)}\nstatus: {self.store.status(model)}") from None
        return self.head(model)

    def gateway_answers(self) -> bool:
        """Whether the gateway reports that it is ready."""
        return _status(f"{self.url}/v2/health/ready") == 200

    def control_answers(self) -> bool:
        """Whether the control plane's API answers."""
        return _status(f"{self.control_url}/api/v1/routes") == 200

    def children(self) -> dict[str, int]:
        """The pids of the supervisor's children, by name."""
        written: dict[str, Sequence[Any]] = json.loads((self.state / "children.json").read_text())
        return {name: int(pid) for name, (pid, *_) in written.items()}

    def logs(self) -> str:
        """The ends of all logs, for an error message."""
        texts = [f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}" for path in self.state.glob("logs/*")]
        return "\n".join([self.process.tail(), *texts])


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=2).status_code
    except httpx.HTTPError:
        return 0


@contextlib.contextmanager
def running_platform(
    folder: Path,
    models: Mapping[str, Mapping[str, Any]],
    metrics: Mapping[str, Any] | None = None,
    hosts: Sequence[str] = (),
    *,
    grpc: bool = False,
    tls: Mapping[str, Any] | None = None,
) -> Iterator[Platform]:
    """Run a platform with these settings, as in platform.yaml. It is stopped at the end of the block."""
    platform = Platform(folder, models, metrics, hosts, grpc=grpc, tls=tls)
    try:
        platform.start()
        yield platform
    finally:
        if platform.stop() == -signal.SIGKILL:
            # The test killed the supervisor, so its children still run.
            subprocess.run([FAIRLEAD, "down"], cwd=folder, capture_output=True, check=False)


def doublers(
    folder: Path, *versions: str, model: str = "doubler", instances: int = 1, **more: object
) -> dict[str, dict[str, Any]]:
    """The `models:` of a platform.yaml: one model whose versions fail on command. The first version is the target."""
    sources = {version: str(folders.make(folder / "models", model, version)) for version in versions}
    entries = {version: {"source": source, "instances": instances} for version, source in sources.items()}
    return {model: {"target": versions[0], "versions": entries, **more}}


def users(model: str = "doubler") -> Users:
    """Predictions, each by a new user."""
    return Users(f"/models/{model}/predict", body=DOUBLER)
