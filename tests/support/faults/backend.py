"""A model backend that fails on command and counts exactly what it was asked and what it answered.

    with Backend("iris", "1.0.0", log=folder / "a.log") as backend:
        backend.behave(Faults(fail=0.3))
        ...
        backend.counts().answered            # {200: 700, 500: 300}

It speaks what the gateway needs of a model service, in its own process, fast enough (thousands of requests per second)
not to be what a load test measures. Control come in on a second port, so that they work while the first one hangs or
refuses.
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
"""Requests are counted apart by their header `x-load`; without it they are these."""


@dataclass(frozen=True, slots=True)
class Faults:
    """How the backend answers. The default is: well.

    `fail` is the share answered with `status`, drawn by a seeded generator; `delay_ms` comes before every answer;
    `mode` hang never answers, close ends the connection instead of answering, refuse accepts no connections;
    `ready` is what /readyz says.
    """

    fail: float = 0.0
    status: int = 500
    delay_ms: float = 0.0
    mode: Literal["answer", "hang", "close", "refuse"] = "answer"
    ready: bool = True


@dataclass(frozen=True, slots=True)
class Counts:
    """What came in and what went out, for one kind of request."""

    asked: int = 0
    answered: Mapping[int, int] = field(default_factory=dict)
    abandoned: int = 0
    """Asked, and the connection was gone before the answer."""

    @property
    def good(self) -> int:
        """Answers with 200."""
        return self.answered.get(200, 0)

    @property
    def bad(self) -> int:
        """Answers with anything else."""
        return sum(self.answered.values()) - self.good


class Backend:
    """One backend process. Its answer to every prediction is `answer(model, version)`."""

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
        """Where predictions go, without the gateway."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start it and wait until it answers."""
        self.process.start()
        try:
            self.process.wait_until(self._is_up, "the backend takes orders")
        except BaseException:
            self.stop()
            raise
        return self

    def behave(self, faults: Faults) -> None:
        """From now on."""
        self._control("PUT", "/faults", asdict(faults))

    def counts(self, kind: str = USERS) -> Counts:
        """What was counted for one value of `x-load`; "shadow" are mirrored copies, "probe" are health checks."""
        return self.all_counts().get(kind, Counts())

    def all_counts(self) -> dict[str, Counts]:
        """What was counted, by kind of request."""
        return {
            kind: Counts(one["asked"], {int(status): n for status, n in one["answered"].items()}, one["abandoned"])
            for kind, one in self._control("GET", "/counts").items()
        }

    def reset_counts(self) -> None:
        """Count from zero again."""
        self._control("DELETE", "/counts")

    def stop(self) -> None:
        """End the process."""
        self.process.stop()

    def _is_up(self) -> bool:
        try:
            self._control("GET", "/counts")
        except OSError:
            return False
        return True

    def _control(self, method: str, path: str, body: object = None) -> dict[str, Any]:
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
    """The body of a good answer."""
    return json.dumps({"model": model, "version": version}).encode()
