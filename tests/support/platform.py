"""A whole platform, as `fairlead up platform.yaml` runs it: own folder, own ports, waited for, ended by Ctrl-C."""

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
"""A question to the model of `doublers`."""


class Platform:
    """Use `running_platform`. `store` is the platform's own, opened a second time."""

    def __init__(
        self, folder: Path, models: Mapping[str, Mapping[str, Any]], metrics: Mapping[str, Any] | None = None
    ) -> None:
        self.folder, self.state = folder, folder / ".fairlead"
        port, control_port = free_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        self.control_url = f"http://127.0.0.1:{control_port}"
        document = {"gateway": {"port": port}, "control": {"port": control_port}, "models": dict(models)}
        if metrics is not None:
            document["metrics"] = dict(metrics)
        (folder / "platform.yaml").write_text(yaml.safe_dump(document))
        self.process = Child("fairlead up", [FAIRLEAD, "up", "platform.yaml"], log=folder / "up.log", cwd=folder)

    def start(self) -> None:
        """Start it and wait until it has answered its first prediction."""
        self.process.start()
        self.process.wait_until(lambda: "up after" in self.process.tail(60), "the platform is up")
        self.store = SqliteStore(self.state / "ledger.db")

    def stop(self) -> int:
        """Ctrl-C. Returns its exit code."""
        return self.process.stop(signal.SIGINT)

    def command(self, *arguments: str, expect: int = 0) -> str:
        """Run `fairlead ARGUMENTS` as a user of this platform would; its output."""
        done = subprocess.run(
            [FAIRLEAD, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        if done.returncode != expect:
            raise ProcessFailed(f"fairlead {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def head(self, model: str) -> Revision:
        """The last revision of a route."""
        head = self.store.head(model)
        assert head is not None, f"{model} has no revision"
        return head

    def programmed(self, model: str) -> bool:
        """Whether every gateway serves the head, as the status says it."""
        status = self.store.status(model) or {}
        gateways = status.get("gateways")
        seq = self.head(model).seq
        return (
            isinstance(gateways, Sequence)
            and bool(gateways)
            and all(isinstance(one, Mapping) and one.get("programmed") == seq for one in gateways)
        )

    def is_steady(self, model: str) -> bool:
        """Whether the gateway serves the head and nothing happens next of itself: at rest, or waiting for a person."""
        status = self.store.status(model) or {}
        resting = status.get("phase") == Phase.STABLE or "approval" in str(status.get("waiting"))
        return status.get("seq") == self.head(model).seq and resting and self.programmed(model)

    def wait_for(self, model: str, what: str, *, within: float = PATIENCE_S, **table: object) -> Revision:
        """Wait until the head's table has these values, and the gateway serves it."""

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
        """Whether the gateway says that it is ready."""
        return _status(f"{self.url}/v2/health/ready") == 200

    def control_answers(self) -> bool:
        """Whether the control plane's API answers."""
        return _status(f"{self.control_url}/api/v1/routes") == 200

    def children(self) -> dict[str, int]:
        """The supervisor's children: name to pid."""
        written: dict[str, Sequence[Any]] = json.loads((self.state / "children.json").read_text())
        return {name: int(pid) for name, (pid, _) in written.items()}

    def logs(self) -> str:
        """The ends of all logs, for a failure's message."""
        texts = [f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}" for path in self.state.glob("logs/*")]
        return "\n".join([self.process.tail(), *texts])


def _status(url: str) -> int:
    try:
        return httpx.get(url, timeout=2).status_code
    except httpx.HTTPError:
        return 0


@contextlib.contextmanager
def running_platform(
    folder: Path, models: Mapping[str, Mapping[str, Any]], metrics: Mapping[str, Any] | None = None
) -> Iterator[Platform]:
    """A platform with these models and metrics, as in platform.yaml; up, and gone afterwards."""
    platform = Platform(folder, models, metrics)
    try:
        platform.start()
        yield platform
    finally:
        if platform.stop() == -signal.SIGKILL:
            # The test killed the supervisor: its children are nobody's then.
            subprocess.run([FAIRLEAD, "down"], cwd=folder, capture_output=True, check=False)


def doublers(
    folder: Path, *versions: str, model: str = "doubler", instances: int = 1, **more: object
) -> dict[str, dict[str, Any]]:
    """`models:` with one model whose versions fail on command; the first version is the target."""
    sources = {version: str(folders.make(folder / "models", model, version)) for version in versions}
    entries = {version: {"source": source, "instances": instances} for version, source in sources.items()}
    return {model: {"target": versions[0], "versions": entries, **more}}


def users(model: str = "doubler") -> Users:
    """Predictions by ever new users."""
    return Users(f"/models/{model}/predict", body=DOUBLER)
