"""The golden rows of every example get the same bits in every way to ask.

The ways are JSON, a list, V1, V2, V2 in binary form and gRPC. The last two have no null that is not a number.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from fairlead.contracts.golden import compare
from fairlead.serving.app import App
from fairlead.serving.formats.folder import ModelFolder, load_folder
from fairlead.serving.settings import Settings
from integration.formats.training import EXAMPLES, OF_FORMATS, train
from support import environments
from support.event_loop_thread import Loop, running_loop
from support.formats import ways
from support.grpc_client import connected
from support.service import Reply
from support.small_models import ask, running

MODELS = environments.ROOT / "build" / "models"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/train.py"))
LOADING_S = 240.0
WAYS = (*ways.HTTP, "gRPC")
BINARY = ("V2 binary", "gRPC")


class Example:
    """A running application of an example."""

    def __init__(self, loop: Loop, folder: ModelFolder, app: App) -> None:
        self.loop, self.app, self.golden = loop, app, folder.golden
        self.within = folder.manifest.tolerance
        self.ways = ways.Ways(app, folder.manifest)

    def ways_for(self, rows: list[dict[str, Any]]) -> list[str]:
        """The ways that have a form for these rows."""
        return [way for way in WAYS if way not in BINARY or self.ways.has_binary_form(rows)]

    def answers(self, way: str, rows: list[dict[str, Any]]) -> list[ways.Answer]:
        """What the rows of one request are answered, asked in this way."""
        if way == "gRPC":
            return self.loop.call(self._grpc(rows), timeout_s=60)
        request = self.ways.request(way, rows)
        asked = ask(self.app, "POST", request.path, request.body, request.headers)
        reply = Reply(*self.loop.call(asked, timeout_s=60))
        assert reply.status == 200, reply.body
        return self.ways.answers(way, reply, len(rows))

    async def _grpc(self, rows: list[dict[str, Any]]) -> list[ways.Answer]:
        async with connected(self.app.grpc.port) as client:
            response = await client.ask("ModelInfer", self.ways.grpc_request(rows))
        return self.ways.grpc_answers(response, len(rows))


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop("examples") as running:
        yield running


def made(request: pytest.FixtureRequest, name: str, libraries: list[Path], folder: Path) -> list[Path]:
    """The folders of an example's versions, trained into `folder` if nobody has trained it yet."""
    lists = EXAMPLES / name / "environment"
    if not lists.exists():
        return sorted((MODELS / name).iterdir())
    if name in OF_FORMATS:
        return sorted((request.getfixturevalue("trained") / name).iterdir())
    needed = lists.read_text().split()
    for library in set(needed) & {"torch", "keras"}:
        request.getfixturevalue(library)
    train(name, folder, *libraries, *(environments.packages(one) for one in needed if one == "imagenet"))
    return sorted((folder / name).iterdir())


@pytest.fixture(scope="module", params=NAMES)
def versions(
    request: pytest.FixtureRequest, libraries: list[Path], loop: Loop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Example]]:
    stack, examples = AsyncExitStack(), []
    try:
        for path in made(request, request.param, libraries, tmp_path_factory.mktemp("examples")):
            folder = load_folder(path)
            app = loop.call(stack.enter_async_context(running(folder, Settings(grpc_port=0))), LOADING_S)
            assert app.state.phase == "ready", app.state.reason
            examples.append(Example(loop, folder, app))
        yield examples
    finally:
        loop.call(stack.aclose())


def test_a_golden_row_gets_the_same_bits_in_every_way(versions: list[Example]) -> None:
    for example in versions:
        for number, golden in enumerate(example.golden, 1):
            row = dict(golden.input)
            asked = example.ways_for([row])
            found = {way: example.answers(way, [row])[0] for way in asked}
            assert found == dict.fromkeys(asked, found["row"]), f"golden row {number}"
            assert compare(example.ways.of_fields(golden.expected), found["row"], *example.within) is None


def test_all_golden_rows_of_a_request_get_the_same_bits_in_every_way(versions: list[Example]) -> None:
    for example in versions:
        rows = [dict(golden.input) for golden in example.golden]
        found = {way: example.answers(way, rows) for way in example.ways_for(rows)[1:]}
        assert found == dict.fromkeys(found, found["list"])
