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

    def whole(self, head: bytes, body: bytes) -> bool:
        """Send a 200 in one piece, `head` without its status line. False where it must go by messages."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that may wait."""


class Short:
    """Takes predictions on the short way. Event loop only."""

    def __init__(self, envelope: exchange.Envelope, front: dispatch.Front) -> None:
        self._envelope = envelope
        self._front = front

    def begin(self, scope: exchange.Scope, body: bytes, reply: Reply) -> Callable[[], None] | None:
        """Take a request whose body is all here; the function to call where its client leaves.

        None, and nothing has happened, where it must go by ASGI.
        """
        target = self._front.endpoint(scope)
        if target is None or self._envelope.state.draining or len(body) > target.max_body_bytes:
            return None
        head = exchange.Exchange(self._envelope, scope, reply.send)
        if head.deadline_ms:
            return None
        return _Prediction(self._envelope.begin(scope), target, head, reply).start(body)


class _Prediction:
    """One request on the short way, from its body to its answer."""

    __slots__ = ("_account", "_encode", "_endpoint", "_head", "_reply", "_ticket")

    _encode: endpoint.Encode
    _ticket: Ticket

    def __init__(
        self, account: exchange.Account, target: endpoint.Endpoint, head: exchange.Exchange, reply: Reply
    ) -> None:
        self._account = account
        self._endpoint = target
        self._head = head
        self._reply = reply

    def start(self, body: bytes) -> Callable[[], None]:
        """Decode and queue; what to do where the client leaves."""
        try:
            self._endpoint.check(self._head)
            self._ticket, self._encode = self._endpoint.admit(body)
        except Exception as error:
            self._reply.spawn(self._refuse(error))
            return _nothing
        self._ticket.future.add_done_callback(self._finish)
        return self._give_up

    def _give_up(self) -> None:
        if not self._ticket.future.done():
            self._endpoint.give_up(self._ticket)

    def _finish(self, future: asyncio.Future[list[Any]]) -> None:
        if future.cancelled():  # the client has left
            self._account.close(exchange.CLIENT_GONE)
            return
        try:
            answers = future.result()
            payload = self._encode(answers)
        except Exception as error:
            self._reply.spawn(self._refuse(error))
            return
        good_head = self._head.good_head(payload)
        if good_head is not None and self._reply.whole(good_head, payload):
            self._account.close(200)
        else:
            self._reply.spawn(self._answer(payload))
        if self._head.keep:
            self._endpoint.keep(self._head, 200, answers)

    async def _answer(self, payload: bytes) -> None:
        await self._head.answer(payload, self._head.send)
        self._account.close(self._head.status)

    async def _refuse(self, error: Exception) -> None:
        await self._head.refuse(error, self._head.send)
        self._account.close(self._head.status)
        if self._head.keep:
            self._endpoint.keep(self._head, self._head.status)


def _nothing() -> None:
    """The request has been answered already."""
