"""A call that finds no memory is made again with half of its rows; what does not fit alone gets 503."""

from __future__ import annotations

import asyncio
import json
import sys
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead import errors
from fairlead.serving.formats import memory_errors
from fairlead.serving.inference.halving import GROW_S, Halving
from support.small_models import Adder, Point, Served, Sum, ask, running


class Device:
    """A model whose device has room for some rows in one call. A row is its own size."""

    def __init__(self, room: int) -> None:
        self.room, self.time = room, 0.0
        self.told: list[str] = []
        self.calls: list[int] = []
        self.halving = Halving(lambda: self.time, self.told.append)
        self.ask = self.halving.over(self._compute)

    def _compute(self, rows: list[int]) -> list[int]:
        self.calls.append(len(rows))
        if sum(rows) > self.room:
            raise errors.OutOfMemory("no memory")
        return [10 * row for row in rows]


def test_a_batch_is_halved_until_it_fits_and_later_calls_are_as_small() -> None:
    device = Device(room=3)
    assert device.ask([1] * 16) == [10] * 16
    assert device.calls == [16, 8, 4, *[2] * 8]
    device.calls.clear()
    assert device.ask([1] * 5) == [10] * 5
    assert (device.calls, device.told) == ([2, 2, 1], ["halved"] * 3)


def test_the_cap_doubles_after_each_minute_without_an_error_until_there_is_none() -> None:
    device = Device(room=2)
    device.ask([1] * 8)
    caps = []
    device.room = 100
    for _ in range(4):
        device.time += GROW_S
        device.ask([1] * 8)
        caps.append(device.halving.cap)
    assert caps == [4, 8, float("inf"), float("inf")]


def test_the_cap_does_not_grow_while_calls_run_out_of_memory() -> None:
    device = Device(room=2)
    for _ in range(5):
        device.time += GROW_S - 1
        device.ask([1] * 4)
        assert device.halving.cap == 2


def test_a_row_that_does_not_fit_alone_is_refused_and_leaves_the_cap() -> None:
    device = Device(room=4)
    with pytest.raises(errors.OutOfMemory, match="this row, even alone"):
        device.ask([5])
    assert (device.halving.cap, device.told) == (float("inf"), ["refused"])


@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=40), room=st.integers(6, 30), again=st.booleans())
def test_every_row_gets_its_own_answer_in_order(sizes: list[int], room: int, again: bool) -> None:
    device = Device(room)
    for _ in range(1 + again):
        assert device.ask(sizes) == [10 * size for size in sizes]


class TorchOutOfMemory(RuntimeError):
    """Stands for the class of PyTorch, which is not installed here."""


TorchOutOfMemory.__name__ = "OutOfMemoryError"


class Large(Adder):
    """Finds no memory for more rows than it has room for, nor for x = 99; raises as PyTorch does."""

    room = 100

    def predict(self, rows: list[Point]) -> list[Sum]:
        if len(rows) > self.room or any(row.x == 99 for row in rows):
            raise TorchOutOfMemory("CUDA out of memory. Tried to allocate 20.00 GiB")
        return super().predict(rows)


def test_a_service_answers_halved_batches_and_refuses_with_503_what_does_not_fit() -> None:
    model = Large()

    async def check() -> None:
        async with running(Served(lambda: model)) as app:
            model.room = 2
            reply = await ask(app, "POST", "/predict", json.dumps([{"x": x} for x in range(8)]).encode())
            assert [row["total"] for row in json.loads(reply.body)] == [float(x + 1) for x in range(8)]
            refused = await ask(app, "POST", "/predict", b'{"x": 99}')
            assert (refused.status, refused.headers["retry-after"]) == (503, "5")
            assert json.loads(refused.body)["type"] == "urn:fairlead:problem:out-of-memory"
            await asyncio.sleep(0)
            metrics = (await ask(app, "GET", "/metrics")).body.decode()
            for outcome, count in (("halved", 2), ("refused", 1)):
                line = (
                    f'fairlead_model_out_of_memory_total{{model="adder",outcome="{outcome}",version="1.2.0"}} {count}.0'
                )
                assert line in metrics

    asyncio.run(check())


def test_in_a_batch_only_the_request_that_does_not_fit_is_refused() -> None:
    async def check() -> None:
        async with running(Served(Large)) as app:
            bodies = [json.dumps({"x": x}).encode() for x in (1, 99, 2, 3, 4)]
            replies = await asyncio.gather(*(ask(app, "POST", "/predict", body) for body in bodies))
            assert [reply.status for reply in replies] == [200, 503, 200, 200, 200]

    asyncio.run(check())


@pytest.mark.parametrize(
    "problem",
    [
        MemoryError(),
        TorchOutOfMemory(),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : BFCArena::AllocateRawInternal"),
    ],
)
def test_every_library_s_error_of_memory_is_recognized(problem: Exception) -> None:
    assert isinstance(memory_errors.of(problem, 3), errors.OutOfMemory)


@pytest.mark.parametrize("problem", [ValueError("memory"), RuntimeError("shape"), KeyError("OutOfMemory")])
def test_any_other_error_is_not(problem: Exception) -> None:
    assert memory_errors.of(problem, 3) is None


def test_memory_that_pytorch_keeps_is_given_back_only_where_it_uses_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied: list[bool] = []
    for in_use in (True, False):
        cuda = SimpleNamespace(
            is_available=lambda: True,
            is_initialized=lambda in_use=in_use: in_use,
            empty_cache=lambda: emptied.append(True),
        )
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
        memory_errors.give_back()
    assert emptied == [True]
