"""Sends hostile bodies of each protocol evenly over a time, and keeps what came back."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from support.hostile_bodies import PROTOCOLS, fuzzed

SEED = 1
TIMEOUT_S = 30


@dataclass
class Attack:
    """The bodies of one protocol, `count` of them in `seconds`. `run` sends them, each on a connection of its own."""

    url: str
    model: str
    row: Mapping[str, float]
    protocol: str
    count: int
    seconds: float
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0

    def run(self) -> None:
        """Send all bodies."""
        began = time.monotonic()
        for number, body in enumerate(fuzzed(self.model, self.row, self.protocol, SEED, self.count)):
            time.sleep(max(0.0, began + number * self.seconds / self.count - time.monotonic()))
            path = f"/models/{self.model}/predict" if body.path == "/predict" else body.path
            sent = time.monotonic()
            try:
                self.statuses[self._send(path, body.body)] += 1
            except (OSError, http.client.HTTPException) as problem:
                self.failures.append(f"{body.name}: {problem!r}")
            self.slowest_s = max(self.slowest_s, time.monotonic() - sent)

    @property
    def failed(self) -> int:
        """How many bodies got no answer, or 5xx."""
        return sum(count for status, count in self.statuses.items() if status >= 500) + len(self.failures)

    def to_json(self) -> dict[str, Any]:
        """The numbers for a result."""
        return {
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "failures": self.failures[:10],
            "slowest_s": round(self.slowest_s, 3),
        }

    def _send(self, path: str, body: bytes) -> int:
        gateway = urlsplit(self.url)
        connection = http.client.HTTPConnection(gateway.hostname or "", gateway.port, timeout=TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request("POST", path, body, {"content-type": "application/json"})
            answered = connection.getresponse()
            answered.read()
            return answered.status


@contextlib.contextmanager
def attacked(url: str, model: str, row: Mapping[str, float], count: int, seconds: float) -> Iterator[list[Attack]]:
    """One attack for each protocol, all at the same time. They have ended after the block."""
    attacks = [Attack(url, model, row, protocol, count, seconds) for protocol in PROTOCOLS]
    threads = [threading.Thread(target=attack.run) for attack in attacks]
    for thread in threads:
        thread.start()
    try:
        yield attacks
    finally:
        for thread in threads:
            thread.join()
