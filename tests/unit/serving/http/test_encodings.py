"""Request bodies that are compressed."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from fairlead.serving import problems
from fairlead.serving.http import encodings
from fairlead.serving.settings import Settings
from unit.serving.http.flowers import FLOWERS, PREDICT, ROWS, detail, send


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


PACKED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "gzip": ("gzip", gzip.compress),
    "gzip in two parts": ("gzip", lambda data: gzip.compress(data[:9]) + gzip.compress(data[9:])),
    "GZIP": ("GZIP", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "deflate without a header": ("deflate", raw_deflate),
    "zstd": ("zstd", zstd.compress),
    "zstd in two frames": ("zstd", lambda data: zstd.compress(data[:9]) + zstd.compress(data[9:])),
    "identity": ("identity", bytes),
}


@pytest.mark.parametrize("name", PACKED)
def test_a_compressed_body_gets_the_same_answer(name: str) -> None:
    coding, compress = PACKED[name]
    body = json.dumps(ROWS).encode()
    assert json.loads(send(FLOWERS, PREDICT, compress(body), {"content-encoding": coding}).body) == ROWS


@given(data=st.binary(max_size=200), name=st.sampled_from(sorted(PACKED)))
def test_what_was_compressed_comes_back(data: bytes, name: str) -> None:
    coding, compress = PACKED[name]
    assert encodings.decoded(compress(data), coding.encode(), 200) == data


@given(data=st.binary(min_size=1, max_size=60), coding=st.sampled_from([b"gzip", b"deflate", b"zstd"]))
def test_any_bytes_are_decoded_or_refused_in_words(data: bytes, coding: bytes) -> None:
    try:
        size = len(encodings.decoded(data, coding, 100))
    except (problems.BadEncoding, problems.DecodedTooLarge):
        return
    assert size <= 100


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_refused_without_inflating_it(name: str) -> None:
    coding, compress = PACKED[name]
    bomb = compress(b"[" + b" " * 50_000_000)
    reply = send(FLOWERS, PREDICT, bomb, {"content-encoding": coding}, settings=Settings(max_body_bytes=60_000))
    assert (reply.status, "larger than 60000 bytes when it is decompressed" in detail(reply)) == (413, True)
    assert "connection" not in reply.headers, "the body was read, so the connection can be used again"


def test_a_decompressed_body_may_be_as_large_as_the_limit() -> None:
    body = json.dumps(ROWS[0]).encode()
    for spare, status in ((0, 200), (-1, 413)):
        limit = Settings(max_body_bytes=100 + spare)
        reply = send(FLOWERS, PREDICT, gzip.compress(body.ljust(100)), {"content-encoding": "gzip"}, settings=limit)
        assert reply.status == status


def test_an_unknown_encoding_is_refused_with_the_known_ones() -> None:
    reply = send(FLOWERS, PREDICT, ROWS[0], {"content-encoding": "br"})
    assert (reply.status, reply.headers["accept-encoding"]) == (415, "gzip, deflate, zstd")
    assert "br is not known here" in detail(reply)
