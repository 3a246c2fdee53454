"""The fast path: answers a completely received prediction request without an asyncio task.

An ASGI call costs a task, an event and half a dozen coroutines: a third of the total cost of a small prediction. Here
the request is decoded and queued in the callback that received it, and the response is written in the callback that
gets the model's answers. It uses the same parts as the ASGI path (`endpoint`, `exchange`), so both give the same
response, byte for byte. These requests are left to the ASGI path: the body is incomplete, large, compressed,
binary in part or a message of gRPC, there is a deadline, the connection closes after the response, or the service
drains.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from fairlead.serving.http import dispatch, endpoint, exchange
from fairlead.serving.http.body import JSON_TYPES
from fairlead.serving.http.grpc_calls import CONTENT_TYPE as GRPC
from fairlead.serving.inference.answer_limit import SLICE_ROWS
from fairlead.serving.inference.batching import Ticket
from fairlead.serving.open_inference.binary_form import HEADER, Mixed


class Reply(Protocol):
    """Sends the response to one request. The connection implements it."""

    @property
    def send(self) -> exchange.Send:
        """Sends a response as ASGI messages."""

    def write_response(self, head: bytes, body: bytes, timer: exchange.RequestTimer) -> bool:
        """Stop `timer`, and send a 200 in one write; `head` has the headers. False if `send` must be used instead.

        In this order: who has read the response finds it counted, even if this process is killed in this moment.
        """

    def start_task(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as a task."""


class FastPath:
    """Answers predictions without a task. Call it on the event loop only."""

    def __init__(self, envelope: exchange.Envelope, dispatcher: dispatch.Dispatcher) -> None:
        self._envelope = envelope
        self._dispatcher = dispatcher

    def begin(self, scope: exchange.Scope, body: bytes, reply: Reply) -> Callable[[], None] | None:
        """Begin a request whose body is complete. Returns the function to call if its client disconnects.

        Returns None, without side effects, if the request must take the ASGI path.
        """
        target = self._dispatcher.endpoint(scope)
        if target is None or self._envelope.state.draining or len(body) > target.small_bytes:
            return None
        request = exchange.Exchange(self._envelope, scope, reply.send)
        if request.deadline_ms or request.content_encoding or request.content_type == GRPC or HEADER in request.headers:
            return None
        return _Prediction(self._envelope.begin(scope, request), target, request, reply).start(body)


class _Prediction:
    """One request on the fast path, from its body to its response."""

    __slots__ = ("_encode", "_endpoint", "_reply", "_request", "_ticket", "_timer")

    _encode: endpoint.Encode
    _ticket: Ticket

    def __init__(
        self, timer: exchange.RequestTimer, target: endpoint.Endpoint, request: exchange.Exchange, reply: Reply
    ) -> None:
        self._timer = timer
        self._endpoint = target
        self._request = request
        self._reply = reply

    def start(self, body: bytes) -> Callable[[], None]:
        """Decode and queue the request. Returns the function to call if the client disconnects."""
        try:
            request, spilled = self._request, False
            # Nothing else that `check` looks at can be wrong, or say that the request is spilled.
            if request.keep_answer or request.content_type not in JSON_TYPES:
                spilled = self._endpoint.check(request)
            self._ticket, self._encode = self._endpoint.admit(body, spilled=spilled, compared=request.keep_answer)
            if request.when_queued is not None:
                request.when_queued(self._ticket)
        except Exception as error:
            self._reply.start_task(self._send_problem(error))
            return _do_nothing
        self._ticket.future.add_done_callback(self._finish)
        return self._give_up

    def _give_up(self) -> None:
        if not self._ticket.future.done():
            self._endpoint.give_up(self._ticket)

    def _finish(self, future: asyncio.Future[list[Any]]) -> None:
        if future.cancelled():  # the client has disconnected
            self._timer.stop(exchange.CLIENT_CLOSED_REQUEST)
            return
        try:
            answers = future.result()
            if len(answers) > SLICE_ROWS:
                self._reply.start_task(self._send_many(answers))
                return
            payload = self._encode(answers)
        except Exception as error:
            self._reply.start_task(self._send_problem(error))
            return
        if not (
            isinstance(payload, bytes)
            and (head := self._request.success_head(payload)) is not None
            and self._reply.write_response(head, payload, self._timer)
        ):
            self._reply.start_task(self._send_answer(payload))
        if self._request.keep_answer:
            self._endpoint.record_answer(self._request, 200, answers)

    async def _send_answer(self, payload: bytes | Mixed) -> None:
        await self._request.send_answer(payload, self._request.send)
        self._timer.stop(self._request.status)

    async def _send_many(self, answers: list[Any]) -> None:
        try:
            payload = await self._endpoint.encoded(self._encode, answers)
        except Exception as error:
            await self._send_problem(error)
            return
        await self._send_answer(payload)
        if self._request.keep_answer:
            self._endpoint.record_answer(self._request, 200, answers)

    async def _send_problem(self, error: Exception) -> None:
        await self._request.send_problem(error, self._request.send)
        self._timer.stop(self._request.status)
        if self._request.keep_answer:
            self._endpoint.record_answer(self._request, self._request.status)


def _do_nothing() -> None:
    """Returned for a request that was answered with an error: there is nothing to cancel."""
