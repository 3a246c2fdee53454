"""`Calls`: what is the same for every call: request id, deadline, errors as statuses, and metrics."""

from __future__ import annotations

import asyncio
import logging
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import grpc

from fairlead.contracts import grpc as contract
from fairlead.serving import problems
from fairlead.serving.inference.batch import Ticket
from fairlead.serving.observe import metrics
from fairlead.serving.observe.problem_counts import ProblemCounts
from fairlead.serving.observe.recording import Answered, Recorder

PROTOCOL = "grpc"
"""The label of predictions in the metrics. Their label `code` has the HTTP status of the same error."""
OTHER = "other"
PREDICTS = "ModelInfer"
CLIENT_CLOSED_REQUEST, TOO_LATE = 499, 504
REQUEST_ID = "x-request-id"
"""Trailing metadata: the id in the log."""
_by_number: Mapping[int, grpc.StatusCode] = {code.value[0]: code for code in grpc.StatusCode}
CODES: Mapping[int, grpc.StatusCode] = MappingProxyType(
    {status: _by_number[code] for status, code in contract.CODES.items()}
)
"""The code for the HTTP status of each error."""
_RETRY_AFTER = b"retry-after"
_valid_id = re.compile(r"[\x21-\x7e]{1,128}").fullmatch

logger = logging.getLogger(__name__)


class Calls:
    """Runs the calls of one service."""

    def __init__(
        self,
        identity: Mapping[str, str],
        clock: Callable[[], float],
        meter: metrics.Metrics,
        problem_counts: ProblemCounts,
        recorder: Recorder | None = None,
    ) -> None:
        """`identity` is in the trailing metadata of every response. `recorder` keeps a share of the predictions."""
        self._identity = tuple(identity.items())
        self._clock = clock
        self._meter = meter
        self._problem_counts = problem_counts
        self._recorder = recorder
        self.in_flight = 0
        """Predictions that are being answered."""

    async def run(self, name: str, answer: Callable[[Call], Awaitable[bytes]], context: Any) -> bytes:
        """Answer one call of the method `name`. Ends the call with the status of the error that is raised."""
        left = context.time_remaining()
        deadline = None if left is None else self._clock() + left
        timer = Call(self, name, _request_id(context), deadline)
        context.set_trailing_metadata((*self._identity, (REQUEST_ID, timer.request_id)))
        try:
            reply = await answer(timer)
            timer.status = 200
            return reply
        except asyncio.CancelledError:
            if deadline is not None and self._clock() >= deadline:
                timer.status = TOO_LATE
            raise
        except Exception as error:
            problem = problems.of(error)
            timer.status, timer.reason = problem.status, problem.detail
            self._tell(timer, error, problem)
            # abort() raises another error, which keeps this one; the frames of its traceback have the message.
            error.__traceback__ = error.__context__ = None
            await context.abort(
                CODES[problem.status], problem.text(contract.MAX_TEXT), self._trailing(problem, timer.request_id)
            )
            raise  # abort() has raised already
        finally:
            timer.stop()

    def begin(self, protocol: str) -> None:
        """A call has begun."""
        self.in_flight += protocol == PROTOCOL

    def end(self, call: Call, seconds: float) -> None:
        """Count a call that has ended, and record it if it is chosen."""
        self.in_flight -= call.protocol == PROTOCOL
        self._meter.request_answered(call.protocol, call.status, seconds)
        recorder, ticket, request_id = self._recorder, call.ticket, call.request_id.encode()
        if recorder is None or ticket is None or not recorder.takes(request_id):
            return
        answers = ticket.future.result() if call.status == 200 else None
        recorder.add(Answered(request_id, b"", b"", PROTOCOL, False, call.status, seconds, call.rows, answers), ticket)

    def _tell(self, timer: Call, error: Exception, problem: problems.Problem) -> None:
        if timer.protocol == PROTOCOL:
            self._problem_counts.add(problem.status, problems.without_input(error, problem))
        if problem.status == 500:
            logger.error("request failed: %s", error, exc_info=error, extra={"request_id": timer.request_id})

    def _trailing(self, problem: problems.Problem, request_id: str) -> tuple[tuple[str, str], ...]:
        retry = [("retry-after", value.decode()) for name, value in problem.headers if name == _RETRY_AFTER]
        return (*self._identity, (REQUEST_ID, request_id), (contract.KIND, problem.kind), *retry)


class Call:
    """One call: measures it, and logs it at the level `debug`.

    `deadline` is a time of the data plane's clock, or None.
    """

    __slots__ = (
        "_began",
        "_calls",
        "_name",
        "deadline",
        "protocol",
        "reason",
        "request_id",
        "rows",
        "status",
        "ticket",
    )

    def __init__(self, calls: Calls, name: str, request_id: str, deadline: float | None) -> None:
        self.deadline = deadline
        self.ticket: Ticket | None = None
        self.rows: Sequence[Any] = ()
        self._calls = calls
        self._name = name
        self._began = time.perf_counter()
        self.protocol = PROTOCOL if name == PREDICTS else OTHER
        self.request_id = request_id
        self.status = CLIENT_CLOSED_REQUEST
        self.reason = ""
        calls.begin(self.protocol)

    def queued(self, ticket: Ticket) -> None:
        """Its rows are in the queue."""
        self.ticket, self.rows = ticket, ticket.rows  # a ticket that fails lets go of them

    def stop(self) -> None:
        """Count the call as ended with this status."""
        seconds = time.perf_counter() - self._began
        self._calls.end(self, seconds)
        self.ticket, self.rows = None, ()  # what raised an error may keep this
        if logger.isEnabledFor(logging.DEBUG):
            line = {"method": self._name, "status": self.status, "ms": round(seconds * 1000, 1)}
            line |= {"request_id": self.request_id} | ({"reason": self.reason} if self.reason else {})
            logger.debug("request", extra=line)


def _request_id(context: Any) -> str:
    """The id that the client gave, or another."""
    for name, value in context.invocation_metadata() or ():
        if name == REQUEST_ID and isinstance(value, str) and _valid_id(value):
            return value
    return f"{random.getrandbits(128):032x}"
