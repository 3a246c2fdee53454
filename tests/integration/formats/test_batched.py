"""Batched equals unbatched in every format: whoever asks with whom, each row gets the answer that it gets alone.

Random clients ask one running application at the same time: for any number of rows, of any shapes that the model takes,
in every way there is. Some leave before they are answered, and some send the row at which the model fails.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.contracts.golden import compare
from fairlead.model import Model
from fairlead.serving.app import App
from fairlead.serving.formats import methods
from fairlead.serving.formats.folder import ModelFolder, load_folder
from fairlead.serving.formats.made_up_rows import MADE_UP, MadeUp
from fairlead.serving.formats.writer import write_folder
from fairlead.serving.settings import Settings
from integration.formats import test_contract
from support.event_loop_thread import Loop, running_loop
from support.formats import ways
from support.formats.cases import Case
from support.service import Reply
from support.small_models import Wire, ask, begin, running

OF = test_contract.OF | {one: "estimators" for one in ("sklearn", "joblib", "pickle")} | {"python": "classes"}
"""The module of tests/support/formats with the cases of each format or library."""
NAMES = (*test_contract.NAMES, "onnx-padded", "sklearn-forest", "joblib-line", "pickle-forest", "python-class")
EXACT = ("xgboost", "lightgbm", "skops-forest", "sklearn-forest", "pickle-forest", "python")
"""Where a row gets the same bits in a batch as alone. Products of matrices may be rounded otherwise in a batch."""
MAX_ROWS = 7
"""Of a batch: less than the rows of many requests, which are divided, and no divisor of them."""
LONGEST = 7
LOADING_S = 240.0
EXAMPLES = 15


class Failing:
    """A model folder whose model raises at batches that have a certain row, once `row` is set."""

    def __init__(self, folder: ModelFolder, loop: asyncio.AbstractEventLoop) -> None:
        self._folder = folder
        self.loop = loop
        self.row: Mapping[str, Any] | None = None
        self.is_free = threading.Event()
        """Calls of the model wait for it."""
        self.is_free.set()
        self.is_called = asyncio.Event()
        """The model is being called."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._folder, name)

    def start(self, made_up: MadeUp = MADE_UP) -> Model[Any, Any]:
        """Load the model."""
        model = self._folder.start(made_up)
        assert methods.answering(type(model)) == "predict"
        predict = model.predict

        def fails_at_one(rows: list[Any]) -> list[Any]:
            self.loop.call_soon_threadsafe(self.is_called.set)
            assert self.is_free.wait(60)
            if any(self._is_it(row) for row in rows):
                raise ValueError("this row")
            found: list[Any] = predict(rows)
            return found

        model.predict = fails_at_one  # type: ignore[method-assign]
        return model

    def _is_it(self, row: Any) -> bool:
        return self.row is not None and all(
            _plain(getattr(row, name)) == _plain(value) for name, value in self.row.items()
        )


def _plain(value: Any) -> Any:
    """The value of a field, the same in every way to ask: an array as lists, a float as float32, NaN as null."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if not isinstance(value, float):
        return value
    return None if value != value else float(np.float32(value))


class Client(NamedTuple):
    """What one client does: when it asks, after how many turns of the loop it leaves, for which rows and how."""

    way: str
    rows: list[int]
    waits: int
    leaves: int | None


class Serving:
    """A running application of one format, and the rows that it is asked with the right answers to each alone."""

    def __init__(self, loop: Loop, case: Case, exact: bool, app: App, served: Failing) -> None:
        self.loop, self.app, self.served = loop, app, served
        self.ways = ways.Ways(app, served.manifest)
        self.within = (0.0, 0.0) if exact else (1e-5, 1e-5)
        self.rows = list(itertools.chain.from_iterable(zip(*_shapes(case, served.manifest.inputs), strict=True)))
        self.marked = len(self.rows) - 1
        """The row at which the model fails."""
        served.row = self.rows[self.marked][0]

    async def serve(self, clients: list[Client]) -> list[tuple[Client, Reply | None]]:
        """What each client gets; None if it has left."""
        replies = await asyncio.gather(*map(self._one, clients))
        return list(zip(clients, replies, strict=True))

    async def _one(self, client: Client) -> Reply | None:
        request = self.ways.request(client.way, [self.rows[place][0] for place in client.rows])
        for _ in range(client.waits):
            await asyncio.sleep(0)
        wire = Wire()
        leave = begin(self.app, request.path, request.body, request.headers, wire=wire)
        if leave is None:
            return Reply(*await ask(self.app, "POST", request.path, request.body, request.headers))
        if client.leaves is None:
            return Reply(*await wire.reply())
        for _ in range(client.leaves):
            await asyncio.sleep(0)
        leave()
        return None

    async def metric(self, name: str) -> float:
        """The value of the only series of this name."""
        text = (await ask(self.app, "GET", "/metrics")).body.decode()
        (line,) = [one for one in text.splitlines() if one.startswith(f"{name}{{")]
        return float(line.rpartition(" ")[2])

    async def until(self, name: str, value: float) -> None:
        """Wait until a metric has this value."""
        async with asyncio.timeout(30):
            while await self.metric(name) != value:
                await asyncio.sleep(0.001)

    def check(self, client: Client, reply: Reply | None) -> None:
        """Whether the client got its own answers, or the error of its own row."""
        if reply is None:
            return
        if self.marked in client.rows:
            assert reply.status == 500, reply.body
            return
        assert reply.status == 200, reply.body
        found = self.ways.answers(client.way, reply, len(client.rows))
        for place, answer in zip(client.rows, found, strict=True):
            own = self.ways.of_fields(self.rows[place][1])
            assert compare(own, answer, *self.within) is None, f"row {place}"


def _shapes(case: Case, inputs: Any) -> Iterator[list[tuple[dict[str, Any], dict[str, Any]]]]:
    """The rows with their answers; where a dimension of the inputs is open, in every length of it."""
    is_open = {one.name for one in inputs if -1 in one.shape[1:]}
    for length in range(1, LONGEST + 1) if is_open else (LONGEST,):
        rows = [
            {name: value[:length] if name in is_open else value for name, value in row.items()} for row in case.rows
        ]
        arrays = {name: array[:, :length] if name in is_open else array for name, array in case.arrays.items()}
        yield list(zip(rows, case._replace(rows=rows, arrays=arrays).alone(), strict=True))


@pytest.fixture(scope="module")
def loop() -> Iterator[Loop]:
    with running_loop("clients") as running:
        yield running


@pytest.fixture(scope="module", params=NAMES)
def serving(
    request: pytest.FixtureRequest, libraries: list[Path], loop: Loop, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serving]:
    library = request.param.partition("-")[0]
    if library in ("torch", "keras"):
        request.getfixturevalue(library)
    scratch = tmp_path_factory.mktemp("batched")
    case: Case = importlib.import_module(f"support.formats.{OF[library]}").case(request.param, scratch)
    manifest = {"name": "m", "version": "1.0.0", "batching": {"max_rows": MAX_ROWS}, **case.manifest}
    write_folder(scratch / "m", manifest, case.value, code=case.code, golden_inputs=case.rows)
    served, stack = Failing(load_folder(scratch / "m"), loop.loop), AsyncExitStack()
    app = loop.call(stack.enter_async_context(running(served, Settings())), LOADING_S)
    try:
        assert app.state.phase == "ready", app.state.reason
        yield Serving(loop, case, request.param.startswith(EXACT), app, served)
    finally:
        loop.call(stack.aclose())


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_client_gets_the_answers_that_its_rows_get_alone_whoever_leaves_or_fails(
    serving: Serving, data: st.DataObject
) -> None:
    places = st.integers(0, len(serving.rows) - 1)
    some = st.lists(places, min_size=1, max_size=2 * MAX_ROWS + 1)
    left = st.one_of(st.none(), st.none(), st.integers(0, 6))
    one = st.builds(Client, st.just("row"), places.map(lambda place: [place]), st.integers(0, 6), left)
    several = st.builds(Client, st.sampled_from(ways.HTTP[1:]), some, st.integers(0, 6), left)
    clients = data.draw(st.lists(st.one_of(one, several), min_size=1, max_size=10))
    for client, reply in serving.loop.call(serving.serve(clients), timeout_s=60):
        serving.check(client, reply)
    assert serving.app.plane.queued_memory == 0


def test_rows_of_several_clients_are_in_one_call_of_the_model(serving: Serving) -> None:
    """Else the test above would compare calls with one row. Rows of other shapes are in other calls, unless padded."""
    is_padded = any(one.padding for one in serving.served.manifest.inputs)
    clients = [Client("row", [place if is_padded else 0], 0, None) for place in range(MAX_ROWS - 1)]

    async def ask_while_the_model_is_busy() -> list[tuple[Client, Reply | None]]:
        serving.served.is_free.clear()
        serving.served.is_called.clear()
        busy = asyncio.create_task(serving.serve(clients[:1]))
        await serving.served.is_called.wait()
        waiting = asyncio.create_task(serving.serve(clients))
        await serving.until("fairlead_model_queue_rows", len(clients))
        serving.served.is_free.set()
        return [*await busy, *await waiting]

    before = serving.loop.call(serving.metric("fairlead_model_batch_rows_count"))
    for client, reply in serving.loop.call(ask_while_the_model_is_busy(), timeout_s=60):
        serving.check(client, reply)
    assert serving.loop.call(serving.metric("fairlead_model_batch_rows_count")) == before + 2
