"""One request in the queue (`Ticket`), and one call of the model for the rows of several requests (`Batch`)."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fairlead import errors
from fairlead.serving.formats.author_code import described
from fairlead.serving.observe import metrics

Compute = Callable[[list[Any]], list[Any]]


class Ticket:
    """One request in the batcher. `future` gets its answers, in the order of its rows, or an error."""

    __slots__ = (
        "admitted",
        "answers",
        "client_disconnected",
        "expiry",
        "future",
        "memory",
        "rows",
        "size",
        "taken",
        "unanswered",
    )

    def __init__(self, rows: Sequence[Any], size: int, admitted: float, future: asyncio.Future[list[Any]]) -> None:
        self.rows = rows
        self.size = size
        self.memory = 0  # of the rows of a large body, whose size is 0
        self.admitted = admitted
        self.future = future
        self.taken = 0  # rows already put into a batch
        self.unanswered = len(rows)  # rows that have no answer yet
        self.answers: list[Any] | None = None  # used only if the request is split
        self.expiry: asyncio.Handle | None = None
        self.client_disconnected = False  # set when the future is cancelled for that reason

    def answer(self, start: int, answers: list[Any]) -> None:
        """Store the answers of the rows from `start` on. When all rows have answers, set the future's result."""
        self.unanswered -= len(answers)
        if self.answers is None:
            if not self.unanswered:  # the common case: the whole request was in one batch
                self.future.set_result(answers)
                return
            self.answers = [None] * len(self.rows)
        self.answers[start : start + len(answers)] = answers
        if not self.unanswered:
            self.future.set_result(self.answers)


class Part(NamedTuple):
    """The rows of one request that are in one batch. `start` is the index of the first one in the request."""

    ticket: Ticket
    start: int
    rows: Sequence[Any]


Outcome = list[Any] | errors.FairleadError
"""The answers of a part, or its error."""


class Batch:
    """One call of the model on a worker thread. `outcomes` has the answers of each part, or its error."""

    __slots__ = (
        "_compute",
        "_meter",
        "_now",
        "began",
        "called",
        "count",
        "is_late",
        "outcomes",
        "parts",
        "seconds",
        "thread",
    )

    def __init__(self, parts: list[Part], compute: Compute, now: Callable[[], float], meter: metrics.Metrics) -> None:
        self.parts = parts
        self.count = sum([len(rows) for _, _, rows in parts])
        self.seconds = 0.0
        self.outcomes: list[Outcome] = []
        self.began = self.called = now()  # when the worker thread took it; when the model was called, set at each call
        self.thread: int | None = None
        self.is_late = False  # set by the event loop when the call exceeds its time limit
        self._compute = compute
        self._now = now
        self._meter = meter

    def run(self) -> Batch:
        """Call the model and set `outcomes`. Never raises."""
        self.thread = threading.get_ident()
        began = self.began = self._now()
        rows = self.parts[0].rows if len(self.parts) == 1 else [row for _, _, rows in self.parts for row in rows]
        answers = self._call(rows)
        if isinstance(answers, list):
            start, add = 0, self.outcomes.append
            for _, _, rows in self.parts:
                end = start + len(rows)
                add(answers[start:end])
                start = end
        elif len(self.parts) == 1:
            self.outcomes = [answers]
        else:
            self._call_each(answers)
        self.seconds = self._now() - began
        return self

    @property
    def process_ended(self) -> errors.FairleadError | None:
        """The error of the call in which the process that runs the model ended; None if it did not."""
        last = self.outcomes[-1]
        return last if isinstance(last, errors.ProcessEnded | errors.CallTimedOut) else None

    def stack(self) -> str:
        """The lines of code that its thread is executing now."""
        frame = sys._current_frames().get(self.thread or 0)
        return "".join(traceback.format_stack(frame)) if frame is not None else ""

    def _call_each(self, failure: Outcome) -> None:
        """Try each request alone, because one bad row must fail only its own request.

        Without a process there is nothing left to call, so the error that ended it is also that of the requests after.
        """
        for part in self.parts:
            if not isinstance(failure, errors.ProcessEnded | errors.CallTimedOut):
                failure = self._call(part.rows)
            self.outcomes.append(failure)

    def _call(self, rows: Sequence[Any]) -> Outcome:
        began = self.called = self._now()
        try:
            return self._compute(list(rows))
        except (errors.ModelFailed, errors.CallTimedOut, errors.OutOfMemory) as failure:
            return failure
        except BaseException as cause:  # not even sys.exit() in a model may end the thread: requests would hang
            raised = errors.ModelFailed(
                described(cause) if isinstance(cause, SystemExit) else f"the model's code raised {type(cause).__name__}"
            )
            raised.__cause__ = cause
            return raised
        finally:
            self._meter.batch_computed(len(rows), self._now() - began)


def late(method: str, limit_s: float, rows: int) -> str:
    """The sentence about a call of a method that exceeds its time limit."""
    return f"{method} has not returned within {limit_s:g} s (call_timeout_s); it was called with {counted(rows)}"


def counted(rows: int) -> str:
    """The number of rows, in words."""
    return f"{rows} row{'' if rows == 1 else 's'}"
