"""The smallest images: PNG files of one grey, made without an image library, for rows that are made up."""

from __future__ import annotations

import base64
import struct
import zlib


def solid(shade: int, size: int = 8) -> bytes:
    """A square image of `size` pixels a side, all of one shade from 0 to 255."""
    lines = (b"\0" + bytes([shade]) * size) * size
    head = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )


def in_base64(shade: int) -> str:
    """A small image of one shade, as JSON has it."""
    return base64.b64encode(solid(shade)).decode()
