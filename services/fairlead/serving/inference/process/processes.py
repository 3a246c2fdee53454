"""The processes of a model: as many as the service has worker threads, each with the whole model."""

from __future__ import annotations

import logging
import queue
import threading
from typing import Any

from fairlead import errors
from fairlead.serving.inference import runner, warmup
from fairlead.serving.inference.process import codec, messages
from fairlead.serving.inference.process.parent import ModelProcess
from fairlead.serving.settings import Settings

TRIES = 3
"""How many processes in a row may end while they load the model or answer the golden rows."""
logger = logging.getLogger(__name__)


class Processes:
    """Calls the model in a free process. A process that has ended is not free again: `replace` starts another.

    Call `compute` from at most as many threads as there are processes.
    """

    limits_calls = True
    explain = None  # `formats.folder` refuses a model that explains here

    def __init__(self, origin: messages.Origin, settings: Settings, written: codec.Codec) -> None:
        self._start = origin, settings, written
        self._warm_up: runner.WarmUp
        self._count = settings.threads
        self._free: queue.SimpleQueue[ModelProcess] = queue.SimpleQueue()
        self._running: set[ModelProcess] = set()
        self._lock = threading.Lock()
        self._closed = False

    def start(self, warm_up: runner.WarmUp) -> warmup.Batchable:
        """Start all processes, which load the model at the same time, and warm each of them up.

        Raises ProcessEnded when TRIES processes in a row have ended, or what loading and `warm_up` raise.
        """
        self._warm_up = warm_up
        begun = [self._begin() for _ in range(self._count)]
        try:
            found = [self._finish(process) for process in begun]
        except BaseException:
            for process in begun:
                self._drop(process)
            raise
        return next((batchable for batchable in found if not batchable.allowed), found[0])

    def replace(self) -> None:
        """Start a process in place of one that has ended. Raises as `start`."""
        self._finish(self._begin())

    def compute(self, rows: list[Any]) -> list[Any]:
        """The model's answers, from a free process. Raises ModelFailed, ProcessEnded or CallTimedOut."""
        process = self._free.get()
        try:
            return process.call(rows)
        finally:
            if process.has_ended:
                self._drop(process)
            else:
                self._free.put(process)

    def close(self) -> None:
        """End all processes. Calls in progress raise ProcessEnded, and `replace` raises Unavailable."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, set()
        for process in running:
            process.kill()
        while not self._free.empty():
            self._free.get().close()

    def _begin(self) -> ModelProcess:
        with self._lock:
            if self._closed:
                raise errors.Unavailable("the service is stopping")
            process = ModelProcess(*self._start)
            self._running.add(process)
        return process

    def _finish(self, process: ModelProcess) -> warmup.Batchable:
        """Wait for a process that has been started and warm it up. Another one is started if it ends meanwhile."""
        for _ in range(TRIES - 1):
            try:
                return self._loaded(process)
            except BaseException as problem:
                if not process.has_ended:
                    raise
                logger.error("the model's process ended and is started again", extra={"reason": str(problem)})
            process = self._begin()
        return self._loaded(process)

    def _loaded(self, process: ModelProcess) -> warmup.Batchable:
        try:
            process.wait_loaded()
            warmed = self._warm_up(process.call)
            if process.has_ended:  # `warm_up` takes a failed batch of golden rows as a reason not to batch
                raise errors.ProcessEnded("the model's process ended in a call with several golden rows")
        except BaseException:
            self._drop(process)
            raise
        self._free.put(process)
        logger.info("the model's process is ready", extra={"pid": process.pid})
        return warmed

    def _drop(self, process: ModelProcess) -> None:
        with self._lock:
            self._running.discard(process)
        process.close()
