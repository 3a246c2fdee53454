"""The one object that every protocol calls: rows in, answers out, whatever carried them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from pydantic import BaseModel

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.model import Model
from fairlead.serving.inference import batching, contract, lifecycle, model_calls, warmup, workers
from fairlead.serving.observe import metrics
from fairlead.serving.settings import Settings

logger = logging.getLogger(__name__)


class Served(Protocol):
    """What is served: `formats.folder.Loaded`, or a test's own."""

    @property
    def manifest(self) -> Manifest:
        """What the folder says about itself."""

    @property
    def row_type(self) -> type[BaseModel]:
        """What a row is, strictly."""

    @property
    def answer_type(self) -> type[BaseModel]:
        """What an answer is."""

    @property
    def golden(self) -> Sequence[warmup.Golden]:
        """Rows whose answers are known."""

    def start(self) -> Model[Any, Any]:
        """The model, loaded; slow, and may raise anything."""


class DataPlane:
    """Loads the model beside the event loop, then queues, batches and answers."""

    def __init__(
        self,
        served: Served,
        terms: contract.Contract,
        state: lifecycle.Lifecycle,
        settings: Settings,
        meter: metrics.Metrics,
        when_ready: Callable[[], None],
    ) -> None:
        self.terms = terms
        self.state = state
        self.clock: Callable[[], float] = time.monotonic
        self._served = served
        self._settings = settings
        self._meter = meter
        self._when_ready = when_ready
        self._pool: workers.Threads | None = None
        self._batcher: batching.Batcher | None = None
        meter.queue_rows.set_function(lambda: self._batcher.queued_rows if self._batcher else 0)
        meter.queue_bytes.set_function(lambda: self._batcher.queued_bytes if self._batcher else 0)

    def start(self) -> None:
        """Begin to load, on the thread that will also call the model: some libraries tie what they load to it."""
        loop = asyncio.get_running_loop()
        self._pool = workers.Threads(self._settings.threads, loop)
        self._pool.submit(lambda: self._load(loop), self._loaded)

    def close(self) -> None:
        """Let the worker threads end."""
        if self._pool is not None:
            self._pool.close()

    def submit(self, rows: Sequence[BaseModel], size: int, deadline: float | None) -> batching.Ticket:
        """Queue rows for the model; the ticket's future ends with their answers, in order.

        `size` is the request's bytes, `deadline` a time of `clock`. Raises NotReady, Overloaded or DeadlineExceeded;
        the future, DeadlineExceeded or ModelFailed.
        """
        if self._batcher is None:
            raise errors.NotReady(self.state.reason)
        return self._batcher.submit(rows, size, deadline)

    def give_up(self, ticket: batching.Ticket) -> None:
        """Nobody waits for this ticket any more: what has not begun of it is dropped, and counted."""
        if self._batcher is not None:
            self._batcher.give_up(ticket, "disconnected")

    def _load(self, loop: asyncio.AbstractEventLoop) -> _Started | Exception:
        began = self.clock()
        try:
            model = self._served.start()
            loop.call_soon_threadsafe(self.state.enter, "warming", "the golden rows are being answered")
            compute = model_calls.compute(model, self.terms)
            manifest = self._served.manifest
            batchable = warmup.warm_up(
                compute, self.terms, self._served.golden, rtol=manifest.rtol, max_rows=manifest.batching.max_rows
            )
        except Exception as problem:  # anything the author's code does is a reason not to be ready, not to crash
            return problem
        return _Started(compute, batchable, self.clock() - began)

    def _loaded(self, result: _Started | Exception) -> None:
        if isinstance(result, Exception):
            self._failed(result)
            return
        assert self._pool is not None  # start() made it and submitted the job whose result this is
        asked = self._served.manifest.batching
        limits = batching.Limits(
            max_rows=asked.max_rows if result.batchable.allowed else 1,
            max_wait_s=asked.max_wait_ms / 1000 if result.batchable.allowed else 0,
            queue_rows=self._settings.queue_rows,
            queue_bytes=self._settings.queue_bytes,
        )
        self._batcher = batching.Batcher(
            result.compute, self._pool, limits, loop=asyncio.get_running_loop(), clock=self.clock, meter=self._meter
        )
        self._meter.batching_decided(result.batchable.allowed, result.batchable.reason)
        self._meter.loaded(result.seconds)
        logger.log(
            logging.INFO if result.batchable.allowed or result.batchable.reason == "manifest" else logging.WARNING,
            "batching is on" if result.batchable.allowed else "batching is off",
            extra={"reason": result.batchable.reason, "detail": result.batchable.detail, "max_rows": limits.max_rows},
        )
        self._when_ready()
        self.state.enter("ready", "ready")
        logger.info("ready", extra={"seconds": round(result.seconds, 3), "golden_rows": len(self._served.golden)})

    def _failed(self, cause: Exception) -> None:
        refused = isinstance(cause, errors.FairleadError) and cause.__cause__ is None
        message = cause.message if isinstance(cause, errors.FairleadError) else f"{type(cause).__name__}: {cause}"
        self.state.enter("failed", f"the model cannot be served: {message}")
        # A refusal of ours is a sentence and no crash; anything else came from somewhere in the author's code.
        logger.error("model failed to start", exc_info=None if refused else cause, extra={"reason": message})


class _Started:
    """What loading gave: how to call the model, whether in batches, and how long it took."""

    __slots__ = ("batchable", "compute", "seconds")

    def __init__(self, compute: batching.Compute, batchable: warmup.Batchable, seconds: float) -> None:
        self.compute = compute
        self.batchable = batchable
        self.seconds = seconds
