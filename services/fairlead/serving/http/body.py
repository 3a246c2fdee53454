"""Checks the head of a request, reads its body up to a size limit, and detects a client that disconnects."""

from __future__ import annotations

import asyncio
import contextlib

from fairlead import errors
from fairlead.serving import problems
from fairlead.serving.http import encodings, exchange
from fairlead.serving.open_inference import binary_form

BINARY_REFUSED = (
    "tensors in binary form belong to the Open Inference Protocol: send them to /v2/models/{model}/infer, or send JSON"
)
FORM_TYPES = frozenset({b"", b"application/x-www-form-urlencoded"})
"""What clients send that mean JSON and do not say so: nothing (Triton's), or a form (`curl -d`)."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What some editors write before a text in UTF-8. It is not part of the JSON."""
FORM = b"multipart/form-data"
_IMAGE = b"image/"
UPLOADS = "the body must be application/json, an image with a content-type such as image/jpeg, or multipart/form-data"
JSON_TYPES = frozenset({b"application/json", b"application/json; charset=utf-8", b"application/json;charset=utf-8"})


class ClientDisconnected(Exception):
    """The client closed its connection, so no response can be sent."""


def check_head(
    request: exchange.Exchange, limit: int, *, takes_binary: bool = False, takes_uploads: bool = False
) -> None:
    """Check content type, encoding and length in the head, before the body is read.

    `takes_binary`: the body may have tensors in binary form after its JSON. `takes_uploads`: it may be an image, or a
    form with images. Raises NotJson, UnknownEncoding, Invalid or BodyTooLarge.
    """
    if takes_uploads and is_upload(request.content_type):
        _check_origin(request)
    elif request.content_type not in JSON_TYPES:
        _check_type(request, takes_binary=takes_binary, takes_uploads=takes_uploads)
    if request.content_encoding:
        encodings.check(request.content_encoding)
    if request.content_length:
        if not request.content_length.isdigit():
            raise errors.Invalid("content-length must be a whole number")
        if int(request.content_length[:20]) > limit:
            raise problems.BodyTooLarge(limit)


def is_upload(content_type: bytes) -> bool:
    """Whether a body of this type is an image, or a form that may have some."""
    kind = content_type.lstrip().lower()
    return kind.startswith((_IMAGE, FORM))


class Receiving:
    """Counts the bytes of all bodies that arrive in parts and are not complete: slow clients can be many."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.size = 0

    def add(self, size: int) -> None:
        """Count bytes that have arrived. Raises TooMuchArriving if those of all bodies are above the limit."""
        self.size += size
        if self.size > self._limit:
            raise problems.TooMuchArriving(self._limit)


async def read(receive: exchange.Receive, limit: int, receiving: Receiving) -> bytes:
    """Read the whole body. Raises BodyTooLarge as soon as it exceeds `limit`, TooMuchArriving or ClientDisconnected."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnected
    body: bytes = message.get("body", b"")
    if len(body) > limit:
        raise problems.BodyTooLarge(limit)
    if not message.get("more_body", False):
        return body
    parts, size = [body], len(body)
    try:
        receiving.add(len(body))
        while message.get("more_body", False):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            receiving.add(len(parts[-1]))
            if size > limit:
                raise problems.BodyTooLarge(limit)
        return b"".join(parts)
    finally:
        receiving.size -= size


async def discard(receive: exchange.Receive, seconds: float) -> None:
    """Read and discard the rest of a body, for at most `seconds`."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while (message := await receive()).get("more_body", False) and message["type"] == "http.request":
                pass


def _check_type(request: exchange.Exchange, *, takes_binary: bool, takes_uploads: bool) -> None:
    """Check a content type that is not one of the usual ones of JSON. Raises NotJson."""
    given = request.content_type
    kind = given.split(b";")[0].strip().lower()
    if binary_form.HEADER in request.headers:
        if takes_binary and (kind == binary_form.CONTENT_TYPE or kind in FORM_TYPES):
            return  # a browser asks this service before it sends the header, so no page can do it unasked
        if request.headers[binary_form.HEADER] != request.content_length:
            raise problems.NotJson(given, BINARY_REFUSED)
    if _is_json(given):
        return
    if kind not in FORM_TYPES:
        raise problems.NotJson(given, UPLOADS if takes_uploads else "")
    # A page of any site can make a browser send a form, or nothing at all, without asking this service first. It asks
    # first before it sends JSON, so a browser must say JSON.
    if b"origin" in request.headers or b"sec-fetch-site" in request.headers:
        raise problems.NotJson(
            given, "a web page must send its requests as application/json; other clients may leave the content-type out"
        )


def _check_origin(request: exchange.Exchange) -> None:
    """Raise NotJson for a form of a page of another site. A browser asks first before it sends an image."""
    if request.content_type.lstrip().lower().startswith(FORM) and (
        request.headers.get(b"sec-fetch-site", b"cross-site" if b"origin" in request.headers else b"none")
        not in (b"same-origin", b"none")
    ):
        reason = "a page of another site must send an image as it is, with a content-type such as image/jpeg"
        raise problems.NotJson(request.content_type, reason)


def _is_json(content_type: bytes) -> bool:
    """Whether it is application/json in UTF-8, in any spelling. Other charsets would be decoded wrongly."""
    kind, *parameters = (part.strip() for part in content_type.lower().split(b";"))
    if kind != b"application/json":
        return False
    return all(parameter.replace(b'"', b"") in (b"", b"charset=utf-8", b"charset=utf8") for parameter in parameters)
