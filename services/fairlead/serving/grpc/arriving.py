"""`Arriving`: which messages are read now. A machine that opens calls and sends slowly takes its own share of places.

gRPC itself bounds only the calls of a connection and all calls together, and a client may open many connections. Before
its message has arrived a call costs the client nothing, so the places of such calls are shared out by address.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc

from fairlead import errors


class _Sender:
    """One address while it has calls whose message has not arrived."""

    def __init__(self, messages: int) -> None:
        self.calls = 0
        self.room = asyncio.Semaphore(messages)


class Arriving:
    """Reads the messages of calls, at most `messages` at the same time and each within `receive_s` seconds."""

    def __init__(self, messages: int, calls: int, receive_s: float) -> None:
        """`calls` is how many calls the server takes at the same time."""
        self._room = asyncio.Semaphore(messages)
        self._of_one = max(1, messages // 2)
        self._calls = calls
        self._receive_s = receive_s
        self._waiting = 0
        self._senders: dict[str, _Sender] = {}

    async def message(self, context: Any) -> Any:
        """The next message of a call, or `grpc.aio.EOF`, when there is room for it.

        Raises DeadlineExceeded if it does not arrive in time, and Overloaded while half of all calls wait for a message
        and a quarter of all are calls of this address that do.
        """
        address = context.peer().rpartition(":")[0]
        sender = self._senders.get(address)
        if sender is None:
            sender = self._senders[address] = _Sender(self._of_one)
        if self._waiting >= self._calls // 2 and sender.calls >= self._calls // 4:
            raise errors.Overloaded(f"{sender.calls} calls of your address have not sent their message")
        sender.calls += 1
        self._waiting += 1
        try:
            async with asyncio.timeout(self._receive_s), sender.room, self._room:
                return await context.read()
        except TimeoutError:
            raise errors.DeadlineExceeded(f"the message did not arrive within {self._receive_s:g} s") from None
        finally:
            self._waiting -= 1
            sender.calls -= 1
            if not sender.calls:
                del self._senders[address]


class OfOthers(grpc.aio.ServerInterceptor):  # type: ignore[misc]
    """Lets the services of gRPC itself, health and reflection, read their messages in the same way."""

    def __init__(self, arriving: Arriving, own: str) -> None:
        """`own` is the service that reads its messages itself."""
        self._arriving = arriving
        self._own = f"/{own}/"

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """The handler of a call, so that it gets messages as they are read here."""
        handler = await continuation(details)
        if handler is None or details.method.startswith(self._own):
            return handler
        forms = (handler.request_deserializer, handler.response_serializer)
        if handler.unary_unary is not None:
            return grpc.stream_unary_rpc_method_handler(self._answers(handler.unary_unary), *forms)
        if handler.unary_stream is not None:
            return grpc.stream_stream_rpc_method_handler(self._streams(handler.unary_stream), *forms)
        return grpc.stream_stream_rpc_method_handler(self._talks(handler.stream_stream), *forms)

    def _answers(self, answer: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
        async def called(_: Any, context: Any) -> Any:
            return await answer(await self._message(context), context)

        return called

    def _streams(self, answer: Callable[[Any, Any], AsyncIterator[Any]]) -> Callable[[Any, Any], AsyncIterator[Any]]:
        async def called(_: Any, context: Any) -> AsyncIterator[Any]:
            async for one in answer(await self._message(context), context):
                yield one

        return called

    def _talks(self, answer: Callable[[Any, Any], AsyncIterator[Any]]) -> Callable[[Any, Any], AsyncIterator[Any]]:
        async def messages(context: Any) -> AsyncIterator[Any]:
            while (found := await self._message(context, may_end=True)) is not grpc.aio.EOF:
                yield found

        # A generator of its own: gRPC runs what is not declared as one on a thread.
        async def called(_: Any, context: Any) -> AsyncIterator[Any]:
            async for one in answer(messages(context), context):
                yield one

        return called

    async def _message(self, context: Any, *, may_end: bool = False) -> Any:
        try:
            found = await self._arriving.message(context)
        except errors.Overloaded as error:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, error.message)
        except errors.DeadlineExceeded as error:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, error.message)
        if found is grpc.aio.EOF and not may_end:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the message cannot be read: there is none")
        return found
