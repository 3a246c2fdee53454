"""Runs work that asks a model made-up rows, and begins again without them if one does not return.

Nobody sent such rows, so a model that hangs on one may not keep its author from writing the folder. A thread cannot be
ended: the one that hangs is left behind, and ends with the script.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from fairlead.serving.formats.made_up_rows import MadeUp

T = TypeVar("T")
LIMIT_S = 60.0
"""Seconds that a call with made-up rows may take, as `call_timeout_s` of the service."""
logger = logging.getLogger(__name__)


def run(work: Callable[[MadeUp], T], limit_s: float = LIMIT_S) -> T:
    """What `work` returns. It says with its argument what it asks. Raises what it raises."""
    told: queue.SimpleQueue[str | Future[T]] = queue.SimpleQueue()
    is_left = threading.Event()

    def asking(what: str) -> None:
        if is_left.is_set():
            raise _Left
        told.put(what)

    threading.Thread(target=lambda: told.put(_outcome(work, MadeUp(asking=asking))), daemon=True).start()
    asked = ""
    while True:
        try:
            said = told.get(timeout=limit_s if asked else None)
        except queue.Empty:
            break
        if isinstance(said, Future):
            return said.result()
        asked = said
    is_left.set()
    reason = f"{asked} has not returned within {limit_s:g} s"
    logger.warning("%s: nothing that was made up is asked any more; a client may send such a row", reason)
    return work(MadeUp(skipped=reason))


class _Left(BaseException):
    """Nobody waits for the work any more."""


def _outcome(work: Callable[[MadeUp], T], made_up: MadeUp) -> Future[T]:
    ended: Future[T] = Future()
    try:
        ended.set_result(work(made_up))
    except BaseException as problem:
        ended.set_exception(problem)
    return ended
