"""Bad requests to a service of iris whose head, encoding or framing is wrong, each with the response it must get."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from backports import zstd

from support.service import request

LIMIT = 4 * 1024 * 1024
"""The default maximum size of a body, in bytes."""
ROW = {"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2}
FIELD = "sepal_length"
PREDICT, V1, V2 = "/predict", "/v1/models/iris:predict", "/v2/models/iris/infer"
Loc = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Bad:
    """One bad input. `loc` is the location that the response must name; None if no field is wrong."""

    name: str
    data: bytes
    status: int
    loc: Loc | None = None
    then_end: bool = False


def post(path: str, document: Any, headers: Mapping[str, str] | None = None) -> bytes:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return request("POST", path, body, headers)


def wrong_heads() -> Iterator[Bad]:
    """Requests whose method, path or header is wrong."""
    kinds = {
        "text": "text/plain",
        "XML": "application/xml",
        "a part of a form": "multipart/form-data; boundary=x",
        "JSON in Latin-1": "application/json; charset=iso-8859-1",
        "JSON lines": "application/x-ndjson",
        "nonsense": "\xff;;;=",
    }
    for name, kind in kinds.items():
        yield Bad(f"the media type is {name}", post(PREDICT, ROW, {"content-type": kind}), 415)
    form = "application/x-www-form-urlencoded"
    for name, header in {"another site": ("origin", "http://a"), "any page": ("sec-fetch-site", "same-site")}.items():
        yield Bad(f"a form from {name}", post(PREDICT, ROW, {"content-type": form, header[0]: header[1]}), 415)
        yield Bad(f"no media type from {name}", post(PREDICT, ROW, {"content-type": "", header[0]: header[1]}), 415)
    deadline: Loc = ("header", "x-deadline-ms")
    for name, value in {"text": "soon", "negative": "-5", "a fraction": "1.5", "endless": "9" * 40}.items():
        yield Bad(f"the deadline is {name}", post(PREDICT, ROW, {"x-deadline-ms": value}), 422, deadline)
    for method in ("GET", "PUT", "DELETE", "PATCH"):
        yield Bad(f"{method} /predict", request(method, PREDICT), 405)
    yield Bad("POST /metrics", request("POST", "/metrics"), 405)
    for path in ("/", "/v2/models/iris", "/v2/models/iris/versions/1.0.0/ready"):
        yield Bad(f"POST {path}", request("POST", path), 405)
    yield Bad("GET a version's infer", request("GET", "/v2/models/iris/versions/1.0.0/infer"), 405)
    for path in (
        "/predict/1",
        "/v2/models/iris/versions/1.0.0/nothing",
        "/Predict",
        "/v1/models/rose:predict",
        "/v2/models/rose/infer",
        "/v2/models/iris/versions/9.9.9/infer",
        "/docs/..%2f..%2fetc%2fpasswd",
        "/%00",
        "/%ff%fe",
        "/" + "x" * 8000,
    ):
        yield Bad(f"POST {path[:40]}", post(path, ROW), 404)


def wrong_encodings() -> Iterator[Bad]:
    """Bodies whose content encoding is unknown, wrong, or hides a body that is too large."""
    body, wrong = json.dumps(ROW).encode(), b'{"sepal_length": 51}'
    bomb = b"[" + b" " * (50 * LIMIT)
    packed: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "zstd": zstd.compress,
    }
    for name, compress in packed.items():
        coded = {"content-encoding": name}
        yield Bad(f"{name} that is none", post(PREDICT, body, coded), 400)
        yield Bad(f"{name} that is empty", post(PREDICT, b"", coded), 400)
        yield Bad(f"{name} cut off", post(PREDICT, compress(body)[:-3], coded), 400)
        yield Bad(f"a bomb of {name}", post(PREDICT, compress(bomb), coded), 413)
        yield Bad(f"a wrong row in {name}", post(PREDICT, compress(wrong), coded), 422, ("body", FIELD))
    in_gzip, in_deflate = {"content-encoding": "gzip"}, {"content-encoding": "deflate"}
    yield Bad("gzip with a wrong checksum", post(PREDICT, gzip.compress(body)[:-8] + bytes(8), in_gzip), 400)
    yield Bad("more after the end of deflate", post(PREDICT, zlib.compress(body) + b"x", in_deflate), 400)
    yield Bad("a thousand parts of gzip", post(PREDICT, gzip.compress(b"") * 1000 + gzip.compress(body), in_gzip), 400)
    for name in ("br", "compress", "gzip, gzip", "\xff"):
        yield Bad(f"the encoding {name!r}", post(PREDICT, body, {"content-encoding": name}), 415)


def wrong_framing() -> Iterator[Bad]:
    """Bodies that are too large, too short, or not framed as HTTP requires."""
    body = json.dumps(ROW).encode()
    chunked = {"content-length": "", "transfer-encoding": "chunked"}

    def in_chunks(raw: bytes) -> bytes:
        return request("POST", PREDICT, raw, chunked)

    yield Bad("a length over the limit", post(PREDICT, b"{}", {"content-length": str(LIMIT + 1)}), 413)
    yield Bad("a length of 18 digits", post(PREDICT, b"{}", {"content-length": "9" * 18}), 413)
    yield Bad("a length that overflows", post(PREDICT, b"{}", {"content-length": "9" * 40}), 400)
    yield Bad("a length that is negative", post(PREDICT, b"{}", {"content-length": "-1"}), 400)
    yield Bad("a length that is text", post(PREDICT, b"{}", {"content-length": "two"}), 400)
    yield Bad("two lengths", post(PREDICT, body, {"Content-Length": "1"}), 400)
    yield Bad("a length and chunks", post(PREDICT, b"0\r\n\r\n", {"transfer-encoding": "chunked"}), 400)
    yield Bad("a body over the limit, whole", post(PREDICT, b"[" + b" " * LIMIT + b"]"), 413)
    piece = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    yield Bad("a body over the limit, in chunks", in_chunks(piece * 65 + b"0\r\n\r\n"), 413)
    yield Bad("chunks whose size is no number", in_chunks(b"xyz\r\n{}\r\n0\r\n\r\n"), 400)
    yield Bad("chunks longer than they say", in_chunks(b"2\r\n{}{}{}\r\n0\r\n\r\n"), 400)
    yield Bad("chunks of garbage", in_chunks(bytes(range(256))), 400)
    yield Bad("chunks, an endless size", in_chunks(b"f" * 40 + b"\r\n"), 400)
    yield Bad("chunks that end too soon", in_chunks(b"5\r\n{}"), 400, then_end=True)
    yield Bad("a body cut off", post(PREDICT, body[:20], {"content-length": str(len(body))}), 400, then_end=True)
    yield Bad("no body where one was said", post(PREDICT, b"", {"content-length": "5"}), 400, then_end=True)
    yield Bad("a body shorter than it is", post(PREDICT, body, {"content-length": str(len(body) - 1)}), 422, ("body",))


def not_http() -> Iterator[Bad]:
    """Bytes that are not valid HTTP/1.1."""
    raw = {
        "a greeting of TLS": bytes.fromhex("16030100c8010000c40303") + bytes(64),
        "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "text": b"hello, flower\r\n\r\n",
        "NUL bytes": bytes(512),
        "every byte there is": bytes(range(256)) * 4,
        "a method that does not exist": b"GUESS /predict HTTP/1.1\r\n\r\n",
        "HTTP/9.9": b"GET /livez HTTP/9.9\r\n\r\n",
        "a path that is no ASCII": b"GET /\xc3\xa9 HTTP/1.1\r\n\r\n",
        "a header without a colon": b"GET /livez HTTP/1.1\r\nnonsense\r\n\r\n",
        "a header with a space in its name": b"GET /livez HTTP/1.1\r\na b: c\r\n\r\n",
        "a header with a NUL": b"GET /livez HTTP/1.1\r\na: \x00\r\n\r\n",
        "a folded header": b"GET /livez HTTP/1.1\r\na: b\r\n c\r\n\r\n",
        "a proxy's question": b"CONNECT example.org:443 HTTP/1.1\r\n\r\n",
    }
    for name, data in raw.items():
        yield Bad(f"not HTTP: {name}", data, 400)
    endless = b"GET /livez HTTP/1.1\r\n"
    yield Bad("a header of 1 MiB", endless + b"a: " + b"x" * (1 << 20), 431)
    yield Bad("a million bytes of headers", endless + b"".join(b"a%d: b\r\n" % n for n in range(100_000)), 431)
    yield Bad("a path of 1 MiB", b"GET /" + b"x" * (1 << 20), 431)
    yield Bad("half a request", b"POST /predict HTTP/1.1\r\nhost: t", 400, then_end=True)
