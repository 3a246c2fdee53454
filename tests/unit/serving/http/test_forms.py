"""The forms in which clients of KServe and Triton send rows and read answers: lists, a matrix, types, encodings."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

import fairlead
from fairlead.serving.http import encodings, problems
from fairlead.serving.inference import contract, tensors
from fairlead.serving.settings import Settings
from support.small_models import Reply, Served, ask, manifest, running


class Flower(BaseModel):
    """Two numbers, one of them whole."""

    width: float = Field(gt=0, le=10)
    petals: int


class Bloom(BaseModel):
    """What was received."""

    width: float
    petals: int


class Florist(fairlead.Model[Flower, Bloom]):
    """Returns its rows."""

    def predict(self, rows: list[Flower]) -> list[Bloom]:
        return [Bloom(width=row.width, petals=row.petals) for row in rows]


class Vector(BaseModel):
    """One field of three numbers."""

    features: list[float] = Field(min_length=3, max_length=3)


class Total(BaseModel):
    """A sum."""

    total: float


class Adder(fairlead.Model[Vector, Total]):
    """Adds the numbers of a row."""

    def predict(self, rows: list[Vector]) -> list[Total]:
        return [Total(total=sum(row.features)) for row in rows]


class Text(BaseModel):
    """A field that is no number."""

    text: str


class Length(BaseModel):
    """The number of characters."""

    length: int


class Counter(fairlead.Model[Text, Length]):
    """Counts characters."""

    def predict(self, rows: list[Text]) -> list[Length]:
        return [Length(length=len(row.text)) for row in rows]


class Sparse(BaseModel):
    """Numbers that may be missing."""

    x: float | None
    n: int | None = None


class Mirror(fairlead.Model[Sparse, Sparse]):
    """Returns its rows."""

    def predict(self, rows: list[Sparse]) -> list[Sparse]:
        return rows


def served(model: type[fairlead.Model[Any, Any]]) -> Served:
    return Served(model, model.row_type, model.answer_type, (), manifest(name="flowers"))


FLOWERS, VECTORS, TEXTS, SPARSE = (served(model) for model in (Florist, Adder, Counter, Mirror))
PREDICT, V1, V2 = "/predict", "/v1/models/flowers:predict", "/v2/models/flowers/infer"


def send(
    model: Served,
    path: str,
    body: Any,
    headers: dict[str, str] | None = None,
    *,
    method: str = "POST",
    settings: Settings | None = None,
) -> Reply:
    async def once() -> Reply:
        async with running(model, settings) as app:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            return await ask(app, method, path, data, headers)

    return asyncio.run(once())


def detail(reply: Reply) -> str:
    text: str = json.loads(reply.body)["error"]
    return text


def tensor(name: str, shape: list[int], datatype: str, data: list[Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data, **more}


def outputs(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply
    return {output["name"]: output["data"] for output in json.loads(reply.body)["outputs"]}


# ---- rows as lists

ROWS = [{"width": 1.5, "petals": 3}, {"width": 2.5, "petals": 4}]


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
        (tensor("a", [1, 2], "FP32", [11, 3]), "body.0.width: Input should be less than or equal to 10"),
        (tensor("a", [1, 2], "FP32", [1.5, 3.5]), "body.inputs.0.data.1: Input should be a whole number"),
        (tensor("a", [1, 2], "INT32", [1, None]), "body.inputs.0.data.1: Input should be a INT32 element"),
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


# ---- types of numbers

WHOLE = tensors.Tensor("n", "INT64")
REAL = tensors.Tensor("x", "FP64")
DATATYPES = [*tensors.INTEGERS, *tensors.FLOATS]
NUMBERS = st.integers(-(2**70), 2**70) | st.floats() | st.integers(-300, 300) | st.integers(2**53 - 2, 2**53 + 2)


@given(field=st.sampled_from([WHOLE, REAL]), datatype=st.sampled_from(DATATYPES), value=NUMBERS)
def test_a_number_of_another_type_keeps_its_value_or_is_refused(
    field: tensors.Tensor, datatype: str, value: int | float
) -> None:
    assert field.takes(datatype)
    try:
        (read,) = tensors.values(field, [value], 1, ("data",), datatype)
    except fairlead.errors.Invalid:
        bounds = tensors.INTEGERS.get(datatype)
        fits = bounds is None or (isinstance(value, int) and bounds[0] <= value <= bounds[1])
        exact = math.isfinite(value) and (
            tensors.INT64[0] <= value <= tensors.INT64[1] and float(value).is_integer()
            if field is WHOLE
            else isinstance(value, float) or abs(value) <= tensors.EXACT
        )
        assert not (fits and exact)
        return
    assert type(read) is (int if field is WHOLE else float)
    if datatype in tensors.FLOATS and field is REAL:  # JSON may write a float without a point
        value = float(value)
    assert read == value


@pytest.mark.parametrize("datatype", ["BOOL", "BYTES", "FP128", "fp64"])
def test_what_is_no_type_of_number_is_refused_for_a_number(datatype: str) -> None:
    assert not REAL.takes(datatype)
    assert not WHOLE.takes(datatype)


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
        {"parameters": {"binary_data_output": True}},
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


def test_tensors_in_binary_form_are_refused_with_what_to_do() -> None:
    headers = {"inference-header-content-length": "5", "content-type": ""}
    reply = send(FLOWERS, V2, b"{}   binary", headers)
    assert (reply.status, "binary_data=False" in detail(reply)) == (415, True)
    sized = {"name": "a", "shape": [1, 2], "datatype": "FP32", "parameters": {"binary_data_size": 8}}
    reply = send(FLOWERS, V2, {"inputs": [sized]})
    assert (reply.status, "binary_data=False" in detail(reply)) == (422, True)


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


# ---- what Triton's clients ask for


def test_the_configuration_has_the_form_of_triton() -> None:
    for path in ("/v2/models/flowers/config", "/v2/models/flowers/versions/1.2.0/config"):
        config = json.loads(send(FLOWERS, path, b"", method="GET").body)
        assert (config["name"], config["max_batch_size"]) == ("flowers", Settings().max_request_rows)
        width = {"name": "width", "data_type": "TYPE_FP64", "dims": [1], "reshape": {"shape": []}}
        assert config["output"][0] == width
        assert config["input"][0] == {**width, "optional": False}
    assert json.loads(send(VECTORS, "/v2/models/flowers/config", b"", method="GET").body)["input"][0]["dims"] == [3]


def test_the_statistics_count_what_was_answered() -> None:
    async def check() -> None:
        async with running(FLOWERS) as app:
            for body in (b"[[1.5, 3], [2.5, 4]]", b'{"width": 1.5, "petals": 3}', b"{}"):
                await ask(app, "POST", PREDICT, body)
            for path in ("/v2/models/flowers/stats", "/v2/models/flowers/versions/1.2.0/stats", "/v2/models/stats"):
                (stats,) = json.loads((await ask(app, "GET", path)).body)["model_stats"]
                assert (stats["name"], stats["version"]) == ("flowers", "1.2.0")
                assert (stats["inference_count"], stats["execution_count"]) == (3, 2)
                durations = stats["inference_stats"]
                assert [durations[name]["count"] for name in ("success", "fail", "compute_infer")] == [2, 1, 2]
                assert durations["success"]["ns"] >= durations["compute_infer"]["ns"] > 0

    asyncio.run(check())


def test_the_repository_index_has_the_one_model_and_its_state() -> None:
    reply = send(FLOWERS, "/v2/repository/index", b"")
    assert json.loads(reply.body) == [{"name": "flowers", "version": "1.2.0", "state": "READY", "reason": ""}]


def test_the_client_of_kserve_v1_finds_the_server_alive() -> None:
    assert json.loads(send(FLOWERS, "/", b"", method="GET").body) == {"status": "alive"}


# ---- compressed bodies


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


# ---- keys given twice


class Inner(BaseModel):
    """A nested object."""

    a: float


class Nested(BaseModel):
    """Text that may have colons, and a nested object."""

    text: str
    inner: Inner


class Flat(BaseModel):
    """Text without a nested object; b may be left out."""

    a: str
    b: str = ""


def terms(row_type: type[BaseModel]) -> contract.Contract:
    return contract.Contract(fairlead.serving.formats.strict.strict(row_type), Bloom, 10)


TERMS, FLAT_TERMS = terms(Nested), terms(Flat)
PIECES = st.sampled_from(["a", "b", ":", '"', "\\", '"a"', "x", "\u2028", "é"])
TEXTS_WITH_KEYS = st.lists(PIECES, max_size=4).map("".join)
KEYS = st.sampled_from(['"a"', '"b"', '"\\u0061"', '"\\u0062"'])


@given(rows=st.lists(st.lists(st.tuples(KEYS, TEXTS_WITH_KEYS), max_size=4), min_size=1, max_size=3))
def test_rows_of_text_are_accepted_exactly_if_no_key_is_twice(rows: list[list[tuple[str, str]]]) -> None:
    body = ",".join("{" + ",".join(f"{key}: {json.dumps(text)}" for key, text in row) + "}" for row in rows)
    names = [[json.loads(key) for key, _ in row] for row in rows]
    is_valid = all("a" in row for row in names) and all(len(set(row)) == len(row) for row in names)
    attempts: list[tuple[Callable[[bytes], list[BaseModel]], str]] = [
        (FLAT_TERMS.decode_many, f"[{body}]"),
        (FLAT_TERMS.decode_instances, f'{{"instances": [{body}]}}'),
    ]
    if len(rows) == 1:
        attempts.append((FLAT_TERMS.decode_one, body))
    for decode, document in attempts:
        if is_valid:
            assert [row.model_fields_set for row in decode(document.encode())] == [set(row) for row in names]
        else:
            with pytest.raises(fairlead.errors.Invalid):
                decode(document.encode())


@given(text=st.text(), twice=st.sampled_from(["", "text", "inner", "a"]))
def test_a_key_is_found_twice_exactly_if_it_is_twice(text: str, twice: str) -> None:
    extra = {"": "", "text": '"te\\u0078t": "a:b",', "inner": '"inner": {"a": 1},', "a": ""}[twice]
    inner = '{"a": 1, "a": 2}' if twice == "a" else '{"a": 1}'
    body = f'{{{extra} "text": {json.dumps(text)}, "inner": {inner}}}'.encode()
    if not twice:
        assert TERMS.decode_one(body)
        return
    with pytest.raises(fairlead.errors.Invalid, match=f"the key '{twice}' occurs twice") as caught:
        TERMS.decode_one(body)
    assert caught.value.details[0].loc == ("body", *(["inner", "a"] if twice == "a" else [twice]))


def test_validators_that_set_fields_do_not_hide_a_key_given_twice() -> None:
    class Helpful(BaseModel):
        x: float
        y: float = 0.0

        def model_post_init(self, context: Any) -> None:
            self.y = self.x

    with pytest.raises(fairlead.errors.Invalid, match="twice"):
        terms(Helpful).decode_one(b'{"x": 1, "x": 2}')


def test_another_name_of_a_field_does_not_hide_a_key_given_twice() -> None:
    class Aliased(BaseModel):
        model_config = ConfigDict(populate_by_name=True)
        x: str = Field(alias="ex")
        y: str = Field(alias="why")

    with pytest.raises(fairlead.errors.Invalid, match="twice"):
        terms(Aliased).decode_one(b'{"ex": ":", "ex": ":", "y": ":"}')
