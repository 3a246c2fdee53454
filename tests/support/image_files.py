"""Image files for tests: ordinary ones, and at least twenty that are broken or hostile."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import PIL.Image

LIMIT = 1_000_000
"""The pixels that the tests' models accept: some hostile files have more."""


def file(picture: PIL.Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The picture as a file."""
    written = io.BytesIO()
    picture.save(written, kind, **options)
    return written.getvalue()


def halves(width: int = 8, height: int = 4, mode: str = "RGB") -> PIL.Image.Image:
    """A picture whose left half is white, and whose right half is black."""
    picture = PIL.Image.new(mode, (width, height), "black")
    picture.paste("white", (0, 0, width // 2, height))
    return picture


def text(data: bytes) -> str:
    """The file as JSON has it."""
    return base64.b64encode(data).decode()


def chunk(name: bytes, data: bytes, *, length: int | None = None, checksum: int | None = None) -> bytes:
    """A chunk of a PNG, whose length and checksum may be wrong."""
    crc = zlib.crc32(name + data) if checksum is None else checksum
    return struct.pack(">I", len(data) if length is None else length) + name + data + struct.pack(">I", crc)


def head(width: int, height: int, depth: int = 8, colours: int = 2, interlaced: int = 0) -> bytes:
    """The first chunk of a PNG."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, interlaced))


PNG = b"\x89PNG\r\n\x1a\n"
END = chunk(b"IEND", b"")


def _webp(size: int, data: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", size) + b"WEBP" + data


def hostile() -> Mapping[str, bytes]:
    """Files that are no images, or not only, by what is wrong with them."""
    jpeg, png = file(halves(64, 64), "JPEG", quality=90), file(halves(64, 64))
    webp = file(halves(64, 64), "WEBP")
    frames = [halves(8, 8), PIL.Image.new("RGB", (8, 8), "red")]
    scan = jpeg[jpeg.index(b"\xff\xda") : -2]
    pixels = zlib.compress(b"\0" * (64 * 3 + 1) * 64)
    return {
        "nothing": b"",
        "one byte": b"\xff",
        "a text": b"no image at all",
        "a page": b"<html><body>503</body></html>",
        "a GIF": file(halves(), "GIF"),
        "an SVG": b"<svg xmlns='http://www.w3.org/2000/svg' width='1' height='1'/>",
        "a HEIC": b"\0\0\0\x18ftypheic" + bytes(64),
        "a JPEG's first bytes": jpeg[:3],
        "a JPEG cut in its head": jpeg[:100],
        "a JPEG cut in its pixels": jpeg[: len(jpeg) * 2 // 3],
        "a JPEG of zeros": jpeg[:2] + b"\xff\xe0" + bytes(5000),
        "a JPEG with a segment longer than itself": jpeg[:2] + b"\xff\xe1\xff\xff" + jpeg[2:300],
        "a JPEG with a thousand scans": jpeg[:-2] + scan * 1000 + jpeg[-2:],
        "a JPEG of 65500 x 65500": _resized(jpeg, 65500, 65500),
        "a JPEG without a size": _resized(jpeg, 0, 64),
        "a PNG's first bytes": png[:8],
        "a PNG cut in its head": png[:20],
        "a PNG cut in its pixels": png[: len(png) // 2],
        "a PNG that claims 4 gigapixels": PNG + head(65535, 65535) + chunk(b"IDAT", pixels) + END,
        "a PNG that claims 2^31 lines": PNG + head(1, 2**31 - 1) + chunk(b"IDAT", pixels) + END,
        "a PNG of 16 megapixels in 16 kB": PNG
        + head(4000, 4000, colours=0)
        + chunk(b"IDAT", zlib.compress(bytes(4001 * 4000)))
        + END,
        "a PNG with a chunk longer than itself": PNG + head(64, 64) + chunk(b"IDAT", pixels[:20], length=2**31 - 1),
        "a PNG with a wrong checksum": PNG + chunk(b"IHDR", head(64, 64)[8:21], checksum=1) + END,
        "a PNG whose pixels are no zlib": PNG + head(64, 64) + chunk(b"IDAT", b"\xff" * 500) + END,
        "a PNG with too few pixels": PNG + head(64, 64) + chunk(b"IDAT", zlib.compress(b"\0" * 300)) + END,
        "a PNG of a colour type that there is not": PNG + head(64, 64, colours=5) + chunk(b"IDAT", pixels) + END,
        "a PNG without pixels": PNG + head(64, 64) + END,
        "a PNG without an end": PNG + head(64, 64) + chunk(b"tEXt", b"a\0b") * 50_000,
        "a PNG with a text that is a bomb": PNG
        + head(64, 64)
        + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(8_000_000)))
        + chunk(b"IDAT", pixels)
        + END,
        "an animated PNG": file(frames[0], "PNG", save_all=True, append_images=frames[1:]),
        "an animated WebP": file(frames[0], "WEBP", save_all=True, append_images=frames[1:]),
        "a WebP cut in half": webp[: len(webp) // 2],
        "a WebP of an unknown kind": _webp(100, b"VP8Z" + bytes(96)),
        "a WebP longer than it is": _webp(2**32 - 1, webp[12:40]),
    }


def _resized(jpeg: bytes, width: int, height: int) -> bytes:
    """The JPEG, with another size in its frame header."""
    place = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:place] + struct.pack(">HH", height, width) + jpeg[place + 4 :]
