"""`DataPlane`: loads the model and answers rows. All protocols call it."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from pydantic import BaseModel

from fairlead import errors
from fairlead.contracts.instance import CANNOT_BE_SERVED
from fairlead.serving.formats.author_code import described, hint_of
from fairlead.serving.formats.made_up_rows import MadeUp
from fairlead.serving.inference import batching, contract, lifecycle, lines, runner, warmup, workers
from fairlead.serving.inference.batch import Batch
from fairlead.serving.inference.cache.front import Front
from fairlead.serving.inference.cache.keys import Keys
from fairlead.serving.inference.cache.response_cache import ResponseCache
from fairlead.serving.inference.halving import Halving, Outcome
from fairlead.serving.inference.places import Places
from fairlead.serving.inference.process.codec import Codec
from fairlead.serving.inference.process.messages import Origin
from fairlead.serving.inference.process.processes import Processes
from fairlead.serving.inference.served import Served, StartAgain
from fairlead.serving.observe import metrics
from fairlead.serving.settings import Settings

logger = logging.getLogger(__name__)

CHECK_S = 1.0
"""How often calls of the model, and its loading, are compared with their time limits."""
MADE_UP_HINT = (
    "golden rows (`golden_inputs` of write_folder) are asked instead if there are three; `idempotent: false` in the "
    "manifest forbids made-up ones"
)
FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 30.0
"""How long to wait before an artifact that was missing or had another digest is read again: doubled each time."""


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
        start_again: StartAgain,
        keep: Callable[[Batch], None] | None = None,
        keep_explained: Callable[[Batch], None] | None = None,
    ) -> None:
        """`keep` is given each batch that has ended, and `keep_explained` each explained request."""
        self.terms = terms
        self.state = state
        self.clock: Callable[[], float] = time.monotonic
        self._served = served
        self._settings = settings
        self._meter = meter
        self._keep, self._keep_explained = keep, keep_explained
        self._when_ready = when_ready
        self._pool: workers.Threads | None = None
        self._runner: runner.Runner | None = None
        self._batcher: batching.Batcher | None = None
        self._computing: batching.Batcher | None = None  # the batcher, while it has a place for calls
        self._front: Front | None = None
        self._accepting: batching.Batcher | Front | None = None  # what is in front of the batcher, in that time
        self._explainer: batching.Batcher | None = None  # of requests, each an item, on the threads of the batcher
        self._loop: asyncio.AbstractEventLoop
        self._cache = ResponseCache(served, terms, settings, meter, lambda: self.clock())
        self._retry: asyncio.TimerHandle | None = None
        self._check: asyncio.TimerHandle | None = None
        self._start_again = start_again
        self._skipped = start_again.skipped  # why no made-up row is asked
        self._asking: tuple[str, float] | None = None  # the made-up row that is asked now, and since when
        self._load_until = 0.0  # the time limit of the loading that is in progress
        self._pause_s = FIRST_PAUSE_S
        self._halving = Halving(lambda: self.clock(), self._out_of_memory)
        meter.queue_rows.set_function(lambda: sum(one.queued_rows for one in self._batchers))

    def start(self) -> None:
        """Start loading the model, on a worker thread that also calls it: some libraries bind objects to a thread."""
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._pool = workers.Threads(self._settings.threads, loop)
        self._begin_loading(loop)
        self._check_limits(loop)

    def close(self) -> None:
        """Stop the worker threads after their current jobs."""
        for timer in (self._retry, self._check):
            if timer is not None:
                timer.cancel()
        if self._runner is not None:
            self._runner.close()
        if self._pool is not None:
            self._pool.close()

    def check_spill(self) -> None:
        """Raise SpillRefused if a spilled request need not even be read."""
        if self._accepting is not None:
            self._accepting.check_spill()

    def submit(
        self,
        rows: Sequence[BaseModel],
        size: int,
        deadline: float | None,
        *,
        spilled: bool = False,
        compared: bytes = b"",
    ) -> batching.Ticket:
        """Queue rows for the model. The ticket's future gets their answers, in the order of the rows.

        `size` is the bytes of their JSON; 0, if `SideThread` bounds their memory. `deadline` is a time of `clock`.
        `compared`, if not empty: versions are compared by what their models do, so the model answers, and no cache.
        Raises NotReady, Overloaded or DeadlineExceeded. The future may raise DeadlineExceeded, CallTimedOut, NotReady,
        ModelFailed, OutOfMemory or SpillRefused.
        """
        accepting = self._computing if compared else self._accepting
        if accepting is None:
            raise errors.NotReady(self.state.reason)
        return accepting.submit(rows, size, deadline, spilled)

    def explain(
        self,
        rows: Sequence[BaseModel],
        size: int,
        deadline: float | None,
        *,
        spilled: bool = False,
        compared: bytes = b"",  # noqa: ARG002 - explanations are not kept, whoever asks
    ) -> batching.Ticket:
        """Queue a request to explain. The ticket's future gets a list of one element: the explanations as JSON.

        Raises as `submit`.
        """
        if self._accepting is None or self._explainer is None:
            raise errors.NotReady(self.state.reason)
        return self._explainer.submit([rows], size, deadline, spilled)

    def give_up_explanation(self, ticket: batching.Ticket) -> None:
        """As `give_up`, for a ticket of `explain`."""
        if self._explainer is not None:
            self._explainer.give_up(ticket, "disconnected")

    @property
    def keys(self) -> Keys | None:
        """Makes the keys of the response cache; None if there will be none."""
        return self._cache.keys

    @property
    def _batchers(self) -> list[batching.Batcher]:
        return [one for one in (self._batcher, self._explainer) if one is not None]

    @property
    def queued_memory(self) -> int:
        """The most bytes that the rows in the queue need, without those of large bodies."""
        return sum(one.queued_bytes for one in self._batchers) * self.terms.memory.per_byte

    def dropped(self, reason: str) -> None:
        """Count a request that was dropped before its rows were known."""
        self._meter.request_dropped(reason, 0)

    def give_up(self, ticket: batching.Ticket) -> None:
        """Cancel a request whose client has disconnected. Rows that are not in a batch yet are dropped and counted."""
        if self._front is not None:
            self._front.give_up(ticket, "disconnected")
        elif self._batcher is not None:
            self._batcher.give_up(ticket, "disconnected")

    def places_changed(self) -> None:
        """Enter the phase that follows from the places for calls. Called by the batcher."""
        batcher = self._batcher
        if batcher is None:  # the model has failed meanwhile
            return
        if batcher.failure is not None:
            self._batcher = self._front = None
            self._accept(has_place=False)
            self._failed(batcher.failure)
            return
        if hanging := next((one for one in self._batchers if one.hanging), None):
            extra = {"reason": hanging.hanging, "stack": hanging.stacks()}
            logger.error("a call of the model hangs; liveness fails until it returns", extra=extra)
            self.state.enter("hanging", hanging.hanging)
        elif batcher.replacing:
            self._load_until = self.clock() + self._settings.load_timeout_s
            logger.error("the model's process ended", extra={"reason": batcher.replacing})
            self.state.enter("loading", batcher.replacing)
        else:
            logger.warning("ready again")
            self.state.enter("ready", "ready")
        self._accept(has_place=batcher.has_place)

    def _accept(self, *, has_place: bool) -> None:
        """Take requests from now on, or none."""
        self._computing = self._batcher if has_place else None
        self._accepting = (self._front or self._batcher) if has_place else None

    def replace_process(self) -> BaseException | None:
        """Start another process for the model. Called by the batcher on a worker thread."""
        assert self._runner is not None  # a call of the model has ended
        try:
            self._runner.replace()
        except BaseException as problem:  # as in _load
            return problem
        return None

    def _check_limits(self, loop: asyncio.AbstractEventLoop) -> None:
        for batcher in self._batchers:
            batcher.check_calls()
        if self._asking is not None and self.clock() - self._asking[1] > self._settings.call_timeout_s:
            self._give_up_made_up(self._asking[0])
        if self.state.phase in ("loading", "warming") and self.clock() > self._load_until:
            self._load_until = math.inf
            limit = f"this has not ended within {self._settings.load_timeout_s:g} s (load_timeout_s)"
            self.state.enter(self.state.phase, f"{self.state.reason}; {limit}")
            logger.error("loading takes too long", extra={"reason": self.state.reason})
        self._check = loop.call_later(min(CHECK_S, self._settings.call_timeout_s / 4), self._check_limits, loop)

    def _give_up_made_up(self, asked: str) -> None:
        """Start again, without rows that nobody sent: the thread of the call cannot be ended, only the process can."""
        self._asking = None
        reason = warmup.not_returned(asked, self._settings.call_timeout_s)
        logger.warning(
            "a row that the service made up keeps the model from getting ready; it starts again without such rows",
            extra={"reason": reason, "hint": MADE_UP_HINT},
        )
        self._start_again.now(reason)

    def _made_up(self) -> MadeUp:
        return MadeUp(self._skipped, self._ask)

    def _ask(self, asked: str) -> None:
        assert self._runner is not None  # it calls the model
        self._asking = (asked, self.clock()) if asked and not self._runner.limits_calls else None

    def _out_of_memory(self, outcome: Outcome) -> None:
        """A call ran out of memory. Called on worker threads."""
        logger.warning(
            "a call of the model ran out of memory", extra={"outcome": outcome, "max_rows": self._halving.cap}
        )
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._meter.out_of_memory, outcome)

    def _begin_loading(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._pool is not None  # start() created it
        self._load_until = self.clock() + self._settings.load_timeout_s
        self._pool.submit(lambda: self._load(loop), self._loaded)

    def _load(self, loop: asyncio.AbstractEventLoop) -> _Started | BaseException:
        began = self.clock()
        try:
            self._runner = self._new_runner()
            batchable = self._runner.start(lambda compute: self._warm_up(compute, loop))
        except BaseException as problem:  # not even sys.exit() may end the thread: /readyz would say "loading" for ever
            return problem
        return _Started(self._runner, batchable, self.clock() - began)

    def _new_runner(self) -> runner.Runner:
        served, terms = self._served, self.terms
        if served.manifest.isolation == "thread":
            return runner.InThreads(partial(served.start, self._made_up()), terms)
        origin, written = (
            Origin(served.folder, served.package, served.copy),
            Codec(served.package, terms.row_type, terms.answer_type),
        )
        return Processes(origin, self._settings, written)

    def _warm_up(self, compute: batching.Compute, loop: asyncio.AbstractEventLoop) -> warmup.Batchable:
        loop.call_soon_threadsafe(self.state.enter, "warming", "the golden rows are being answered")
        manifest = self._served.manifest
        try:
            batchable = warmup.warm_up(
                self._halving.over(compute),
                self.terms,
                self._served.golden,
                **manifest.tolerance._asdict(),
                max_rows=manifest.batching.max_rows,
                idempotent=manifest.idempotent,
                made_up=self._made_up(),
            )
        except warmup.EndedByMadeUpRow as problem:
            self._skipped = problem.message
            raise
        self._cache.ask_twice(compute)
        return batchable

    def _loaded(self, result: _Started | BaseException) -> None:
        if isinstance(result, BaseException):
            self._failed(result)
            return
        assert self._pool is not None  # start() created the pool and submitted the job that ended with `result`
        configured, settings, memory = self._served.manifest.batching, self._settings, self.terms.memory
        limits = batching.Limits(
            max_rows=configured.max_rows if result.batchable.allowed else 1,
            max_wait_s=configured.max_wait_ms / 1000 if result.batchable.allowed else 0,
            queue_rows=min(settings.queue_rows, max(settings.max_request_rows, settings.queue_bytes // memory.row)),
            queue_bytes=settings.queue_bytes // memory.per_byte,
            call_s=math.inf if result.runner.limits_calls else settings.call_timeout_s,
            spill_share=settings.spill_share,
        )
        common: dict[str, Any] = dict(
            pool=self._pool,
            places=Places(self._pool.count),
            loop=asyncio.get_running_loop(),
            clock=self.clock,
            meter=self._meter,
            owner=self,
        )
        compute = self._halving.over(result.runner.compute)
        self._batcher = self._batcher_of_rows()(compute, limits=limits, keep=self._keep, **common)
        if result.runner.explain is not None:  # one request a call: nothing has shown that it may be batched
            alone = replace(limits, max_rows=1, max_wait_s=0)
            self._explainer = batching.Batcher(
                result.runner.explain, limits=alone, keep=self._keep_explained, method="explain", **common
            )
        self._front = self._cache.front_of(self._batcher, self._keep)
        self._accept(has_place=True)
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

    def _batcher_of_rows(self) -> Callable[..., batching.Batcher]:
        """With lines only where requests differ in more than when they came."""
        manifest = self._served.manifest
        of, levels = lines.line_of(manifest), manifest.batching.priorities
        if of is None and levels == 1:
            return batching.Batcher
        return partial(lines.OrderedBatcher, of=of, levels=levels)

    def _failed(self, cause: BaseException) -> None:
        is_our_error = isinstance(cause, errors.FairleadError) and cause.__cause__ is None
        message = described(cause)
        is_tried_again = isinstance(cause, errors.ArtifactRejected)
        reason = f"{CANNOT_BE_SERVED}{message}"
        if reason != self.state.reason:  # else another try failed as the one before
            # Our own error needs no traceback: its message is enough. Any other exception came from the author's code.
            extra = {"reason": message} | ({"hint": hint} if (hint := hint_of(cause)) else {})
            logger.error("model failed to start", exc_info=None if is_our_error else cause, extra=extra)
        self.state.enter("failed", reason, for_good=not is_tried_again)
        if self._runner is not None:
            self._runner.close()
        if is_tried_again:
            self._try_again_later()

    def _try_again_later(self) -> None:
        """The folder may be restored while we run, and no restart follows: the process stays up to say why."""
        loop = asyncio.get_running_loop()
        self._retry = loop.call_later(self._pause_s, self._begin_loading, loop)
        self._pause_s = min(2 * self._pause_s, MAX_PAUSE_S)


class _Started:
    """The result of loading: what calls the model, whether it may batch, and the seconds it took."""

    __slots__ = ("batchable", "runner", "seconds")

    def __init__(self, started: runner.Runner, batchable: warmup.Batchable, seconds: float) -> None:
        self.runner = started
        self.batchable = batchable
        self.seconds = seconds
