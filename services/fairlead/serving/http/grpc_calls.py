"""`GrpcCalls`: answers calls of gRPC that a gateway has sent on over HTTP/1.1 (`contracts.grpc`).

A call to `ModelInfer` passes the same `Endpoint` as a prediction over HTTP. Only its body and its response differ.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import quote

from fairlead import errors
from fairlead.contracts import grpc as contract
from fairlead.serving.http import body as bodies
from fairlead.serving.http import encodings, exchange
from fairlead.serving.http.endpoint import Decode, Endpoint
from fairlead.serving.inference.admission import DecodedRequest, Weighed
from fairlead.serving.inference.memory import BINARY_BYTE

CONTENT_TYPE = contract.CONTENT_TYPE.encode()
PROTOCOL = "grpc"
"""The label of predictions in the metrics."""
COMPRESSED = b"\1"
"""The first byte of the frame of a compressed message."""
MAX_QUESTION_BYTES = 4096
"""The most bytes of a call that names a model and nothing else."""
_PRINTABLE = "".join(chr(one) for one in range(0x20, 0x7F) if one != ord("%"))
_UNITS: Mapping[bytes, float] = MappingProxyType(
    {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
)
_timeout = re.compile(rb"(\d{1,8})([HMSmun])").fullmatch


class Messages(Protocol):
    """The messages of the protocol, for one model."""

    answers: Mapping[str, Callable[[bytes], bytes]]
    """The methods that do not call the model, by name."""

    def decode(self, message: memoryview) -> DecodedRequest:
        """Decode a ModelInferRequest. Raises Invalid or NotFound."""


class GrpcExchange(exchange.Exchange):
    """One call and its response."""

    __slots__ = ()

    def __init__(self, envelope: exchange.Envelope, scope: exchange.Scope, send: exchange.Send) -> None:
        super().__init__(envelope, scope, send)
        self.content_type = b"application/json"  # the endpoint need not check it: by it the call came here
        self.content_encoding = self.headers.get(b"grpc-encoding", b"")
        self.deadline_ms = self.headers.get(b"grpc-timeout", b"")

    def deadline(self, now: float) -> float | None:
        """The time at which the client stops waiting. Raises Invalid."""
        found = _timeout(self.deadline_ms)
        if found is None:
            raise errors.Invalid.at(("header", "grpc-timeout"), "must be a number and a unit, such as 500m", "timeout")
        return now + int(found[1]) * _UNITS[found[2]]

    async def send_answer(self, payload: Any, send: exchange.Send) -> None:
        """Send the message in its frame."""
        size = len(payload)
        headers = [(b"content-type", CONTENT_TYPE), (b"content-length", b"%d" % (contract.FRAME_HEAD_BYTES + size))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": frame_head(size), "more_body": True})
        await send({"type": "http.response.body", "body": payload})

    async def send_problem(self, error: Exception, send: exchange.Send, *, more_body: bool = False) -> None:
        """Send the code and the sentence of `error` in headers. The status is that of the same error over HTTP."""
        problem = self.problem_of(error)
        code = contract.CODES.get(problem.status, contract.UNKNOWN)
        headers = [
            (b"content-type", CONTENT_TYPE),
            (b"content-length", b"0"),
            (contract.STATUS_HEADER.encode(), b"%d" % code),
            (contract.MESSAGE_HEADER.encode(), quote(problem.text(contract.MAX_TEXT), safe=_PRINTABLE).encode()),
            (contract.KIND.encode(), problem.kind.encode()),
            *problem.headers,
        ]
        await send({"type": "http.response.start", "status": problem.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": more_body})


class GrpcCalls:
    """The ASGI application of these calls."""

    def __init__(
        self, load: Callable[[], Messages], endpoint: Callable[[Decode], Endpoint], receiving: bodies.Receiving
    ) -> None:
        """`load` imports what reads the messages, which takes a while. It is called once, on a thread, for the first
        call. `endpoint` makes one of a function that decodes. Raises what `load` raises."""
        self._load = load
        self._receiving = receiving
        self._loading: asyncio.Future[Messages] | None = None
        self._messages: Messages
        self._endpoint = endpoint(self._decode)

    async def __call__(self, scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send) -> None:
        """Answer one call. Raises the error of a call that does not reach the model."""
        if self._loading is None or self._loading.done() and self._loading.exception() is not None:
            self._loading = asyncio.ensure_future(asyncio.to_thread(self._load))
        self._messages = await asyncio.shield(self._loading)
        path: str = scope["path"]
        if path.endswith("/infer"):
            await self._endpoint(scope, receive, send)
            return
        answer = self._messages.answers.get(path.rpartition("/")[2])
        if answer is None:
            raise errors.NotFound("there is no such method of gRPC here")
        try:
            body = await bodies.read(receive, MAX_QUESTION_BYTES, self._receiving)
        except bodies.ClientDisconnected:
            return
        call: exchange.Exchange = scope[exchange.KEY]
        await call.send_answer(answer(bytes(unframed(body))), send)

    def _decode(self, body: bytes) -> DecodedRequest:
        return self._messages.decode(unframed(body))


class GrpcEndpoint(Endpoint):
    """The endpoint of `ModelInfer`. Elements in a message need memory beside that of their rows."""

    def _decoder(self, request: exchange.Exchange) -> tuple[Decode, int]:
        return self._decode, 0 if self._plane.terms.memory.has_files else BINARY_BYTE

    def _weighed(self, body: bytes, coding: bytes, decode: Decode, per_byte: int) -> Weighed:
        if body[:1] == COMPRESSED and coding:  # the message is, and its frame is not
            body = framed(encodings.decoded(body[contract.FRAME_HEAD_BYTES :], coding, self.max_body_bytes))
        return super()._weighed(body, b"", decode, per_byte)


def framed(message: bytes) -> bytes:
    """The message in its frame."""
    return frame_head(len(message)) + message


def frame_head(size: int) -> bytes:
    """What is before a message of this size."""
    return b"\0" + size.to_bytes(contract.FRAME_HEAD_BYTES - 1, "big")


def unframed(body: bytes) -> memoryview:
    """The one message in a body. Raises Invalid."""
    view = memoryview(body)
    head = contract.FRAME_HEAD_BYTES
    if len(view) < head or int.from_bytes(view[1:head], "big") != len(view) - head:
        raise errors.Invalid.at(("body",), "the message cannot be read: it is not one complete message", "frame")
    if view[0]:
        message = "the message is compressed, and there is no grpc-encoding"
        raise errors.Invalid.at(("body",), message, "compressed")
    return view[head:]
