"""The forms in which clients of KServe and Triton send rows and read answers: lists, a matrix, nulls, members."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unit.serving.http.flowers import (
    FLOWERS,
    PREDICT,
    ROWS,
    SPARSE,
    TEXTS,
    V1,
    V2,
    VECTORS,
    detail,
    outputs,
    send,
    tensor,
)

# ---- rows as lists


def test_a_row_may_be_a_list_of_numbers_in_the_order_of_the_fields() -> None:
    assert json.loads(send(FLOWERS, PREDICT, [[1.5, 3], [2.5, 4]]).body) == ROWS
    assert json.loads(send(FLOWERS, PREDICT, [[1.5, 3], ROWS[1]]).body) == ROWS
    reply = send(FLOWERS, V1, {"instances": [[1.5, 3], [2.5, 4]]})
    assert json.loads(reply.body) == {"predictions": ROWS}


def test_the_signature_that_clients_of_tensorflow_send_is_not_used() -> None:
    for instances in ([[1.5, 3], [2.5, 4]], ROWS):
        reply = send(FLOWERS, V1, {"signature_name": "serving_default", "instances": instances})
        assert json.loads(reply.body) == {"predictions": ROWS}


def test_a_list_is_the_one_field_of_a_model_whose_field_is_a_list() -> None:
    assert json.loads(send(VECTORS, V1, {"instances": [[1, 2, 3]]}).body) == {"predictions": [{"total": 6.0}]}
    assert send(VECTORS, V1, {"instances": [[1, 2]]}).status == 422


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        ([[1.5, 3, 1]], "a list of numbers in this order, such as [0.5, 1]"),
        ([1.5, 3], 'a row must be an object such as {"width": 0.5, "petals": 1}'),
        ([[11.0, 3]], "body.0.width: Input should be less than or equal to 10"),
        ([[1.5, 3.5]], "body.0.petals"),
        ([["1.5", 3]], "body.0.width"),
    ],
)
def test_a_list_that_is_no_row_is_refused_with_the_form_it_should_have(body: Any, complaint: str) -> None:
    reply = send(FLOWERS, PREDICT, body)
    assert (reply.status, complaint in detail(reply)) == (422, True), detail(reply)


def test_a_list_is_refused_where_a_field_is_no_number() -> None:
    reply = send(TEXTS, V1, {"instances": [["a"]]})
    assert reply.status == 422
    assert 'such as {"text": "text"}; a list is only possible where every field is a number' in detail(reply)


# ---- one matrix


@pytest.mark.parametrize("data", [[1.5, 3, 2.5, 4], [[1.5, 3], [2.5, 4]]], ids=["flat", "nested"])
@pytest.mark.parametrize("datatype", ["FP32", "FP64"])
def test_all_rows_may_come_as_one_matrix_under_any_name(data: list[Any], datatype: str) -> None:
    reply = send(FLOWERS, V2, {"inputs": [tensor("input-0", [2, 2], datatype, data)]})
    assert outputs(reply) == {"width": [1.5, 2.5], "petals": [3, 4]}


def test_the_matrix_is_the_one_field_of_a_model_whose_field_is_a_list() -> None:
    reply = send(VECTORS, V2, {"inputs": [tensor("input-0", [1, 3], "INT32", [1, 2, 3])]})
    assert outputs(reply) == {"total": [6.0]}


def test_columns_may_have_shape_n_1() -> None:
    inputs = [tensor("width", [2, 1], "FP32", [[1.5], [2.5]]), tensor("petals", [2, 1], "INT8", [3, 4])]
    assert outputs(send(FLOWERS, V2, {"inputs": inputs})) == {"width": [1.5, 2.5], "petals": [3, 4]}


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (tensor("a", [1, 2], "FP32", [11, 3]), "body.inputs.0.data.0: width: Input should be less than or equal to 10"),
        (tensor("a", [1, 2], "FP32", [1.5, 3.5]), "body.inputs.0.data.1: petals: Input should be a valid integer"),
        (tensor("a", [1, 2], "INT32", [1, None]), "body.inputs.0.data.1: petals: Input should be a valid integer"),
        (tensor("a", [2, 2], "FP32", [1, 2, 3]), "3 elements do not fill shape [2, 2]"),
        (
            tensor("a", [1, 3], "FP32", [1, 2, 3]),
            "shape.1: must be 2: one column per field, in the order width, petals",
        ),
        (tensor("a", [1], "FP32", [1]), "one tensor each, or all of them as one tensor of shape [1, 2]"),
        (tensor("a", [1, 2], "BYTES", ["1", "2"]), "must be FP64, or another type of number"),
    ],
)
def test_a_wrong_matrix_is_refused_with_the_place_of_the_element(given: dict[str, Any], complaint: str) -> None:
    reply = send(FLOWERS, V2, {"inputs": [given]})
    assert (reply.status, complaint in detail(reply)) == (422, True), detail(reply)


# ---- numbers that may be missing


def test_a_number_that_may_be_missing_has_the_datatype_of_a_number() -> None:
    described = json.loads(send(SPARSE, "/v2/models/flowers", b"", method="GET").body)
    for side in ("inputs", "outputs"):
        assert [(t["name"], t["datatype"], "parameters" in t) for t in described[side]] == [
            ("x", "FP64", False),
            ("n", "INT64", False),
        ]


@pytest.mark.parametrize(
    ("datatype", "missing"),
    [("FP64", "null"), ("FP64", "NaN"), ("FP32", "NaN"), ("INT64", "null"), ("BYTES", '"null"')],
)
def test_null_or_nan_is_a_missing_number(datatype: str, missing: str) -> None:
    one = '"1"' if datatype == "BYTES" else "1"
    data = f'"shape": [2], "datatype": "{datatype}", "data": [{one}, {missing}]'
    body = f'{{"inputs": [{{"name": "x", {data}}}, {{"name": "n", {data}}}]}}'.encode()
    assert outputs(send(SPARSE, V2, body)) == {"x": [1.0, None], "n": [1, None]}


def test_a_matrix_may_have_missing_numbers() -> None:
    body = b'{"inputs": [{"name": "a", "shape": [2, 2], "datatype": "FP64", "data": [[NaN, 3.0], [1.5, null]]}]}'
    assert outputs(send(SPARSE, V2, body)) == {"x": [None, 1.5], "n": [3, None]}


def test_null_is_refused_where_a_number_is_required() -> None:
    reply = send(FLOWERS, V2, {"inputs": [tensor("a", [1, 2], "FP64", [None, 3])]})
    assert reply.status == 422


# ---- members and parameters of known clients

MATRIX = tensor("input-0", [1, 2], "FP32", [1.5, 3])


@pytest.mark.parametrize(
    "more",
    [
        {"parameters": {"binary_data_output": False}},
        {"parameters": {"sequence_id": 1, "sequence_start": True, "priority": 2, "timeout": 100}},
        {"model_name": "flowers", "model_version": None, "id": "a"},
        {"id": None, "parameters": None, "outputs": None},
        {"outputs": []},
        {"outputs": [{"name": "width", "parameters": {"binary_data": False}}, {"name": "petals"}]},
        {"raw_input_contents": []},
    ],
)
def test_members_and_parameters_of_known_clients_are_accepted(more: dict[str, Any]) -> None:
    reply = send(FLOWERS, V2, {"inputs": [MATRIX], **more})
    assert outputs(reply) == {"width": [1.5], "petals": [3]}
    assert reply.headers["content-type"] == "application/json"


# ---- content types

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": ""}, 200),
        ({"content-type": FORM}, 200),
        ({"content-type": FORM, "origin": "https://a.example"}, 415),
        ({"content-type": FORM, "origin": "null"}, 415),
        ({"content-type": FORM, "sec-fetch-site": "cross-site"}, 415),
        ({"content-type": FORM, "sec-fetch-site": "same-origin"}, 415),
        ({"content-type": "", "origin": "https://a.example"}, 415),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "multipart/form-data; boundary=a"}, 415),
        ({"content-type": "application/json", "origin": "https://a.example"}, 200),
    ],
)
def test_a_missing_type_or_a_form_is_json_except_from_a_web_page(headers: dict[str, str], status: int) -> None:
    assert send(FLOWERS, PREDICT, ROWS[0], headers).status == status


# ---- errors


@pytest.mark.parametrize("path", [V1, V2, "/v2/models/nothing/infer", "/v2/models/flowers/versions/9/infer"])
def test_an_error_of_kserves_protocols_has_their_content_type_and_their_member(path: str) -> None:
    reply = send(FLOWERS, path, {})
    assert reply.headers["content-type"] == "application/json"
    assert detail(reply) == json.loads(reply.body)["detail"] != ""


def test_an_error_of_our_own_path_stays_a_problem_document() -> None:
    assert send(FLOWERS, PREDICT, {}).headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("rest", ["", "/ready", "/config", "/stats", "/versions/1.2.0", "/versions/1.2.0/ready"])
def test_post_to_a_path_that_takes_get_is_a_405_with_allow(rest: str) -> None:
    reply = send(FLOWERS, f"/v2/models/flowers{rest}", b"")
    assert (reply.status, reply.headers.get("allow")) == (405, "GET")


def test_get_of_a_path_that_takes_post_is_a_405_with_allow() -> None:
    for path in (V2, "/v2/models/flowers/versions/1.2.0/infer"):
        reply = send(FLOWERS, path, b"", method="GET")
        assert (reply.status, reply.headers.get("allow")) == (405, "POST")


def test_a_path_that_does_not_exist_is_not_called_another_version() -> None:
    reply = send(FLOWERS, "/v2/models/flowers/versions/1.2.0/nothing", b"")
    assert (reply.status, "is not served here" in detail(reply)) == (404, False)
