"""`DataPlane`: loads the model and answers rows. All protocols call it."""

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
from fairlead.serving.formats.author_code import described
from fairlead.serving.inference import batching, contract, lifecycle, model_calls, warmup, workers
from fairlead.serving.observe import metrics
from fairlead.serving.settings import Settings

logger = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 30.0
"""How long to wait before an artifact that was missing or had another digest is read again: doubled each time."""


class Served(Protocol):
    """The model folder to serve: a `formats.folder.ModelFolder`, or an object of a test."""

    @property
    def manifest(self) -> Manifest:
        """The manifest of the folder."""

    @property
    def row_type(self) -> type[BaseModel]:
        """The strict row type."""

    @property
    def answer_type(self) -> type[BaseModel]:
        """The answer type."""

    @property
    def golden(self) -> Sequence[warmup.Golden]:
        """The golden rows."""

    def start(self) -> Model[Any, Any]:
        """Load the model. Slow, and may raise any exception."""


class DataPlane:
    """Loads the model on a worker thread, then queues, batches and answers requests."""

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
        self._retry: asyncio.TimerHandle | None = None
        self._pause_s = FIRST_PAUSE_S
        meter.queue_rows.set_function(lambda: self._batcher.queued_rows if self._batcher else 0)
        meter.queue_bytes.set_function(lambda: self._batcher.queued_bytes if self._batcher else 0)

    def start(self) -> None:
        """Start loading the model, on a worker thread that also calls it: some libraries bind objects to a thread."""
        loop = asyncio.get_running_loop()
        self._pool = workers.Threads(self._settings.threads, loop)
        self._pool.submit(lambda: self._load(loop), self._loaded)

    def close(self) -> None:
        """Stop the worker threads after their current jobs."""
        if self._retry is not None:
            self._retry.cancel()
        if self._pool is not None:
            self._pool.close()

    def submit(self, rows: Sequence[BaseModel], size: int, deadline: float | None) -> batching.Ticket:
        """Queue rows for the model. The ticket's future gets their answers, in the order of the rows.

        `size` is the size of the request in bytes, `deadline` a time of `clock`. Raises NotReady, Overloaded or
        DeadlineExceeded. The future may raise DeadlineExceeded or ModelFailed.
        """
        if self._batcher is None:
            raise errors.NotReady(self.state.reason)
        return self._batcher.submit(rows, size, deadline)

    def give_up(self, ticket: batching.Ticket) -> None:
        """Cancel a request whose client has disconnected. Rows that are not in a batch yet are dropped and counted."""
        if self._batcher is not None:
            self._batcher.give_up(ticket, "disconnected")

    def _load(self, loop: asyncio.AbstractEventLoop) -> _Started | BaseException:
        began = self.clock()
        try:
            model = self._served.start()
            loop.call_soon_threadsafe(self.state.enter, "warming", "the golden rows are being answered")
            compute = model_calls.compute(model, self.terms)
            manifest = self._served.manifest
            batchable = warmup.warm_up(
                compute,
                self.terms,
                self._served.golden,
                rtol=manifest.rtol,
                max_rows=manifest.batching.max_rows,
                idempotent=manifest.idempotent,
            )
        except BaseException as problem:  # not even sys.exit() may end the thread: /readyz would say "loading" for ever
            return problem
        return _Started(compute, batchable, self.clock() - began)

    def _loaded(self, result: _Started | BaseException) -> None:
        if isinstance(result, BaseException):
            self._failed(result)
            return
        assert self._pool is not None  # start() created the pool and submitted the job that ended with `result`
        configured = self._served.manifest.batching
        limits = batching.Limits(
            max_rows=configured.max_rows if result.batchable.allowed else 1,
            max_wait_s=configured.max_wait_ms / 1000 if result.batchable.allowed else 0,
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

    def _failed(self, cause: BaseException) -> None:
        is_our_error = isinstance(cause, errors.FairleadError) and cause.__cause__ is None
        message = described(cause)
        reason = f"the model cannot be served: {message}"
        if reason != self.state.reason:  # else another try failed as the one before
            # Our own error needs no traceback: its message is enough. Any other exception came from the author's code.
            logger.error("model failed to start", exc_info=None if is_our_error else cause, extra={"reason": message})
        self.state.enter("failed", reason)
        if isinstance(cause, errors.ArtifactRejected):
            self._try_again_later()

    def _try_again_later(self) -> None:
        """The folder may be restored while we run, and no restart follows: the process stays up to say why."""
        loop, pool = asyncio.get_running_loop(), self._pool
        assert pool is not None  # start() created it
        self._retry = loop.call_later(self._pause_s, lambda: pool.submit(lambda: self._load(loop), self._loaded))
        self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S)


class _Started:
    """The result of loading: the function that calls the model, whether it may batch, and the seconds it took."""

    __slots__ = ("batchable", "compute", "seconds")

    def __init__(self, compute: batching.Compute, batchable: warmup.Batchable, seconds: float) -> None:
        self.compute = compute
        self.batchable = batchable
        self.seconds = seconds
