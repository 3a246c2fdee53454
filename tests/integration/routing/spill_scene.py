"""A stable version and a candidate, each a real model service, behind a real gateway, and clients of both.

A row says how long the model sleeps for it, and whether the candidate fails at it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import httpx

from fairlead.contracts.route import VersionRef
from fairlead.routing.explain import explain
from fairlead.routing.snapshot import Endpoint, Routed
from integration.routing.edge import V1, V2, Edge, an_edge, iris, serving
from support import folders
from support.service import HOST, Service

CODE = """
import random
import time
from pathlib import Path
from pydantic import BaseModel
import fairlead

class Nap(BaseModel):
    seconds: str = ""  # a text, because a model is warmed up with made-up numbers

class Rest(BaseModel):
    slept: float

class Sleeper(fairlead.Model[Nap, Rest]):
    def load(self, artifact: Path) -> None:
        self.fails = float(artifact.read_text())

    def predict(self, rows: list[Nap]) -> list[Rest]:
        slept = [float(row.seconds) if row.seconds[:1].isdigit() else 0 for row in rows]
        time.sleep(sum(slept))
        if any(slept) and random.random() < self.fails:
            raise RuntimeError("failed on command")
        return [Rest(slept=one) for one in slept]
"""
GOLDEN = ({"input": {"seconds": ""}, "expected": {"slept": 0.0}},)
PATH = "/models/iris/predict"
Row = Mapping[str, str]


@dataclass
class Scene:
    """The gateway, both services, and what clients got: by status and version, and the slowest answer in seconds."""

    edge: Edge
    routed: Routed
    stable: Service
    candidate: Service
    seen: dict[str, Counter[tuple[int, str | None]]] = field(default_factory=dict)
    slowest: dict[str, float] = field(default_factory=dict)

    def users_of(self, version: VersionRef, count: int) -> list[str]:
        """The names of users whose requests go to this version."""
        names = (f"u{number}" for number in range(10_000))
        return list(islice((name for name in names if self._version(name) == version), count))

    def _version(self, user: str) -> VersionRef | None:
        explanation = explain(self.routed, PATH, [("x-user-id", user)])
        return None if explanation is None else explanation.version

    def send(self, client: httpx.Client, name: str, user: str, row: Row) -> None:
        began = time.monotonic()
        answer = client.post(PATH, json=dict(row), headers={"x-user-id": user})
        took = time.monotonic() - began
        self.seen.setdefault(name, Counter())[answer.status_code, answer.headers.get("x-model-version")] += 1
        self.slowest[name] = max(took, self.slowest.get(name, 0))

    def failures(self, name: str) -> int:
        """How many of these clients' requests had no good answer."""
        return sum(count for (status, _), count in self.seen[name].items() if status != 200)

    def ejections(self) -> dict[str, int]:
        """How often each cluster has ejected an instance."""
        name = "outlier_detection.ejections_enforced_total"
        page = httpx.get(f"http://{HOST}:{self.edge.admin_port}/stats", params={"filter": name}, trust_env=False).text
        found = (line.removeprefix("cluster.").split(f".{name}: ") for line in page.splitlines() if name in line)
        return {cluster: int(count) for cluster, count in found}

    @contextmanager
    def clients(self, name: str, users: list[str], row: Row, *, pause_s: float = 0) -> Iterator[None]:
        """One client for each user, which sends this row again and again during the block."""
        ended = threading.Event()

        def run(user: str) -> None:
            with httpx.Client(base_url=self.edge.url, timeout=30, trust_env=False) as client:
                while not ended.is_set():
                    self.send(client, name, user, row)
                    ended.wait(pause_s)

        threads = [threading.Thread(target=run, args=(user,)) for user in users]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            for thread in threads:
                thread.join()


@contextmanager
def a_scene(folder: Path, weight: int, *, fails: float = 0, **limits: float) -> Iterator[Scene]:
    """Both versions sleep as their rows say. The candidate fails at this share of the rows that make it sleep."""
    edge = an_edge(folder)
    with _service(folder, V1, 0) as stable, _service(folder, V2, fails) as candidate, edge as gateway:
        for ref, service in ((V1, stable), (V2, candidate)):
            gateway.endpoints["default", "iris", ref] = [Endpoint(HOST, service.port)]
        routed = iris(1, weight, **limits)
        with serving(gateway, routed):
            yield Scene(gateway, routed, stable, candidate)


def _service(folder: Path, ref: VersionRef, fails: float) -> Service:
    made = folders.make(
        folder / ref.version,
        code=CODE,
        artifact=str(fails).encode(),
        golden=GOLDEN,
        name="iris",
        version=ref.version,
        entry="model:Sleeper",
    )
    return Service(made, log=folder / f"{ref.version}.log")
