"""The short way: a prediction whose request is all here, and asks for nothing unusual, without a task of its own.

An ASGI call costs a task, an event and half a dozen coroutines: a third of what a small prediction takes in all. Here
the request is decoded and queued where it was read, and its answer is written where the model's answer arrives. The
parts are those of the ASGI way (`endpoint`, `exchange`), so both give the same bytes. Whatever is unusual is not taken:
a body still on its way, a deadline, a connection that is to close, a service that drains.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from fairlead.serving.http import dispatch, endpoint, exchange
from fairlead.serving.inference.batching import Ticket


class Reply(Protocol):
    """How one request is answered; its connection gives it."""

    @property
    def send(self) -> exchange.Send:
        """For an answer in ASGI's messages."""

    def write_response(self, head: bytes, body: bytes) -> bool:
        """Send a 200 in one piece, `head` without its status line. False where it must go by messages."""

    def start_task(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that may wait."""


class FastPath:
    """Takes predictions on the short way. Event loop only."""

    def __init__(self, envelope: exchange.Envelope, dispatcher: dispatch.Dispatcher) -> None:
        self._envelope = envelope
        self._dispatcher = dispatcher

    def begin(self, scope: exchange.Scope, body: bytes, reply: Reply) -> Callable[[], None] | None:
        """Take a request whose body is all here; the function to call where its client leaves.

        None, and nothing has happened, where it must go by ASGI.
        """
        target = self._dispatcher.endpoint(scope)
        if target is None or self._envelope.state.draining or len(body) > target.max_body_bytes:
            return None
        request = exchange.Exchange(self._envelope, scope, reply.send)
        if request.deadline_ms:
            return None
        return _Prediction(self._envelope.begin(scope), target, request, reply).start(body)


class _Prediction:
    """One request on the short way, from its body to its answer."""

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
        """Decode and queue; what to do where the client leaves."""
        try:
            self._endpoint.check(self._request)
            self._ticket, self._encode = self._endpoint.admit(body)
        except Exception as error:
            self._reply.start_task(self._send_problem(error))
            return _do_nothing
        self._ticket.future.add_done_callback(self._finish)
        return self._give_up

    def _give_up(self) -> None:
        if not self._ticket.future.done():
            self._endpoint.give_up(self._ticket)

    def _finish(self, future: asyncio.Future[list[Any]]) -> None:
        if future.cancelled():  # the client has left
            self._timer.stop(exchange.CLIENT_CLOSED_REQUEST)
            return
        try:
            answers = future.result()
            payload = self._encode(answers)
        except Exception as error:
            self._reply.start_task(self._send_problem(error))
            return
        success_head = self._request.success_head(payload)
        if success_head is not None and self._reply.write_response(success_head, payload):
            self._timer.stop(200)
        else:
            self._reply.start_task(self._send_answer(payload))
        if self._request.keep_answer:
            self._endpoint.record_answer(self._request, 200, answers)

    async def _send_answer(self, payload: bytes) -> None:
        await self._request.send_answer(payload, self._request.send)
        self._timer.stop(self._request.status)

    async def _send_problem(self, error: Exception) -> None:
        await self._request.send_problem(error, self._request.send)
        self._timer.stop(self._request.status)
        if self._request.keep_answer:
            self._endpoint.record_answer(self._request, self._request.status)


def _do_nothing() -> None:
    """The request has been answered already."""
