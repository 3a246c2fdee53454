from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

import fairlead
from fairlead.serving.grpc.definitions import message
from fairlead.serving.settings import Settings
from support import profiles
from support.grpc_client import Client, Failure, connected, elements, infer, tensor
from support.small_models import Point, Served, ask, manifest, running

GRPC = Settings(grpc_port=0)


def served(work: Callable[[Client], Any], model: Served | None = None, chosen: Settings = GRPC) -> Any:
    """What `work` returns, with a client of a service that runs meanwhile."""

    async def run() -> Any:
        async with running(model, chosen) as app, connected(app.grpc.port) as client:
            return await work(client)

    return asyncio.run(run())


def point(x: float = 1.0) -> Any:
    return infer("adder", tensor("x", "FP64", [1], [x]))


def formatted(name: str, low: int, high: int) -> Any:
    return Annotated[int, Field(ge=low, le=high, json_schema_extra={"format": name})]


class Everything(BaseModel):
    """A field of each datatype that a field can have, and one with two dimensions."""

    i8: formatted("int8", -128, 127)  # type: ignore[valid-type]
    i16: formatted("int16", -(2**15), 2**15 - 1)  # type: ignore[valid-type]
    i32: formatted("int32", -(2**31), 2**31 - 1)  # type: ignore[valid-type]
    i64: int
    u8: formatted("uint8", 0, 255)  # type: ignore[valid-type]
    u16: formatted("uint16", 0, 2**16 - 1)  # type: ignore[valid-type]
    u32: formatted("uint32", 0, 2**32 - 1)  # type: ignore[valid-type]
    u64: Annotated[int, Field(ge=0, le=2**64 - 1)]
    f64: float
    yes: bool
    text: str
    pair: list[float] = Field(min_length=2, max_length=2)


class Same(Everything):
    """The answer: the row."""


class Echo(fairlead.Model[Everything, Same]):
    """Returns its rows."""

    def predict(self, rows: list[Everything]) -> list[Same]:
        return [Same(**row.model_dump()) for row in rows]


ECHO = Served(model=Echo, row=Everything, answer_type=Same, golden=(), manifest=manifest(name="echo"))
DATATYPES = {
    "i8": "INT8",
    "i16": "INT16",
    "i32": "INT32",
    "i64": "INT64",
    "u8": "UINT8",
    "u16": "UINT16",
    "u32": "UINT32",
    "u64": "UINT64",
    "f64": "FP64",
    "yes": "BOOL",
    "text": "BYTES",
    "pair": "FP64",
}
FINITE = st.floats(allow_nan=False, allow_infinity=False)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            **{
                name: st.integers(-(2 ** (int(name[1:]) - 1)), 2 ** (int(name[1:]) - 1) - 1)
                for name in ("i8", "i16", "i32", "i64")
            },
            **{name: st.integers(0, 2 ** int(name[1:]) - 1) for name in ("u8", "u16", "u32", "u64")},
            "f64": FINITE,
            "yes": st.booleans(),
            "text": st.text(max_size=5),
            "pair": st.lists(FINITE, min_size=2, max_size=2),
        }
    ),
    min_size=1,
    max_size=3,
)


def typed(rows: list[dict[str, Any]]) -> Any:
    inputs = []
    for name, datatype in DATATYPES.items():
        values = [row[name] for row in rows]
        shape = [len(rows)]
        if name == "pair":
            values, shape = [one for value in values for one in value], [len(rows), 2]
        inputs.append(tensor(name, datatype, shape, [one.encode() if name == "text" else one for one in values]))
    return infer("echo", *inputs)


def binary(rows: list[dict[str, Any]]) -> Any:
    request = typed(rows)
    for one in request.inputs:
        values = [row[one.name] for row in rows]
        if one.datatype == "BYTES":
            raw = b"".join(len(text.encode()).to_bytes(4, "little") + text.encode() for text in values)
        else:
            kind = {"i": "i", "u": "u", "f": "f", "p": "f", "y": "u"}[one.name[0]]
            size = {"BOOL": 1}.get(one.datatype) or int(one.datatype.lstrip("UINTFP")) // 8
            raw = np.array(values, f"<{kind}{size}").tobytes()
        request.raw_input_contents.append(raw)
        one.ClearField("contents")
    return request


async def over_http(app: Any, rows: list[dict[str, Any]], *, is_binary: bool) -> dict[str, list[Any]]:
    """The answers through V2 as JSON, asked for with tensors in JSON or in binary form."""
    inputs = [
        {"name": name, "datatype": datatype, "shape": [len(rows)] + [2] * (name == "pair")}
        | {"data": [row[name] for row in rows]}
        for name, datatype in DATATYPES.items()
    ]
    headers, after = {}, b""
    if is_binary:
        raw = binary(rows).raw_input_contents
        for one, part in zip(inputs, raw, strict=True):
            del one["data"]
            one["parameters"] = {"binary_data_size": len(part)}
        after = b"".join(raw)
    head = json.dumps({"inputs": inputs}).encode()
    if is_binary:
        headers = {"inference-header-content-length": str(len(head)), "content-type": "application/octet-stream"}
    reply = await ask(app, "POST", "/v2/models/echo/infer", head + after, headers)
    assert reply.status == 200, reply.body
    return {one["name"]: one["data"] for one in json.loads(reply.body)["outputs"]}


def bits(found: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Values that are equal only if all bits are: floats with their sign of zero, texts as bytes."""
    return {
        name: [one.hex() if type(one) is float else one.encode() if type(one) is str else one for one in values]
        for name, values in found.items()
    }


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ROWS, min_size=1, max_size=5))
def test_rows_of_every_datatype_get_the_same_bits_through_json_binary_and_grpc(
    requests: list[list[dict[str, Any]]],
) -> None:
    async def run() -> None:
        async with running(ECHO, GRPC) as app, connected(app.grpc.port) as client:
            for rows in requests:
                wanted = bits(await over_http(app, rows, is_binary=False))
                assert bits(await over_http(app, rows, is_binary=True)) == wanted
                for request in (typed(rows), binary(rows)):
                    response = await client.ask("ModelInfer", request)
                    assert bits(elements(response)) == wanted
                    assert bool(response.raw_output_contents) == bool(request.raw_input_contents)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("datatype", "raw"),
    [
        ("FP16", np.array([1.5], "<f2").tobytes()),
        ("BF16", (np.array([1.5], "<f4").view("<u4") >> 16).astype("<u2").tobytes()),
        ("FP32", np.array([1.5], "<f4").tobytes()),
        ("INT8", b"\x03"),
        ("UINT64", (7).to_bytes(8, "little")),
    ],
)
def test_any_type_of_number_may_be_sent_in_binary_form(datatype: str, raw: bytes) -> None:
    value = {"INT8": 3.0, "UINT64": 7.0}.get(datatype, 1.5)
    response = served(lambda client: client.ask("ModelInfer", infer("adder", tensor("x", datatype, [1]), raw=[raw])))
    assert elements(response) == {"total": [value + 1], "kind": [b"a"]}


def test_a_response_has_the_outputs_asked_for_and_the_id() -> None:
    request = infer("adder", tensor("x", "FP64", [2], [1.0, 2.0]), outputs=("kind",), id="seven", model_version="1.2.0")
    response = served(lambda client: client.ask("ModelInfer", request))
    assert (response.id, response.model_name, response.model_version) == ("seven", "adder", "1.2.0")
    assert [(one.name, one.datatype, list(one.shape)) for one in response.outputs] == [("kind", "BYTES", [2])]


def test_parameters_of_clients_of_triton_change_nothing() -> None:
    request = point()
    request.parameters["priority"].uint64_param = 3
    request.parameters["sequence_start"].bool_param = True
    request.inputs[0].parameters["content_type"].string_param = "np"
    assert elements(served(lambda client: client.ask("ModelInfer", request)))["total"] == [2.0]


X = tensor("x", "FP64", [1])
ONE = np.ones(1).tobytes()
WRONG: dict[str, tuple[Any, str, str, str]] = {
    "another model": (infer("rose", X, raw=[ONE]), "NOT_FOUND", "not-found", "model 'rose' is not served here"),
    "another version": (infer("adder", model_version="9"), "NOT_FOUND", "not-found", "version '9' is not served"),
    "no inputs": (infer("adder"), "INVALID_ARGUMENT", "invalid", "body.inputs: List should have at least 1 item"),
    "no such input": (infer("adder", tensor("z", "FP64", [1], [1])), "INVALID_ARGUMENT", "invalid", "no input of this"),
    "no such datatype": (infer("adder", tensor("x", "FP9", [1])), "INVALID_ARGUMENT", "invalid", "must be FP64"),
    "no such datatype, in binary form": (
        infer("adder", tensor("x", "FP9", [1]), raw=[ONE]), "INVALID_ARGUMENT", "invalid", "no datatype 'FP9'"),
    "too few bytes": (infer("adder", X, raw=[b"123"]), "INVALID_ARGUMENT", "invalid", "3 bytes are not 1 elements"),
    "too many tensors": (infer("adder", X, raw=[ONE, ONE]), "INVALID_ARGUMENT", "invalid", "send one for each"),
    "no elements": (infer("adder", X), "INVALID_ARGUMENT", "invalid", "0 elements do not fill shape [1]"),
    "both forms": (
        infer("adder", tensor("x", "FP64", [1], [1]), raw=[ONE]), "INVALID_ARGUMENT", "invalid", "which of the two"),
    "typed FP16": (infer("adder", tensor("x", "FP16", [1])), "INVALID_ARGUMENT", "invalid", "in raw_input_contents"),
    "no shape": (infer("adder", tensor("x", "FP64", [], [1])), "INVALID_ARGUMENT", "invalid", "body.inputs.0.shape"),
    "a negative shape": (
        infer("adder", tensor("x", "FP64", [-1]), raw=[ONE]), "INVALID_ARGUMENT", "invalid", "no negative number"),
    "a huge shape": (
        infer("adder", tensor("x", "FP64", [2**62, 2**62]), raw=[ONE]), "INVALID_ARGUMENT", "invalid", "more than 300"),
    "out of range": (infer("adder", tensor("x", "FP64", [1], [1e9])), "INVALID_ARGUMENT", "invalid", "less than or eq"),
    "no such output": (infer("adder", X, raw=[ONE], outputs=("z",)), "INVALID_ARGUMENT", "invalid", "no output has"),
    "text that is not UTF-8": (
        infer("adder", tensor("kind", "BYTES", [1], [b"\xff"]), X), "INVALID_ARGUMENT", "invalid", "not UTF-8"),
    "the model fails": (point(13), "INTERNAL", "model-failed", "the model could not answer"),
    "an answer that is not finite": (point(14), "INTERNAL", "model-failed", "the model could not answer"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_request_gets_a_code_a_kind_and_the_reason(what: str) -> None:
    request, code, kind, reason = WRONG[what]
    failure = served(lambda client: client.ask("ModelInfer", request, metadata=(("x-request-id", "mine"),)))
    assert (failure.code, failure.kind) == (code, kind)
    assert reason in failure.text
    assert (failure.metadata["x-request-id"], failure.metadata["x-model-version"]) == ("mine", "1.2.0")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_messages_get_an_answer_or_a_client_error(data: st.DataObject) -> None:
    whole = binary([dict.fromkeys(DATATYPES, 1) | {"yes": True, "text": "a", "pair": [1.0, 2.0]}]).SerializeToString()

    def damaged() -> bytes:
        body = bytearray(whole)
        for _ in range(data.draw(st.integers(0, 4))):
            place = data.draw(st.integers(0, len(body) - 1))
            body[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
        return bytes(body)

    async def attack(client: Client) -> None:
        for _ in range(20):
            answer = await client.send("ModelInfer", damaged())
            assert isinstance(answer, bytes) or answer.code in ("INVALID_ARGUMENT", "NOT_FOUND"), answer
        assert (await client.ask("ServerLive")).live

    served(attack, ECHO)


def nested(depth: int) -> bytes:
    """A field that no message has, of so many groups in each other."""
    return b"\x2a" + bytes([2 * depth]) + b"\xf3\x01" * depth


def test_a_message_that_is_nested_too_deeply_is_refused() -> None:
    failure = served(lambda client: client.send("ModelInfer", nested(60)))
    assert (failure.code, failure.kind) == ("INVALID_ARGUMENT", "invalid")


def test_a_message_above_the_limit_of_a_body_is_refused() -> None:
    chosen = Settings(grpc_port=0, max_body_bytes=1000)
    failure = served(lambda client: client.ask("ModelInfer", infer("adder", X, raw=[b"x" * 1000])), None, chosen)
    assert failure.code == "RESOURCE_EXHAUSTED"


def test_more_rows_or_elements_than_the_limits_are_refused() -> None:
    chosen = Settings(grpc_port=0, max_request_rows=2, max_request_values=1000)

    async def work(client: Client) -> list[Failure]:
        rows = infer("adder", tensor("x", "FP64", [3], [1.0] * 3))
        values = infer("adder", tensor("x", "FP64", [2000], [1.0] * 2000))
        raw = infer("adder", tensor("x", "FP64", [2000]), raw=[ONE * 2000])
        return [await client.ask("ModelInfer", one) for one in (rows, values, raw)]

    texts = [(one.code, one.text) for one in served(work, None, chosen)]
    assert [code for code, _ in texts] == ["INVALID_ARGUMENT"] * 3
    assert "between 1 and 2 rows" in texts[0][1]
    assert all("more than 1000 elements" in text for _, text in texts[1:])


def test_a_shape_of_very_many_numbers_is_refused() -> None:
    failure = served(lambda client: client.ask("ModelInfer", infer("adder", tensor("x", "FP64", [1] * 9, [1.0]))))
    assert (failure.code, "more than 8 numbers" in failure.text) == ("INVALID_ARGUMENT", True)


def test_very_many_parameters_are_refused() -> None:
    request = point()
    for number in range(1000):
        request.inputs[0].parameters[str(number)].bool_param = True
    failure = served(lambda client: client.ask("ModelInfer", request))
    assert (failure.code, "parameters" in failure.text) == ("INVALID_ARGUMENT", True)


class Maybe(BaseModel):
    """An answer that may lack a whole number, or a fraction."""

    n: int | None
    x: float | None


class Nothing(fairlead.Model[Point, Maybe]):
    """Knows neither."""

    def predict(self, rows: list[Point]) -> list[Maybe]:
        return [Maybe(n=None, x=None) for _ in rows]


def test_null_is_nan_in_a_fraction_and_refused_in_a_whole_number() -> None:
    model = Served(model=Nothing, answer_type=Maybe, golden=())

    async def work(client: Client) -> tuple[Any, Failure]:
        request = infer("adder", tensor("x", "FP64", [1], [1.0]), outputs=("x",))
        return await client.ask("ModelInfer", request), await client.ask("ModelInfer", point())

    answered, failure = served(work, model)
    assert math.isnan(elements(answered)["x"][0])
    assert (failure.code, "the output n has null" in failure.text) == ("INVALID_ARGUMENT", True)


def test_metadata_says_the_inputs_and_outputs() -> None:
    async def work(client: Client) -> tuple[Any, Any]:
        return (
            await client.ask("ModelMetadata", message("ModelMetadataRequest")(name="adder")),
            await client.ask("ServerMetadata"),
        )

    model, server = served(work)
    assert (model.name, list(model.versions), model.platform) == ("adder", ["1.2.0"], "fairlead_python")
    assert [(one.name, one.datatype, list(one.shape)) for one in model.inputs][:2] == [
        ("x", "FP64", [-1]),
        ("y", "FP64", [-1]),
    ]
    assert (server.name, server.version) == ("fairlead", fairlead.__version__)


def test_calls_are_counted_as_those_of_http_are() -> None:
    async def run() -> tuple[str, dict[str, int]]:
        async with running(None, GRPC) as app, connected(app.grpc.port) as client:
            for request in (point(), point(), point(13), infer("adder")):
                await client.ask("ModelInfer", request)
            async with asyncio.timeout(5):
                while app.grpc.in_flight:  # a call is counted when it has ended, after its client has the answer
                    await asyncio.sleep(0.01)
            return app.metrics.text().decode(), app.answers.problems.counts()

    text, counted = asyncio.run(run())
    for code, count in (("200", 2), ("500", 1), ("422", 1)):
        labels = f'code="{code}",model="adder",protocol="grpc",version="1.2.0"'
        assert f"fairlead_model_requests_total{{{labels}}} {count}.0" in text
    assert sorted(counted)[0].startswith("422 body.inputs: List should have at least 1 item")
    assert sorted(counted)[1].startswith("500 ValueError at small_models.py")


def test_rows_of_calls_are_counted_for_drift_as_those_of_http_are() -> None:
    async def run() -> str:
        model = Served(profile=profiles.of_points())
        async with running(model, GRPC) as app, connected(app.grpc.port) as client:
            for x in (3.0, 99.0):
                await client.ask("ModelInfer", point(x))
            reply = await ask(app, "GET", "/metrics/drift")
            return reply.body.decode()

    text = asyncio.run(run())
    assert profiles.values(text, "x") == {"lo": 0, "00": 1, "01": 0, "hi": 1, "na": 0}
    assert profiles.samples(text)["drift_requests_total", ()] == 2
