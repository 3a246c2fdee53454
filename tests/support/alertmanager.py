"""Runs a real Alertmanager for tests, and a receiver that keeps its messages."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import httpx
import yaml

from support.cluster import programs
from support.exporter import serving
from support.missing import skip_or_fail
from support.processes import Child, free_port


@cache
def tools() -> Path:
    """The folder with alertmanager and amtool. Builds them once, which takes a minute. Without Go the test is skipped
    with the reason; in CI it fails."""
    try:
        return programs.built(("alertmanager", "amtool"), "monitoring-tools")
    except programs.ProgramMissing as missing:
        raise skip_or_fail(str(missing)) from None


@dataclass
class Inbox:
    """The messages that came: documents of Alertmanager's webhook, with the receiver's name in `receiver`."""

    messages: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, message: dict[str, Any]) -> None:
        """Keep one."""
        with self._lock:
            self.messages.append(message)

    def told(self, receiver: str, status: str = "firing") -> set[tuple[str, ...]]:
        """Name, model and version of every alert that this receiver was told about with this status."""
        with self._lock:
            return {
                tuple(alert["labels"].get(label, "") for label in ("alertname", "model", "version"))
                for message in self.messages
                if message["receiver"] == receiver
                for alert in message["alerts"]
                if alert["status"] == status
            }


@contextlib.contextmanager
def receiving() -> Iterator[tuple[str, Inbox]]:
    """Run a receiver of webhooks. Yields its URL and its inbox."""
    inbox = Inbox()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # noqa: N802 - the name that http.server calls
            inbox.add(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

    with serving(Receiver) as address:
        yield f"http://{address}/", inbox


@contextlib.contextmanager
def running_alertmanager(folder: Path, configuration: Mapping[str, Any], template: Path) -> Iterator[str]:
    """Run an Alertmanager with a configuration and the file of its templates. Yields its address, without peers."""
    folder.mkdir(parents=True)
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(dict(configuration)))
    (folder / template.name).write_text(template.read_text())
    address = f"127.0.0.1:{free_port()}"
    command: list[str | Path] = [
        *(
            tools() / "alertmanager",
            f"--config.file={folder / 'alertmanager.yml'}",
            f"--storage.path={folder / 'data'}",
        ),
        *(f"--web.listen-address={address}", "--cluster.listen-address="),
    ]

    def answers() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://{address}/-/ready", timeout=2).status_code == 200
        return False

    with Child("alertmanager", command, log=folder / "alertmanager.log") as process:
        process.wait_until(answers, "alertmanager is ready")
        yield address
