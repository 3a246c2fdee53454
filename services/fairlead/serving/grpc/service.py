"""`Service`: the six methods of the protocol, for one model."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import grpc

from fairlead.serving.grpc import wire
from fairlead.serving.grpc.arriving import Arriving
from fairlead.serving.grpc.calls import Call, Calls
from fairlead.serving.grpc.codec import Codec
from fairlead.serving.grpc.definitions import METHODS, SERVICE
from fairlead.serving.grpc.facts import Facts
from fairlead.serving.inference.admission import Admission, Weighed
from fairlead.serving.inference.batching import Ticket
from fairlead.serving.inference.dataplane import DataPlane
from fairlead.serving.inference.memory import BINARY_BYTE
from fairlead.serving.inference.pieces import PIECE_BYTES
from fairlead.serving.open_inference.interface import OpenInference

NO_MESSAGE_S = 0.5
"""How long it takes at most until a call that has ended without a message is cancelled."""
Answer = Callable[[bytes, Call], Awaitable[bytes]]
"""Answers the bytes of a request."""


class Service:
    """Answers the calls. Messages arrive and leave as bytes."""

    def __init__(
        self,
        tensors: OpenInference,
        codec: Codec,
        plane: DataPlane,
        admission: Admission,
        calls: Calls,
        arriving: Arriving,
    ) -> None:
        self._tensors = tensors
        self._codec = codec
        self._plane = plane
        self._admission = admission
        self._calls = calls
        self._arriving = arriving
        has_files = plane.terms.memory.has_files
        self._small_bytes = -1 if has_files else PIECE_BYTES
        self._per_byte = 0 if has_files else BINARY_BYTE

    def handler(self) -> grpc.GenericRpcHandler:
        """What a server needs for these methods."""
        facts = Facts(self._tensors, self._codec, self._plane.state).answers
        answers: dict[str, Answer] = {name: _at_once(answer) for name, answer in facts.items()}
        answers["ModelInfer"] = self._model_infer
        assert answers.keys() == {method.name for method in METHODS}
        # As if a client could stream its request: then the message is read when this service asks for it.
        methods = {name: grpc.stream_unary_rpc_method_handler(self._method(name, answers[name])) for name in answers}
        return grpc.method_handlers_generic_handler(SERVICE, methods)

    def _method(self, name: str, answer: Answer) -> Callable[[Any, Any], Awaitable[bytes]]:
        async def called(_: Any, context: Any) -> bytes:
            async def answered(call: Call) -> bytes:
                return await answer(await self._message(context), call)

            return await self._calls.run(name, answered, context)

        return called

    async def _message(self, context: Any) -> bytes:
        """The message of a request, when there is room for it."""
        found = await self._arriving.message(context)
        if not isinstance(found, bytes):
            # If the message was too large or the client has left, the call has ended: this is cancelled then.
            await asyncio.sleep(NO_MESSAGE_S)
            raise wire.not_a_message("there is none")
        return found

    async def _model_infer(self, body: bytes, call: Call) -> bytes:
        size, deadline = len(body), call.deadline
        if size <= self._small_bytes:
            (rows, encode, _), _ = self._decoded(body)
            ticket = self._plane.submit(rows, size, deadline)
        else:
            admitted = self._admission.beside(partial(self._decoded, body), size, deadline)
            del body  # the job has it until it is decoded
            ticket, encode = await admitted
            del admitted
        call.queued(ticket)
        encoded: bytes = await self._admission.encoded(encode, await self._answers(ticket))
        return encoded

    async def _answers(self, ticket: Ticket) -> list[Any]:
        try:
            return await ticket.future
        except asyncio.CancelledError:  # the client has left, or its deadline has passed
            self._plane.give_up(ticket)
            raise

    def _decoded(self, body: bytes) -> Weighed:
        request = self._codec.decode(body)
        if request.memory is not None:
            return Weighed(request, request.memory)
        memory = self._plane.terms.memory.of(body, len(request.rows))
        return Weighed(request, memory + self._per_byte * len(body))


def _at_once(answer: Callable[[bytes], bytes]) -> Answer:
    async def answered(body: bytes, _: Call) -> bytes:
        return answer(body)

    return answered
