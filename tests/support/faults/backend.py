"""A model backend process that fails on command and counts its requests and responses exactly.

    with Backend("iris", "1.0.0", log=folder / "a.log") as backend:
        backend.behave(Faults(fail=0.3))
        ...
        backend.counts().answered            # {200: 700, 500: 300}

It implements the part of a model service that the gateway needs. It handles thousands of requests per second, so a load
test does not measure the backend. Commands use a second port, which works while the first one hangs or is closed.
"""

from __future__ import annotations

import http.client
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

from support.processes import Child, free_ports

_TESTS = Path(__file__).resolve().parents[2]
USERS = "users"
"""Requests are counted by their header `x-load`. Requests without it are counted under this name."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How the backend behaves. By default every request gets a 200.

    `fail` is the share of requests that get `status`, drawn by a seeded generator. `delay_ms` is the delay of every
    response. `mode`: "hang" never responds, "close" closes the connection instead of responding, "refuse" accepts no
    connections. `ready` is the result of /readyz.
    """

    fail: float = 0.0
    status: int = 500
    delay_ms: float = 0.0
    mode: Literal["answer", "hang", "close", "refuse"] = "answer"
    ready: bool = True


@dataclass(frozen=True, slots=True)
class Counts:
    """The requests and responses of one kind of request. `asked` counts requests, `answered` responses by status."""

    asked: int = 0
    answered: Mapping[int, int] = field(default_factory=dict)
    abandoned: int = 0
    """Requests whose connection ended before the response."""

    @property
    def good(self) -> int:
        """Responses with status 200."""
        return self.answered.get(200, 0)

    @property
    def bad(self) -> int:
        """Responses with any other status."""
        return sum(self.answered.values()) - self.good


class Backend:
    """One backend process. Its response to every prediction is `answer(model, version)`."""

    def __init__(self, model: str, version: str, *, log: Path, port: int | None = None, seed: int = 1) -> None:
        free = free_ports(2)
        self.model, self.version = model, version
        self.port, self._control_port = port or free[0], free[1]
        settings = {
            "model": model,
            "version": version,
            "port": self.port,
            "control_port": self._control_port,
            "seed": seed,
        }
        self.process = Child(
            f"backend {model} {version}",
            [sys.executable, "-m", "support.faults.server", json.dumps(settings)],
            log=log,
            env={"PYTHONPATH": str(_TESTS)},
        )

    @property
    def url(self) -> str:
        """The address for predictions that bypass the gateway."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it and wait until it accepts commands."""
        self.process.start()
        try:
            self.process.wait_until(self._is_up, "the backend accepts commands")
        except BaseException:
            self.stop()
            raise
        return self

    def behave(self, faults: Faults) -> None:
        """Behave like this from now on."""
        self._command("PUT", "/faults", asdict(faults))

    def counts(self, kind: str = USERS) -> Counts:
        """The counts for one value of `x-load`. "shadow" are mirrored requests, "probe" are health checks."""
        return self.all_counts().get(kind, Counts())

    def all_counts(self) -> dict[str, Counts]:
        """The counts of all kinds of requests."""
        return {
            kind: Counts(one["asked"], {int(status): n for status, n in one["answered"].items()}, one["abandoned"])
            for kind, one in self._command("GET", "/counts").items()
        }

    def reset_counts(self) -> None:
        """Set all counts to zero."""
        self._command("DELETE", "/counts")

    def stop(self) -> None:
        """End the process."""
        self.process.stop()

    def _is_up(self) -> bool:
        try:
            self._command("GET", "/counts")
        except OSError:
            return False
        return True

    def _command(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self._control_port, timeout=5)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            reply = connection.getresponse()
            content = json.loads(reply.read())
        finally:
            connection.close()
        assert reply.status == 200, content
        assert isinstance(content, dict)
        return content

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def answer(model: str, version: str) -> bytes:
    """The body of a 200 response."""
    return json.dumps({"model": model, "version": version}).encode()
