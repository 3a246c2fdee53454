"""A stable version and a candidate, each a real model service, behind a real gateway, and clients of both.

A row says how long the model sleeps for it, and at which share of such rows the candidate fails.
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
import time
from pathlib import Path
from pydantic import BaseModel
import fairlead

class Nap(BaseModel):
    seconds: str = ""  # texts, because a model is warmed up with made-up numbers
    fails: str = ""

class Rest(BaseModel):
    slept: float

def number(text: str) -> float:
    return float(text) if text[:1].isdigit() else 0

class Sleeper(fairlead.Model[Nap, Rest]):
    def load(self, artifact: Path) -> None:
        self.can_fail = artifact.read_text() == "candidate"
        self.due = 0.0

    def predict(self, rows: list[Nap]) -> list[Rest]:
        time.sleep(sum(number(row.seconds) for row in rows))
        before = int(self.due)  # in turn: by chance five in a row would fail, and the gateway ejects the instance
        self.due += sum(number(row.fails) for row in rows)
        if self.can_fail and int(self.due) > before:
            raise RuntimeError("failed on command")
        return [Rest(slept=number(row.seconds)) for row in rows]
"""
GOLDEN = ({"input": {"seconds": ""}, "expected": {"slept": 0.0}},)
PATH = "/models/iris/predict"
Row = Mapping[str, str]


@dataclass(kw_only=True)
class Clients:
    """Clients of a gateway, and what they got: by status and version, and the slowest answer in seconds."""

    url: str
    routed: Routed
    seen: dict[str, Counter[tuple[int, str | None]]] = field(default_factory=dict)
    slowest: dict[str, float] = field(default_factory=dict)

    def users_of(self, version: VersionRef, count: int) -> list[str]:
        """The names of users whose requests go to this version."""
        names = (f"u{number}" for number in range(10_000))
        return list(islice((name for name in names if self._version(name) == version), count))

    def _version(self, user: str) -> VersionRef | None:
        explanation = explain(self.routed, PATH, [("x-user-id", user)])
        return None if explanation is None else explanation.version

    def send(self, client: httpx.Client, name: str, user: str, row: Row) -> str | None:
        """Send a row. Returns the version that answered."""
        began = time.monotonic()
        answer = client.post(PATH, json=dict(row), headers={"x-user-id": user})
        took = time.monotonic() - began
        version: str | None = answer.headers.get("x-model-version")
        self.seen.setdefault(name, Counter())[answer.status_code, version] += 1
        self.slowest[name] = max(took, self.slowest.get(name, 0))
        return version

    def count(self, name: str) -> int:
        """How many requests of these clients were answered."""
        return self.seen.get(name, Counter()).total()

    def failures(self, name: str) -> int:
        """How many of these clients' requests had no good answer."""
        return sum(count for (status, _), count in self.seen[name].items() if status != 200)

    @contextmanager
    def clients(self, name: str, users: list[str], row: Row, *, pause_s: float = 0) -> Iterator[None]:
        """One client for each user, which sends this row again and again during the block."""
        ended = threading.Event()

        def run(user: str) -> None:
            with httpx.Client(base_url=self.url, timeout=30, trust_env=False) as client:
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


@dataclass(kw_only=True)
class Scene(Clients):
    """The gateway, both services, and clients."""

    edge: Edge
    stable: Service
    candidate: Service

    def ejections(self) -> dict[str, int]:
        """How often each cluster has ejected an instance."""
        name = "outlier_detection.ejections_enforced_total"
        page = httpx.get(f"http://{HOST}:{self.edge.admin_port}/stats", params={"filter": name}, trust_env=False).text
        found = (line.removeprefix("cluster.").split(f".{name}: ") for line in page.splitlines() if name in line)
        return {cluster: int(count) for cluster, count in found}


@contextmanager
def a_scene(folder: Path, weight: int, **limits: float) -> Iterator[Scene]:
    """Both services, and a gateway that gives the candidate this weight."""
    first, second = sleepers(folder)
    with (
        Service(first, log=folder / "stable.log") as stable,
        Service(second, log=folder / "candidate.log") as candidate,
        an_edge(folder) as edge,
    ):
        edge.endpoints["default", "iris", V1] = [Endpoint(HOST, stable.port)]
        edge.endpoints["default", "iris", V2] = [Endpoint(HOST, candidate.port)]
        routed = iris(1, weight, **limits)
        with serving(edge, routed):
            yield Scene(url=edge.url, routed=routed, edge=edge, stable=stable, candidate=candidate)


def sleepers(folder: Path) -> tuple[Path, Path]:
    """The model folders of stable and the candidate."""

    def made(ref: VersionRef, artifact: bytes) -> Path:
        more = {"name": "iris", "version": ref.version, "entry": "model:Sleeper"}
        return folders.make(folder / ref.version, code=CODE, artifact=artifact, golden=GOLDEN, **more)

    return made(V1, b"stable"), made(V2, b"candidate")
