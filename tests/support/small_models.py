"""Small models for tests of the model service, served without a model folder, and clients of its ASGI application."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, Field

import fairlead
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.profile import Profile
from fairlead.serving.app import App, build_app
from fairlead.serving.formats import methods
from fairlead.serving.formats.golden import GoldenRow
from fairlead.serving.formats.made_up_rows import MADE_UP, MadeUp
from fairlead.serving.formats.strict import strict
from fairlead.serving.http.exchange import RequestTimer
from fairlead.serving.inference.served import Served as Servable
from fairlead.serving.settings import Settings


class Point(BaseModel):
    """A point on a plane."""

    x: float = Field(ge=-1000, le=1000, description="metres east")
    y: float = Field(default=0.0, description="metres north")
    n: int = 1
    kind: Literal["a", "b"] = "a"


class Sum(BaseModel):
    """The sum of a point's numbers."""

    total: float
    kind: str


class Adder(fairlead.Model[Point, Sum]):
    """Adds the numbers of a point. Raises on x = 13, returns NaN on x = 14."""

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
    """A model class in the form of `formats.folder.ModelFolder`, which is what the service expects."""

    model: Callable[[], fairlead.Model[Any, Any]] = Adder
    row: type[BaseModel] = Point
    answer_type: type[BaseModel] = Sum
    golden: Sequence[GoldenRow] = GOLDEN
    manifest: Manifest = field(default_factory=manifest)
    folder: Path = Path("/nowhere")
    package: str = "nothing"
    profile: Profile | None = None
    explained: bool = False
    copy: Path | None = None

    @property
    def row_type(self) -> type[BaseModel]:
        """The strict row type, as a loaded folder has it."""
        return strict(self.row)

    @property
    def explains(self) -> bool:
        """Whether the model explains its answers."""
        return self.explained or (isinstance(self.model, type) and methods.explains(self.model))

    def start(self, made_up: MadeUp = MADE_UP) -> fairlead.Model[Any, Any]:
        """Make the model."""
        return self.model()


class Reply(NamedTuple):
    """A response as the client receives it."""

    status: int
    headers: dict[str, str]
    body: bytes


async def ask(
    app: Any, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None, *, chunk: int = 0
) -> Reply:
    """Send one request to an ASGI application. The body is sent in chunks of `chunk` bytes, or whole if it is 0."""
    asked = scope(method, path, headers or {})
    parts = [body[i : i + chunk] for i in range(0, len(body), chunk)] if chunk and body else [body]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not parts:
            await asyncio.Event().wait()  # a client that stays connected and sends nothing more
        return {"type": "http.request", "body": parts.pop(0), "more_body": bool(parts)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(asked, receive, send)
    return _received(sent)


class Wire:
    """The client's end of a request on the fast path: records the response, and whether it was sent whole."""

    def __init__(self, *, takes_whole: bool = True) -> None:
        self.takes_whole = takes_whole
        self.in_one_piece = False
        self._sent: list[MutableMapping[str, Any]] = []
        self._ended = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Receive one ASGI message."""
        self._sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self._ended.set()

    def write_response(self, head: bytes, body: bytes, timer: RequestTimer) -> bool:
        """Receive a whole 200 response."""
        if not self.takes_whole:
            return False
        timer.stop(200)
        self.in_one_piece = True
        lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        headers = [tuple(line.split(b": ", 1)) for line in lines]
        self._sent += [{"status": 200, "headers": headers}, {"body": body}]
        self._ended.set()
        return True

    def start_task(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as a task."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def reply(self) -> Reply:
        """Wait for the complete response."""
        await asyncio.wait_for(self._ended.wait(), 10)
        await asyncio.gather(*self._tasks)
        return _received(self._sent)


def begin(
    app: App, path: str, body: bytes, headers: dict[str, str] | None = None, *, method: str = "POST", wire: Wire
) -> Callable[[], None] | None:
    """Offer one request to the fast path.

    Returns the function to call when the client disconnects, or None if the fast path does not handle the request.
    """
    return app.fast_path.begin(scope(method, path, headers or {}), body, wire)


async def ask_fast_path(app: App, path: str, body: bytes, headers: dict[str, str] | None = None) -> Reply:
    """Send one prediction on the fast path, which must handle it."""
    wire = Wire()
    assert begin(app, path, body, headers, wire=wire) is not None
    return await wire.reply()


def scope(method: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
    """The ASGI scope of a request."""
    given = {"content-type": "application/json"} | headers
    path, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "scheme": "http",
        "server": ("test", 80),
        "client": ("test", 1),
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }


def _received(sent: Sequence[MutableMapping[str, Any]]) -> Reply:
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Reply(sent[0]["status"], head, b"".join(message.get("body", b"") for message in sent[1:]))


@contextlib.asynccontextmanager
async def running(served: Servable | None = None, settings: Settings | None = None) -> AsyncIterator[App]:
    """Run the service. The block starts when the model is loaded, or when loading has failed."""
    app = build_app(served or Served(), settings)
    async with app.lifespan():
        while app.state.phase in ("loading", "warming"):
            await asyncio.sleep(0.001)
        yield app
