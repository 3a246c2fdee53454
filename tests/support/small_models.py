"""Models of a few lines for tests of the service, served without a folder."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, Field

import fairlead
from fairlead.contracts.manifest import Manifest
from fairlead.serving.app import App, build_app
from fairlead.serving.formats.golden import GoldenRow
from fairlead.serving.formats.strict import strict
from fairlead.serving.settings import Settings


class Point(BaseModel):
    """A place on a plane."""

    x: float = Field(ge=-1000, le=1000, description="metres east")
    y: float = Field(default=0.0, description="metres north")
    n: int = 1
    kind: Literal["a", "b"] = "a"


class Sum(BaseModel):
    """What the numbers of a point add up to."""

    total: float
    kind: str


class Adder(fairlead.Model[Point, Sum]):
    """Adds; raises on x = 13, answers NaN on x = 14."""

    def predict(self, rows: list[Point]) -> list[Sum]:
        if any(row.x == 13 for row in rows):
            raise ValueError("a secret of the inside")
        return [Sum(total=float("nan") if row.x == 14 else row.x + row.y + row.n, kind=row.kind) for row in rows]


GOLDEN = (
    GoldenRow({"x": 1.0, "y": 2.0, "n": 3, "kind": "b"}, {"total": 6.0, "kind": "b"}),
    GoldenRow({"x": 5.0}, {"total": 6.0, "kind": "a"}),
)


def manifest(**changes: Any) -> Manifest:
    """A manifest for a model without an artifact."""
    base = {"name": "adder", "version": "1.2.0", "title": "Adder", "format": "python", "entry": "model:Adder"}
    return Manifest.model_validate(base | changes)


@dataclass(frozen=True)
class Served:
    """What `formats.folder.Loaded` would be for a class that is at hand."""

    model: Callable[[], fairlead.Model[Any, Any]] = Adder
    row: type[BaseModel] = Point
    answer_type: type[BaseModel] = Sum
    golden: Sequence[GoldenRow] = GOLDEN
    manifest: Manifest = field(default_factory=manifest)

    @property
    def row_type(self) -> type[BaseModel]:
        """The strict form, as a folder gives it."""
        return strict(self.row)

    def start(self) -> fairlead.Model[Any, Any]:
        """The model."""
        return self.model()


class Reply(NamedTuple):
    """An answer, as the client sees it."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask(
    app: Any, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, *, chunk: int = 0
) -> Reply:
    """One request to an ASGI application; the body in chunks of so many bytes, or at once."""
    given = {"content-type": "application/json"} | (headers or {})
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "server": ("test", 80),
        "client": ("test", 1),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    parts = [body[i : i + chunk] for i in range(0, len(body), chunk)] if chunk and body else [body]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not parts:
            await asyncio.Event().wait()  # a client that stays and says no more
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:]))


@contextlib.asynccontextmanager
async def running(served: Served | None = None, settings: Settings | None = None) -> AsyncIterator[App]:
    """The service, loaded or failed to load."""
    app = build_app(served or Served(), settings)
    async with app.lifespan():
        while app.state.phase in ("loading", "warming"):
            await asyncio.sleep(0.001)
        yield app
