"""Undoes the content encoding of a request body, up to a size limit."""

from __future__ import annotations

import zlib
from typing import Protocol

from backports import zstd

from fairlead.serving import problems

IDENTITY = frozenset({b"", b"identity"})
KNOWN = IDENTITY | {b"gzip", b"x-gzip", b"deflate", b"zstd"}
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15  # zlib's `wbits`
# RFC 9659: a client may not need a larger window. A frame that names a larger one would make us allocate it.
_MAX_ZSTD_WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}

_MAX_STREAMS = 64
"""A body of thousands of empty streams would be copied once for each."""


class _Decompressor(Protocol):
    """A decompressor of the standard library, or of zstd: one stream of compressed data."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was reached."""

    @property
    def unused_data(self) -> bytes:
        """What follows the end of the stream."""

    def decompress(self, data: bytes, max_length: int = ...) -> bytes:
        """At most `max_length` bytes of what `data` becomes."""


def check(coding: bytes) -> None:
    """Raise UnknownEncoding unless the body can be decoded."""
    if coding.strip().lower() not in KNOWN:
        raise problems.UnknownEncoding(coding)


def decoded(body: bytes, coding: bytes, limit: int) -> bytes:
    """What the body is without its encoding, which is a known one. At most `limit` + 1 bytes are decompressed.

    Raises BadEncoding or DecodedTooLarge.
    """
    name = coding.strip().lower()
    if name in IDENTITY:
        return body
    parts: list[bytes] = []
    size = 0
    try:
        while body or not parts:
            if len(parts) >= _MAX_STREAMS:
                raise problems.BadEncoding(coding, f"it has more than {_MAX_STREAMS} parts")
            stream = _stream(name, body)
            parts.append(stream.decompress(body, limit + 1 - size))
            size += len(parts[-1])
            if size > limit:
                raise problems.DecodedTooLarge(limit)
            if not stream.eof:
                raise problems.BadEncoding(coding, "it ends too soon")
            body = stream.unused_data  # gzip and zstd allow several streams, one after the other
            if body and name == b"deflate":
                raise problems.BadEncoding(coding, "there are more bytes after its end")
    except (zlib.error, zstd.ZstdError) as problem:
        raise problems.BadEncoding(coding, f"{problem}") from None
    return b"".join(parts)


def _stream(name: bytes, body: bytes) -> _Decompressor:
    """A decompressor for the next stream of the body."""
    if name == b"zstd":
        return zstd.ZstdDecompressor(options=_MAX_ZSTD_WINDOW)
    if name != b"deflate":
        return zlib.decompressobj(_GZIP)
    # HTTP means zlib's format, but some clients send deflate without its header of two bytes.
    has_header = len(body) >= 2 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
    return zlib.decompressobj(_ZLIB if has_header else _RAW_DEFLATE)
