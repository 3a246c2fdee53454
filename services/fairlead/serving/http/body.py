"""Reads a request body up to a size limit, and detects a client that disconnects."""

from __future__ import annotations

import asyncio
import contextlib

from fairlead import errors
from fairlead.serving.http import exchange, problems

JSON_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"})


class ClientDisconnected(Exception):
    """The client closed its connection, so no response can be sent."""


def check_head(request: exchange.Exchange, limit: int) -> None:
    """Check content type and length in the head, before the body is read. Raises NotJson, Invalid or BodyTooLarge."""
    if request.content_type not in JSON_TYPES and not _is_json(request.content_type):
        raise problems.NotJson(request.content_type)
    if request.content_length:
        if not request.content_length.isdigit():
            raise errors.Invalid("content-length must be a whole number")
        if int(request.content_length[:20]) > limit:
            raise problems.BodyTooLarge(limit)


async def read(receive: exchange.Receive, limit: int) -> bytes:
    """Read the whole body. Raises BodyTooLarge as soon as it exceeds `limit`, or ClientDisconnected."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    body: bytes = message.get("body", b"")
    if len(body) > limit:
        raise problems.BodyTooLarge(limit)
    if not message.get("more_body", False):
        return body
    parts = [body]
    size = len(body)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise problems.BodyTooLarge(limit)
        if not message.get("more_body", False):
            return b"".join(parts)


async def discard(receive: exchange.Receive, seconds: float) -> None:
    """Read and discard the rest of a body, for at most `seconds`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (message := await receive()).get("more_body", False) and message["type"] == "http.request":
                pass


def _is_json(content_type: bytes) -> bool:
    """Whether it is application/json in UTF-8, in any spelling. Other charsets would be decoded wrongly."""
    kind, *parameters = (part.strip() for part in content_type.lower().split(b";"))
    if kind != b"application/json":
        return False
    return all(parameter in (b"", b"charset=utf-8", b'charset="utf-8"') for parameter in parameters)
