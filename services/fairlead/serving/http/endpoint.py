"""`Endpoint`: the ASGI application that answers a prediction request: read, decode, predict, encode, respond.

There is one object per protocol. FastAPI mounts it as a documented route, and `dispatch.Dispatcher` calls the same
object without FastAPI, so both give the same response, byte for byte.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from fairlead import errors
from fairlead.contracts.answers import RECORD
from fairlead.contracts.gateway import ROUTED_HEADER
from fairlead.serving import problems
from fairlead.serving.http import body as bodies
from fairlead.serving.http import encodings, exchange
from fairlead.serving.http.disconnects import DisconnectWatcher
from fairlead.serving.inference.admission import Admission, DecodedRequest, Plane, Weighed
from fairlead.serving.inference.batching import Ticket
from fairlead.serving.inference.memory import BINARY_BYTE
from fairlead.serving.inference.pieces import PIECE_BYTES
from fairlead.serving.inference.side_thread import Job, SideThread
from fairlead.serving.observe.answers import AnswerRecords
from fairlead.serving.open_inference.binary_form import HEADER, Mixed

LINGER_S = 1.0  # seconds that a client may continue to send a body that was rejected
_RECORD = RECORD.encode()
_ROUTED = ROUTED_HEADER.encode()
_NOT_RECORDED = frozenset({429, 499, 503, 504})  # overload, disconnect, not ready, deadline: not answers of the model


Encode = Callable[[list[Any]], bytes | Mixed]
Decode = Callable[[bytes], DecodedRequest]
DecodeMixed = Callable[[bytes, bytes], DecodedRequest]
"""Decodes a body that is JSON only in part, by the header that says where the JSON ends."""
DecodeUpload = Callable[[bytes, bytes], DecodedRequest]
"""Decodes a body that is an image, or a form with images, by its content type."""


class Endpoint:
    """Answers prediction requests of one protocol. `decode` implements the protocol and raises Invalid."""

    def __init__(
        self,
        decode: Decode,
        plane: Plane,
        disconnects: DisconnectWatcher,
        max_body_bytes: int,
        answer_records: AnswerRecords,
        receiving: bodies.Receiving,
        aside: SideThread,
        version: str,
        decode_mixed: DecodeMixed | None = None,
        decode_upload: DecodeUpload | None = None,
        *,
        has_files: bool = False,
    ) -> None:
        """`has_files`: rows have files in them, which are never decoded on the event loop."""
        self._answer_records = answer_records
        self._receiving = receiving
        self._admission = Admission(plane, aside)
        self._version = version.encode()
        self._decode = decode
        self._decode_mixed = decode_mixed
        self._decode_upload = decode_upload
        self._plane = plane
        self._disconnects = disconnects
        self.max_body_bytes = max_body_bytes
        self.small_bytes = -1 if has_files else min(max_body_bytes, PIECE_BYTES)
        """The most bytes of a body that is decoded on the event loop."""

    def check(self, request: exchange.Exchange) -> bool:
        """Check the request's head. Returns whether it is spilled: routed to another version, which did not answer it.

        Raises NotJson, UnknownEncoding, Invalid, BodyTooLarge or SpillRefused.
        """
        bodies.check_head(
            request,
            self.max_body_bytes,
            takes_binary=self._decode_mixed is not None,
            takes_uploads=self._decode_upload is not None,
        )
        if not request.keep_answer or request.headers.get(_ROUTED, self._version) == self._version:
            return False
        if request.is_mirrored:
            return False
        self._plane.check_spill()
        return True

    def admit(
        self,
        body: bytes,
        deadline: float | None = None,
        *,
        spilled: bool = False,
        compared: bytes = b"",
        json_size: bytes = b"",
    ) -> tuple[Ticket, Encode]:
        """Decode a small body and queue its rows. Returns their ticket and the function that encodes the answers.

        `compared` is the request's `keep_answer`: with it, the model must answer. `json_size` is the header that says
        how much of the body is JSON, if not all is.
        Raises Invalid, NotReady, Overloaded or DeadlineExceeded.
        """
        rows, encode, _ = self._decoded(body, json_size)
        return self._plane.submit(rows, len(body), deadline, spilled=spilled, compared=compared), encode

    def _decoded(self, body: bytes, json_size: bytes = b"") -> DecodedRequest:
        if json_size and self._decode_mixed is not None:
            return self._decode_mixed(json_size, body)
        try:
            return self._decode(body)
        except errors.Invalid:
            if not body.startswith(bodies.BYTE_ORDER_MARK):
                raise
            return self._decode(body.removeprefix(bodies.BYTE_ORDER_MARK))

    async def _admit_aside(
        self, body: bytes, request: exchange.Exchange, receive: exchange.Receive, deadline: float | None, spilled: bool
    ) -> tuple[Ticket, Encode]:
        """As `admit`, for a body of any size: it is decompressed and decoded beside the event loop, in its turn.

        Raises BadEncoding or DecodedTooLarge too, and ClientDisconnected.
        """
        disconnected = False

        @contextlib.contextmanager
        def watch(job: Job[Any]) -> Iterator[None]:
            nonlocal disconnected
            self._disconnects.watch(job, receive)
            try:
                yield
            finally:
                self._disconnects.unwatch(job)
                disconnected = job.client_disconnected

        weighed = partial(self._weighed, body, request.content_encoding, *self._decoder(request))
        admitted = self._admission.beside(
            weighed, len(body), deadline, spilled=spilled, compared=request.keep_answer, watch=watch
        )
        del body, weighed  # the job has them until it is decoded
        try:
            return await admitted
        except asyncio.CancelledError:
            if not disconnected:
                raise
            raise bodies.ClientDisconnected from None

    def _decoder(self, request: exchange.Exchange) -> tuple[Decode, int]:
        """The function that decodes a body, and the memory of each of its bytes beside that of its rows."""
        if self._decode_upload is not None and bodies.is_upload(request.content_type):
            return partial(self._decode_upload, request.content_type), 0
        json_size = request.headers.get(HEADER, b"")
        is_binary = json_size and not self._plane.terms.memory.has_files
        return partial(self._decoded, json_size=json_size), BINARY_BYTE if is_binary else 0

    def _weighed(self, body: bytes, coding: bytes, decode: Decode, per_byte: int) -> Weighed:
        """The decoded request and the memory of its rows."""
        whole = encodings.decoded(body, coding, self.max_body_bytes) if coding else body
        request = decode(whole)
        if request.memory is not None:
            return Weighed(request, request.memory)
        return Weighed(request, self._plane.terms.memory.of(whole, len(request.rows)) + per_byte * len(whole))

    async def encoded(self, encode: Encode, answers: list[Any]) -> bytes | Mixed:
        """The response with these answers; many are encoded beside the event loop. Raises ModelFailed or Invalid."""
        payload: bytes | Mixed = await self._admission.encoded(encode, answers)
        return payload

    def give_up(self, ticket: Ticket) -> None:
        """Cancel a request whose client has disconnected."""
        self._plane.give_up(ticket)

    def record_answer(self, request: exchange.Exchange, status: int, answers: Sequence[Any] = ()) -> None:
        """Add the answer to the answer records. Call it after the response, if the request has `keep_answer`."""
        if status not in _NOT_RECORDED:
            self._answer_records.add(
                request.request_id, status, answers, shadow=request.is_mirrored, record=request.keep_answer == _RECORD
            )

    async def __call__(self, scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send) -> None:
        """Answer one POST. Every error becomes a problem document; a client that has disconnected gets no response."""
        request: exchange.Exchange = scope[exchange.KEY]
        try:
            spilled = self.check(request)
            # The deadline counts from here, not from the last byte: a slow upload is part of the client's wait.
            deadline = request.deadline(self._plane.clock()) if request.deadline_ms else None
            body = await bodies.read(receive, self.max_body_bytes, self._receiving)
            if len(body) <= self.small_bytes and not request.content_encoding:
                json_size = request.headers.get(HEADER, b"")
                ticket, encode = self.admit(
                    body, deadline, spilled=spilled, compared=request.keep_answer, json_size=json_size
                )
            else:
                admitted = self._admit_aside(body, request, receive, deadline, spilled)
                del body
                ticket, encode = await admitted
                del admitted
            if request.when_queued is not None:
                request.when_queued(ticket)
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
            payload = await self.encoded(encode, answers)
        except bodies.ClientDisconnected:
            return
        except (problems.BodyTooLarge, problems.TooMuchArriving) as error:
            # Closing while the client still sends would reset the connection, and the client would lose the response.
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


class ExplainEndpoint(Endpoint):
    """Answers requests to explain. They are recorded as answered, without answers to compare."""

    def record_answer(self, request: exchange.Exchange, status: int, answers: Sequence[Any] = ()) -> None:
        """Add only the status to the answer records."""
        super().record_answer(request, status)
