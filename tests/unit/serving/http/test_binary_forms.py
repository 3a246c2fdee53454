"""Requests and responses of V2 with tensors in binary form: they mean the same as in JSON, on both ways in."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest
from pydantic import BaseModel

import fairlead
from fairlead.serving.settings import Settings
from support.small_models import Reply, Wire, ask, begin, running
from unit.serving.http.flowers import FLOWERS, PREDICT, V2, detail, send, served, tensor

HEADER = "inference-header-content-length"
OCTETS = "application/octet-stream"
WIDTHS, PETALS = np.array([1.5, 2.5]), np.array([3, 4])
WIDTH = {"name": "width", "shape": [2], "datatype": "FP64", "parameters": {"binary_data_size": 16}}
PETAL = {"name": "petals", "shape": [2], "datatype": "INT64", "parameters": {"binary_data_size": 16}}
RAW = WIDTHS.tobytes() + PETALS.tobytes()


def mixed(document: dict[str, Any], raw: bytes = b"", *, size: int | str | None = None) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a request as the client of Triton sends it."""
    head = json.dumps(document).encode()
    return head + raw, {HEADER: str(len(head) if size is None else size), "content-type": OCTETS}


def read(reply: Reply) -> dict[str, Any]:
    """The values of each output, from JSON or from the bytes after it."""
    size = int(reply.headers.get(HEADER, len(reply.body)))
    after, found = reply.body[size:], {}
    for output in json.loads(reply.body[:size])["outputs"]:
        if "data" in output:
            found[output["name"]] = output["data"]
            continue
        length = output["parameters"]["binary_data_size"]
        kind = {"FP64": "<f8", "INT64": "<i8"}[output["datatype"]]
        found[output["name"]] = np.frombuffer(after[:length], kind).reshape(output["shape"]).tolist()
        after = after[length:]
    assert after == b""
    return found


def both(body: bytes, headers: dict[str, str]) -> list[Reply]:
    """The responses to one request that comes whole, as the server gives it, and in small parts."""

    async def check() -> list[Reply]:
        async with running(FLOWERS) as app:
            wire = Wire()
            whole = begin(app, V2, body, headers, wire=wire)
            first = await wire.reply() if whole else await ask(app, "POST", V2, body, headers)
            return [first, await ask(app, "POST", V2, body, headers, chunk=7)]

    return asyncio.run(check())


@pytest.mark.parametrize(
    ("document", "raw"),
    [
        ({"inputs": [WIDTH, PETAL]}, RAW),
        ({"inputs": [WIDTH, {**PETAL, "datatype": "INT8", "parameters": {"binary_data_size": 2}}]}, RAW[:16] + b"\3\4"),
        ({"inputs": [tensor("width", [2], "FP64", [1.5, 2.5]), PETAL]}, RAW[16:]),
        ({"inputs": [WIDTH, tensor("petals", [2], "INT64", [3, 4])]}, RAW[:16]),
        (
            {"inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "parameters": {"binary_data_size": 16}}]},
            np.array([[1.5, 3], [2.5, 4]], "<f4").tobytes(),
        ),
        ({"inputs": [tensor("width", [2], "FP64", [1.5, 2.5]), tensor("petals", [2], "INT64", [3, 4])]}, b""),
    ],
    ids=["all", "another datatype", "the second", "the first", "a matrix", "none"],
)
def test_inputs_in_binary_form_are_the_same_rows(document: dict[str, Any], raw: bytes) -> None:
    for reply in both(*mixed(document, raw)):
        assert reply.status == 200, reply.body
        assert reply.headers["content-type"] == "application/json"
        assert read(reply) == {"width": [1.5, 2.5], "petals": [3, 4]}


@pytest.mark.parametrize(
    ("asked", "binary"),
    [
        ({"parameters": {"binary_data_output": True}}, 2),
        ({"outputs": [{"name": "width", "parameters": {"binary_data": True}}, {"name": "petals"}]}, 1),
        (
            {
                "parameters": {"binary_data_output": True},
                "outputs": [{"name": "petals", "parameters": {"binary_data": False}}, {"name": "width"}],
            },
            1,
        ),
    ],
)
def test_outputs_are_in_binary_form_where_the_request_asks_for_it(asked: dict[str, Any], binary: int) -> None:
    rows = [tensor("width", [2], "FP64", [1.5, 2.5]), tensor("petals", [2], "INT64", [3, 4])]
    for reply in both(json.dumps({"inputs": rows, **asked}).encode(), {}):
        size = int(reply.headers[HEADER])
        assert reply.headers["content-type"] == OCTETS
        assert len(reply.body) == int(reply.headers["content-length"]) == size + binary * 16
        assert read(reply) == {"width": [1.5, 2.5], "petals": [3, 4]}


def test_many_answers_are_in_binary_form_too() -> None:
    widths = np.linspace(1, 9, 3000)
    inputs = [
        {**WIDTH, "shape": [3000], "parameters": {"binary_data_size": 24_000}},
        {**PETAL, "shape": [3000], "parameters": {"binary_data_size": 24_000}},
    ]
    document = {"inputs": inputs, "parameters": {"binary_data_output": True}}
    body, headers = mixed(document, widths.tobytes() + np.arange(3000).tobytes())
    assert read(send(FLOWERS, V2, body, headers)) == {"width": widths.tolist(), "petals": list(range(3000))}


def test_an_output_with_a_null_that_has_no_binary_form_stays_json() -> None:
    class Row(BaseModel):
        x: float

    class Perhaps(BaseModel):
        count: int | None
        share: float | None

    class Nothing(fairlead.Model[Row, Perhaps]):
        def predict(self, rows: list[Row]) -> list[Perhaps]:
            return [Perhaps(count=None, share=None) for _ in rows]

    document = {"inputs": [tensor("x", [1], "FP64", [1.0])], "parameters": {"binary_data_output": True}}
    found = read(send(served(Nothing), V2, document))
    assert found["count"] == [None]
    assert np.isnan(found["share"]).all()


@pytest.mark.parametrize(
    ("document", "raw", "said"),
    [
        ({"inputs": [WIDTH, PETAL]}, RAW[:-1], "body.inputs.1.parameters.binary_data_size: the body has 15 bytes left"),
        ({"inputs": [WIDTH, PETAL]}, RAW + b"x", "body: the body has 1 bytes after its JSON that belong to no input"),
        ({"inputs": [WIDTH | {"shape": [3]}, PETAL]}, RAW, "body.inputs.0.data: 16 bytes are not 3 elements of FP64"),
        ({"inputs": [WIDTH | {"shape": [-1]}, PETAL]}, RAW, "body.inputs.0.shape"),
        ({"inputs": [WIDTH | {"shape": [2**62, 2**62]}, PETAL]}, RAW, "more than 300000 elements"),
        ({"inputs": [WIDTH | {"data": [1.5, 2.5]}, PETAL]}, RAW, "body.inputs.0.data: must be left out"),
        ({"inputs": [WIDTH | {"parameters": {"binary_data_size": "16"}}, PETAL]}, RAW, "must be a number of bytes"),
        ({"inputs": [WIDTH | {"parameters": {"binary_data_size": -1}}, PETAL]}, RAW, "must be a number of bytes"),
        ({"inputs": [WIDTH | {"datatype": "BOOL"}, PETAL]}, RAW, "body.inputs.0.data: 16 bytes are not 2 elements"),
        ({"inputs": [WIDTH | {"datatype": "x" * 90}, PETAL]}, RAW, "body.inputs.0.data: there is no datatype 'xxxx"),
        (
            {"inputs": [WIDTH | {"parameters": {"binary_data_size": 16, "shared_memory_region": "a"}}, PETAL]},
            RAW,
            "shared memory is not supported",
        ),
        ({"inputs": [WIDTH, PETAL], "parameters": {"binary_data_output": "yes"}}, RAW, "must be true or false"),
        ({"inputs": [WIDTH, PETAL], "outputs": [{"name": "width", "parameters": {"binary_data": 1}}]}, RAW, "must be"),
        ({"inputs": [WIDTH, PETAL]}, np.array([99.0, 1]).tobytes() + RAW[16:], "body.inputs.0.data.0: Input should be"),
    ],
)
def test_a_binary_part_that_does_not_fit_the_json_is_refused_with_the_place(
    document: dict[str, Any], raw: bytes, said: str
) -> None:
    for reply in both(*mixed(document, raw)):
        assert (reply.status, said in detail(reply)) == (422, True), detail(reply)


@pytest.mark.parametrize("size", ["x", "", "-1", "9999", "1e3", "9" * 40])
def test_a_header_that_is_not_the_length_of_the_json_is_refused(size: str) -> None:
    body, headers = mixed({"inputs": [WIDTH, PETAL]}, RAW, size=size)
    reply = send(FLOWERS, V2, body, headers)
    assert reply.status in (415, 422), detail(reply)


def test_a_binary_input_without_the_header_is_refused_with_its_name() -> None:
    reply = send(FLOWERS, V2, {"inputs": [WIDTH, PETAL]})
    assert (reply.status, HEADER in detail(reply)) == (422, True)


def test_binary_tensors_belong_to_v2() -> None:
    body, headers = mixed({"inputs": [WIDTH, PETAL]}, RAW)
    reply = send(FLOWERS, PREDICT, body, headers)
    assert (reply.status, "/v2/models/{model}/infer" in detail(reply)) == (415, True)


def test_binary_answers_have_the_same_limit() -> None:
    rows = {"shape": [100], "parameters": {"binary_data_size": 800}}
    document = {"inputs": [WIDTH | rows, PETAL | rows], "parameters": {"binary_data_output": True}}
    body, headers = mixed(document, np.ones(100).tobytes() + np.arange(100).tobytes())
    reply = send(FLOWERS, V2, body, headers, settings=Settings(max_answer_bytes=1024))
    assert (reply.status, "larger than 1024 bytes" in detail(reply)) == (422, True)


def test_what_is_counted_of_wrong_binary_tensors_has_nothing_of_the_client() -> None:
    wrong = ({"datatype": "secret"}, {"shape": [3]}, {"parameters": {"binary_data_size": 15}})

    async def check() -> dict[str, int]:
        async with running(FLOWERS) as app:
            for one in wrong:
                body, headers = mixed({"inputs": [WIDTH | one, PETAL]}, RAW)
                assert (await ask(app, "POST", V2, body, headers)).status == 422
            return app.answers.problems.counts()

    counted = asyncio.run(check())
    assert set(counted) == {
        "422 body.inputs.data: there is no such datatype",
        "422 body.inputs.data: the binary data has another size",
    }
