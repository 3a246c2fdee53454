"""One prediction over HTTP, as a bare ASGI application: read, decode, predict, encode, answer.

One object per path. FastAPI mounts it as a documented route, and `front` calls it without FastAPI: it is the same
object, so both ways give the same bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from fairlead.contracts.answers import RECORD
from fairlead.serving.http import body as bodies
from fairlead.serving.http import exchange, problems
from fairlead.serving.http.disconnects import DisconnectWatcher
from fairlead.serving.inference.batching import Ticket
from fairlead.serving.inference.dataplane import DataPlane
from fairlead.serving.observe.answers import AnswerRecords

LINGER_S = 1.0  # how long a client may go on sending a body that has been refused
_RECORD = RECORD.encode()
_NOT_RECORDED = frozenset({429, 499, 503, 504})  # lack of room or time is nothing that a version answered


Encode = Callable[[list[Any]], bytes]


class DecodedRequest(NamedTuple):
    """A decoded request: its rows, and how their answers are written."""

    rows: list[Any]
    encode: Encode


Decode = Callable[[bytes], DecodedRequest]


class Endpoint:
    """Predictions at one path. `decode` is the protocol: bytes to rows and back; it raises Invalid."""

    def __init__(
        self,
        decode: Decode,
        plane: DataPlane,
        disconnects: DisconnectWatcher,
        max_body_bytes: int,
        answer_records: AnswerRecords,
    ) -> None:
        self._answer_records = answer_records
        self._decode = decode
        self._plane = plane
        self._disconnects = disconnects
        self.max_body_bytes = max_body_bytes

    def check(self, request: exchange.Exchange) -> None:
        """Refuse a request by its request. Raises NotJson, Invalid or BodyTooLarge."""
        bodies.check_head(request, self.max_body_bytes)

    def admit(self, body: bytes, deadline: float | None = None) -> tuple[Ticket, Encode]:
        """Decode a whole body and queue its rows; their ticket, and how the answers are written.

        Raises Invalid, NotReady, Overloaded or DeadlineExceeded.
        """
        rows, encode = self._decode(body)
        return self._plane.submit(rows, len(body), deadline), encode

    def give_up(self, ticket: Ticket) -> None:
        """Nobody waits for this ticket any more."""
        self._plane.give_up(ticket)

    def record_answer(self, request: exchange.Exchange, status: int, answers: Sequence[Any] = ()) -> None:
        """Keep what was answered; to be called after the answer has left, where the gateway asked for it (`keep`)."""
        if status not in _NOT_RECORDED:
            self._answer_records.add(
                request.request_id, status, answers, shadow=request.is_mirrored, record=request.keep_answer == _RECORD
            )

    async def __call__(self, scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send) -> None:
        """Answer one POST; every error becomes a problem document, a client that has left gets nothing."""
        request: exchange.Exchange = scope[exchange.KEY]
        try:
            self.check(request)
            # The deadline counts from here and not from the last byte: a slow upload is part of the caller's wait.
            deadline = request.deadline(self._plane.clock()) if request.deadline_ms else None
            body = await bodies.read(receive, self.max_body_bytes)
            ticket, encode = self.admit(body, deadline)
            self._disconnects.watch(ticket, receive)
            try:
                answers = await ticket.future
            except asyncio.CancelledError:
                self.give_up(ticket)
                if ticket.client_disconnected:
                    return
                raise
            finally:
                self._disconnects.unwatch(ticket)
            payload = encode(answers)
        except bodies.ClientDisconnected:
            return
        except problems.BodyTooLarge as error:
            # Closing while the client still writes would reset the connection, and the client would lose the answer.
            await request.send_problem(error, send, more_body=True)
            await bodies.discard(receive, LINGER_S)
            await send({"type": "http.response.body", "body": b""})
            return
        except Exception as error:
            await request.send_problem(error, send)
            if request.keep_answer:
                self.record_answer(request, request.status)
            return
        await request.send_answer(payload, send)
        if request.keep_answer:
            self.record_answer(request, 200, answers)
