from __future__ import annotations

import asyncio
import gzip
import uuid
import zlib
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead import errors
from fairlead.contracts.answers import KEEP_HEADER, RECORD
from fairlead.contracts.gateway import ROUTED_HEADER, SPILL_REFUSED_HEADER
from fairlead.contracts.grpc import CODES, CONTENT_TYPE, METHODS, path
from fairlead.serving import app as composition
from fairlead.serving.grpc.definitions import METHODS as DEFINED
from fairlead.serving.grpc.definitions import message
from fairlead.serving.http.grpc_calls import framed, unframed
from fairlead.serving.problems import STATUSES
from fairlead.serving.settings import Settings
from support.grpc_client import elements, infer, tensor
from support.small_models import Reply, Served, ask, running
from unit.serving.http.test_spilled import refuse_all_spill

HEADERS = {"content-type": CONTENT_TYPE}


def called(method: str, body: bytes, headers: dict[str, str] | None = None, **more: Any) -> Reply:
    """The response to one call that a gateway sends on."""
    settings_: Settings = more.pop("settings", Settings())

    async def run() -> Reply:
        async with running(more.pop("model", None), settings_) as app:
            return await ask(app, "POST", path("adder", method), body, HEADERS | (headers or {}), **more)

    return asyncio.run(run())


def point(x: float = 1.0, **more: Any) -> bytes:
    return framed(infer("adder", tensor("x", "FP64", [1], [x]), **more).SerializeToString())


def answer_in(reply: Reply) -> Any:
    assert (reply.status, reply.headers["content-type"]) == (200, CONTENT_TYPE)
    return message("ModelInferResponse").FromString(bytes(unframed(reply.body)))


def failure_in(reply: Reply) -> tuple[int, int, str, str]:
    """Status, code, kind and sentence."""
    assert (reply.headers["content-type"], reply.body) == (CONTENT_TYPE, b"")
    code, kind = int(reply.headers["grpc-status"]), reply.headers["fairlead-kind"]
    return reply.status, code, kind, unquote(reply.headers["grpc-message"])


@pytest.mark.parametrize("chunk", [0, 7])
def test_a_call_is_answered_with_a_message_in_its_frame(chunk: int) -> None:
    reply = called("ModelInfer", point(4), chunk=chunk)
    assert elements(answer_in(reply)) == {"total": [5.0], "kind": [b"a"]}
    assert (reply.headers["x-model-version"], len(reply.headers["x-request-id"])) == ("1.2.0", 32)


def test_every_method_of_the_protocol_is_answered() -> None:
    assert set(METHODS) == {one.name for one in DEFINED}
    for method in METHODS:
        asked = {"name": "adder"} if method.startswith("Model") and method != "ModelInfer" else {}
        body = framed(message(f"{method}Request")(**asked).SerializeToString()) if method != "ModelInfer" else point()
        assert called(method, body).status == 200


@pytest.mark.parametrize(("x", "status", "code", "kind"), [(13, 500, 13, "model-failed"), (5000, 422, 3, "invalid")])
def test_an_error_has_the_status_that_it_has_over_http_and_a_code(x: float, status: int, code: int, kind: str) -> None:
    assert failure_in(called("ModelInfer", point(x)))[:3] == (status, code, kind)


def test_the_sentence_of_an_error_may_have_any_character() -> None:
    body = framed(infer("äöü %41\n", tensor("x", "FP64", [1], [1.0])).SerializeToString())
    reply = called("ModelInfer", body)
    assert failure_in(reply)[3].startswith("model 'äöü %41\\n' is not served here: this is 'adder' '1.2.0'")
    assert reply.headers["grpc-message"].isascii()


@pytest.mark.parametrize("body", [b"", b"\0\0", framed(b"x" * 9)[:-1], framed(b"x") * 2])
def test_what_is_not_one_message_is_refused(body: bytes) -> None:
    status, code, _, sentence = failure_in(called("ModelInfer", body))
    assert (status, code) == (422, 3)
    assert "not one complete message" in sentence


@pytest.mark.parametrize(("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_compressed_message_is_read(coding: str, compress: Callable[[bytes], bytes]) -> None:
    body = b"\1" + framed(compress(point(2)[5:]))[1:]
    assert elements(answer_in(called("ModelInfer", body, {"grpc-encoding": coding})))["total"] == [3.0]
    assert "no grpc-encoding" in failure_in(called("ModelInfer", body))[3]
    assert elements(answer_in(called("ModelInfer", point(2), {"grpc-encoding": coding})))["total"] == [3.0]


def test_a_message_is_bounded_before_and_after_it_is_decompressed() -> None:
    small = Settings(max_body_bytes=4096)
    bomb = b"\1" + framed(gzip.compress(bytes(100_000)))[1:]
    for body, headers in ((framed(bytes(5000)), {}), (bomb, {"grpc-encoding": "gzip"})):
        assert failure_in(called("ModelInfer", body, headers, settings=small))[:3] == (413, 8, "too-large")


@pytest.mark.parametrize("timeout", ["1", "S", "123456789S", "-1S", "1s", "1.5S"])
def test_a_deadline_that_is_none_is_refused(timeout: str) -> None:
    assert failure_in(called("ModelInfer", point(), {"grpc-timeout": timeout}))[:2] == (422, 3)


def test_rows_whose_deadline_has_passed_do_not_reach_the_model() -> None:
    reply = called("ModelInfer", point(), {"grpc-timeout": "0n"})
    assert failure_in(reply)[:3] == (504, 4, "deadline-exceeded")
    assert called("ModelInfer", point(), {"grpc-timeout": "10S"}).status == 200


def test_predictions_are_counted_as_grpc_and_other_calls_as_other() -> None:
    async def run() -> bytes:
        async with running() as app:
            for x in (1.0, 13.0):
                await ask(app, "POST", path("adder", "ModelInfer"), point(x), HEADERS)
            await ask(app, "POST", path("adder", "ServerLive"), framed(b""), HEADERS)
            await asyncio.sleep(0)
            return (await ask(app, "GET", "/metrics")).body

    page = asyncio.run(run()).decode()
    counted = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in page.splitlines() if line[:1] != "#"}
    found = {name: value for name, value in counted.items() if 'protocol="grpc"' in name and "_total" in name}
    assert sorted(found.values()) == [1.0, 1.0]


def test_the_answer_to_a_call_of_a_rollout_is_recorded_and_spill_may_be_refused() -> None:
    async def run() -> tuple[int, Reply]:
        async with running() as app:
            kept = HEADERS | {KEEP_HEADER: RECORD, "x-request-id": str(uuid.UUID(int=7))}
            await ask(app, "POST", path("adder", "ModelInfer"), point(), kept)
            recorded = len(app.answers.page("another", 0).answers)
            refuse_all_spill(app)
            spilled = kept | {ROUTED_HEADER: "9.9.9"}
            return recorded, await ask(app, "POST", path("adder", "ModelInfer"), point(), spilled)

    recorded, refused = asyncio.run(run())
    assert recorded == 1
    assert failure_in(refused)[:3] == (503, 14, "spill-refused")
    assert (refused.headers["retry-after"], refused.headers[SPILL_REFUSED_HEADER]) == ("7", "1")


def test_without_the_packages_of_grpc_a_call_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str, *_: object) -> Any:
        raise errors.Unavailable("gRPC needs google, which is not installed")

    monkeypatch.setattr(composition, "_of_grpc", missing)
    assert failure_in(called("ModelInfer", point())) == (
        503,
        14,
        "unavailable",
        "gRPC needs google, which is not installed",
    )


def test_every_status_of_an_error_has_a_code() -> None:
    assert {status for _, status, _ in STATUSES} <= CODES.keys()


@given(st.binary(max_size=40))
@settings(max_examples=200)
def test_a_frame_holds_what_was_put_into_it_and_nothing_else_is_one(content: bytes) -> None:
    assert bytes(unframed(framed(content))) == content
    if content[:1] != b"\0" or int.from_bytes(content[1:5], "big") != len(content) - 5:
        with pytest.raises(errors.Invalid):
            unframed(content)


def test_the_same_row_gives_the_same_answer_as_over_http() -> None:
    async def run() -> tuple[Reply, Reply]:
        async with running(Served()) as app:
            call = await ask(app, "POST", path("adder", "ModelInfer"), point(2.5), HEADERS)
            http = await ask(
                app,
                "POST",
                "/v2/models/adder/infer",
                b'{"inputs":[{"name":"x","datatype":"FP64","shape":[1],"data":[2.5]}]}',
                {"content-type": "application/json"},
            )
            return call, http

    call, http = asyncio.run(run())
    assert elements(answer_in(call))["total"] == [3.5]
    assert b'"data":[3.5]' in http.body.replace(b" ", b"")
