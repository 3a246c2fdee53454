"""Runs a model service as a real process, with a client that sends raw bytes and so can send invalid HTTP too."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from support.processes import PATIENCE_S, Child, free_port

FAIRLEAD = Path(sys.executable).with_name("fairlead")
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Reply:
    """A response as it was received."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, parsed as JSON."""
        return json.loads(self.body)


def request(method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """The bytes of an HTTP/1.1 request. `headers` override the default ones; an empty value leaves a header out."""
    usual = {"host": "test", "content-type": "application/json", "content-length": str(len(body))}
    given = {**usual, **(headers or {})}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in given.items() if value)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Service:
    """`fairlead serve FOLDER` on a free port. As a context manager it is ready in the block and stopped after it."""

    def __init__(
        self, folder: Path, *, log: Path, flags: Sequence[str] = (), env: Mapping[str, str] | None = None
    ) -> None:
        self.port = free_port()
        command = [str(FAIRLEAD), "serve", str(folder), "--port", str(self.port), *flags]
        self.process = Child(f"fairlead serve {folder.name}", command, log=log, env=env)

    def connect(self, within: float = PATIENCE_S) -> socket.socket:
        """Open a connection with `within` seconds as the timeout of every operation."""
        return socket.create_connection((HOST, self.port), timeout=within)

    def send(self, data: bytes, *, then_end: bool = False, within: float = PATIENCE_S) -> Reply:
        """Send these bytes on a new connection and read the response. `then_end` closes the sending side after them."""
        with self.connect(within) as connection:
            with contextlib.suppress(
                BrokenPipeError, ConnectionResetError
            ):  # the service may respond and close before it has read everything
                connection.sendall(data)
                if then_end:
                    connection.shutdown(socket.SHUT_WR)
            return read(connection)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        within: float = PATIENCE_S,
    ) -> Reply:
        """Send a request and read the response."""
        return self.send(request(method, path, body, headers), within=within)

    def predict(self, document: Any, headers: Mapping[str, str] | None = None) -> Reply:
        """Send POST /predict with a JSON document."""
        return self.ask("POST", "/predict", json.dumps(document).encode(), headers)

    def answers(self, path: str, status: int) -> bool:
        """Whether a GET returns this status now."""
        try:
            return self.ask("GET", path, within=2.0).status == status
        except OSError:
            return False

    def metric(self, name: str, **labels: str) -> float:
        """The sum of all series with this name and these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        lines = self.ask("GET", "/metrics").body.decode().splitlines()
        found = [line for line in lines if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(line.rpartition(" ")[2]) for line in found if all(part in line for part in wanted))

    def log_lines(self) -> list[dict[str, Any]]:
        """Every line of its log. Raises ValueError for a line that is not JSON."""
        return [json.loads(line) for line in self.process.log.read_text().splitlines()]

    def start(self, path: str = "/readyz", status: int = 200, within: float = PATIENCE_S) -> Self:
        """Start it and wait until a GET of `path` returns this status."""
        self.process.start()
        try:
            self.process.wait_until(lambda: self.answers(path, status), f"{path} answers {status}", within=within)
        except BaseException:
            self.process.stop()
            raise
        return self

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.stop()


def read(connection: socket.socket) -> Reply:
    """Read the next response on a connection. Raises OSError or http.client.HTTPException if there is none."""
    response = http.client.HTTPResponse(connection)
    with response:
        response.begin()
        body = response.read()
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, body)
