"""All bad requests to a service of iris, with their responses: those of `bad_http`, and those whose JSON is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from integration.serving.bad_http import (
    FIELD,
    PREDICT,
    ROW,
    V1,
    V2,
    Bad,
    Loc,
    not_http,
    post,
    wrong_encodings,
    wrong_framing,
    wrong_heads,
)

DEEP = b"[" * 100_000
HUGE = b"1" + b"0" * 5000


def everything() -> list[Bad]:
    """All bad inputs."""
    return [
        *wrong_rows(),
        *wrong_bodies(),
        *wrong_instances(),
        *wrong_tensors(),
        *wrong_heads(),
        *wrong_encodings(),
        *keys_given_twice(),
        *wrong_lists(),
        *wrong_framing(),
        *not_http(),
    ]


def wrong_rows() -> Iterator[Bad]:
    """A row with one wrong field: alone, in a list, and as an instance. `loc` is the path to that field."""
    values: dict[str, bytes] = {
        "text": b'"5.1"',
        "null": b"null",
        "true": b"true",
        "a list": b"[5.1]",
        "an object": b"{}",
        "zero": b"0",
        "negative": b"-1",
        "just above the range": b"10.000001",
        "NaN": b"NaN",
        "Infinity": b"Infinity",
        "minus Infinity": b"-Infinity",
        "a number beyond double": b"1e400",
        "an integer of 400 digits": HUGE[:400],
    }
    for name, value in values.items():
        row = json.dumps(ROW).encode().replace(b'"sepal_length": 5.1', b'"sepal_length": ' + value)
        good = json.dumps(ROW).encode()
        yield Bad(f"a field is {name}", post(PREDICT, row), 422, ("body", FIELD))
        yield Bad(
            f"a field of the second row is {name}",
            post(PREDICT, b"[" + good + b"," + row + b"]"),
            422,
            ("body", 1, FIELD),
        )
        yield Bad(
            f"a field of an instance is {name}",
            post(V1, b'{"instances": [' + row + b"]}"),
            422,
            ("body", "instances", 0, FIELD),
        )
    missing = {name: value for name, value in ROW.items() if name != FIELD}
    yield Bad("a field is missing", post(PREDICT, missing), 422, ("body", FIELD))
    yield Bad("no field at all", post(PREDICT, {}), 422, ("body", FIELD))
    yield Bad("an unknown field", post(PREDICT, ROW | {"colour": "blue"}), 422, ("body", "colour"))
    yield Bad("a field in other letters", post(PREDICT, missing | {"Sepal_Length": 5.1}), 422, ("body", "Sepal_Length"))
    yield Bad("an unknown field that is deep", post(PREDICT, ROW | {"x": [[[[{}]]]]}), 422, ("body", "x"))


def wrong_bodies() -> Iterator[Bad]:
    """Bodies that are neither a row nor a list of rows."""
    for name, document in {"null": [None], "a number": [5.1], "text": ["flower"], "a list": [[ROW]]}.items():
        yield Bad(f"the row of a list is {name}", post(PREDICT, document), 422, ("body", 0))
    bodies: dict[str, bytes] = {
        "an integer of 5000 digits": HUGE,
        "empty": b"",
        "blank": b" \r\n\t",
        "null": b"null",
        "a number": b"42",
        "text": b'"flower"',
        "true": b"true",
        "an empty list": b"[]",
        "cut off": json.dumps(ROW).encode()[:-5],
        "two documents": b"{}{}",
        "a comma too many": b'{"sepal_length": 5.1,}',
        "single quotes": b"{'sepal_length': 5.1}",
        "form data": b"sepal_length=5.1&sepal_width=3.5",
        "lists nested 100000 deep": DEEP,
        "objects nested 20000 deep": b'{"a":' * 20_000,
        "invalid UTF-8 in a key": b'{"sepal_\xff": 5.1}',
        "a lone surrogate in a key": b'{"\\ud800": 5.1}',
        "UTF-16": json.dumps(ROW).encode("utf-16"),
        "a NUL byte": b'{"sepal_length": 5.1\x00}',
        "two byte order marks": b"\xef\xbb\xbf" * 2 + json.dumps(ROW).encode(),
        "gzip without saying so": b"\x1f\x8b\x08\x00" + bytes(20),
        "a pickle": b"\x80\x04\x95" + bytes(20),
    }
    for name, body in bodies.items():
        yield Bad(f"the body is {name}", post(PREDICT, body), 422, ("body",))
    yield Bad("one row more than allowed", post(PREDICT, [ROW] * 4097), 422, ("body",))


def wrong_instances() -> Iterator[Bad]:
    """Invalid KServe V1 documents."""
    yield Bad("V1: a bare row", post(V1, ROW), 422, ("body", "instances"))
    yield Bad("V1: a list", post(V1, [ROW]), 422, ("body",))
    yield Bad("V1: null", post(V1, None), 422, ("body",))
    yield Bad("V1: no instances", post(V1, {"instances": []}), 422, ("body", "instances"))
    yield Bad("V1: instances are one row", post(V1, {"instances": ROW}), 422, ("body", "instances"))
    yield Bad("V1: instances are null", post(V1, {"instances": None}), 422, ("body", "instances"))
    yield Bad("V1: a member too many", post(V1, {"instances": [ROW], "inputs": []}), 422, ("body", "inputs"))
    yield Bad("V1: cut off", post(V1, b'{"instances": [{"sepal'), 422, ("body",))
    yield Bad("V1: NaN alone", post(V1, b"NaN"), 422, ("body",))
    yield Bad("V1: deep", post(V1, b'{"instances": ' + DEEP), 422, ("body",))


def tensors(**changes: Any) -> list[dict[str, Any]]:
    """One row as tensors; `changes` are applied to the first one."""
    made = [{"name": name, "shape": [1], "datatype": "FP64", "data": [value]} for name, value in ROW.items()]
    made[0] |= changes
    return made


def matrix(columns: int) -> dict[str, Any]:
    """Two rows as one tensor, in the form of KServe's documentation."""
    return {"name": "input-0", "shape": [2, columns], "datatype": "FP32", "data": [[5.1] * columns] * 2}


def wrong_tensors() -> Iterator[Bad]:
    """Open Inference Protocol documents that are wrong in the first tensor or as a whole."""
    first: Loc = ("body", "inputs", 0)
    one: dict[str, tuple[dict[str, Any], Loc]] = {
        "no such input": ({"name": "colour"}, (*first, "name")),
        "the name is null": ({"name": None}, (*first, "name")),
        "BOOL for FP64": ({"datatype": "BOOL"}, (*first, "datatype")),
        "an INT8 beyond INT8": ({"datatype": "INT8", "data": [300]}, (*first, "data", 0)),
        "an INT64 beyond 2^53": ({"datatype": "INT64", "data": [2**53 + 1]}, (*first, "data", 0)),
        "a fraction in INT32": ({"datatype": "INT32", "data": [5.1]}, (*first, "data", 0)),
        "the data in binary form": (
            {"data": None, "parameters": {"binary_data_size": 8}},
            (*first, "parameters", "binary_data_size"),
        ),
        "the data in shared memory": (
            {"data": None, "parameters": {"shared_memory_region": "a"}},
            (*first, "parameters", "shared_memory_region"),
        ),
        "a datatype that does not exist": ({"datatype": "FP65"}, (*first, "datatype")),
        "the datatype is a number": ({"datatype": 64}, (*first, "datatype")),
        "no dimension": ({"shape": []}, (*first, "shape")),
        "a dimension too many": ({"shape": [1, 1, 1]}, (*first, "shape")),
        "a second dimension of 2": ({"shape": [1, 2], "data": [1.0, 2.0]}, (*first, "shape")),
        "nine dimensions": ({"shape": [1] * 9}, (*first, "shape")),
        "no rows": ({"shape": [0], "data": []}, (*first, "shape", 0)),
        "a negative dimension": ({"shape": [-1]}, (*first, "shape", 0)),
        "a dimension of 2^63": ({"shape": [2**63]}, (*first, "shape", 0)),
        "a dimension of 10^30": ({"shape": [10**30]}, (*first, "shape", 0)),
        "a dimension that is text": ({"shape": ["1"]}, (*first, "shape", 0)),
        "a dimension that is no whole number": ({"shape": [1.5]}, (*first, "shape", 0)),
        "the shape is a number": ({"shape": 1}, (*first, "shape")),
        "more rows than data": ({"shape": [2]}, (*first, "data")),
        "more data than rows": ({"data": [1.0, 2.0]}, (*first, "data")),
        "no data": ({"data": []}, (*first, "data")),
        "data is a number": ({"data": 1.0}, (*first, "data")),
        "data is null": ({"data": None}, (*first, "data")),
        "an element is text": ({"data": ["5.1"]}, (*first, "data", 0)),
        "an element is null": ({"data": [None]}, (*first, "data", 0)),
        "an element is true": ({"data": [True]}, (*first, "data", 0)),
        "an element is an object": ({"data": [{}]}, (*first, "data", 0)),
        "an element beyond double": ({"data": [10**400]}, (*first, "data", 0)),
        "an element out of range": ({"data": [11.0]}, (*first, "data", 0)),
        "data nested where the shape is flat": ({"data": [[[5.1]]]}, (*first, "data")),
        "a member too many": ({"dtype": "FP64"}, (*first, "dtype")),
        "a parameter that is a list": ({"parameters": {"a": []}}, (*first, "parameters", "a", "str")),
    }
    for name, (changes, loc) in one.items():
        yield Bad(f"V2: {name}", post(V2, {"inputs": tensors(**changes)}), 422, loc)
    ragged = [dict(tensor, shape=[2], data=[1.0, 2.0]) for tensor in tensors()]
    ragged[2] |= {"shape": [1], "data": [1.0]}
    more: dict[str, tuple[Any, Loc]] = {
        "an input twice": ({"inputs": [*tensors(), tensors()[0]]}, ("body", "inputs", 4, "name")),
        "an input missing": ({"inputs": tensors()[1:]}, ("body", "inputs")),
        "inputs of unequal length": ({"inputs": ragged}, ("body", "inputs", 2, "shape")),
        "no inputs": ({"inputs": []}, ("body", "inputs")),
        "inputs are null": ({"inputs": None}, ("body", "inputs")),
        "inputs are an object": ({"inputs": {"sepal_length": [5.1]}}, ("body", "inputs")),
        "an input is null": ({"inputs": [None]}, ("body", "inputs", 0)),
        "a bare row": (ROW, ("body", "inputs")),
        "a list": ([], ("body",)),
        "null": (None, ("body",)),
        "NaN": (
            json.dumps({"inputs": tensors(data=[float("nan")])}).encode(),
            ("body", "inputs", 0, "data", 0),
        ),
        "an id that is a number": ({"id": 7, "inputs": tensors()}, ("body", "id")),
        "an id of 257 letters": ({"id": "x" * 257, "inputs": tensors()}, ("body", "id")),
        "no such output": (
            {"inputs": tensors(), "outputs": [{"name": "colour"}]},
            ("body", "outputs", 0, "name"),
        ),
        "outputs are text": ({"inputs": tensors(), "outputs": "label"}, ("body", "outputs")),
        "a matrix with a column too many": ({"inputs": [matrix(5)]}, ("body", "inputs", 0, "shape", 1)),
        "a matrix with data for one row": (
            {"inputs": [matrix(4) | {"data": [5.1] * 4}]},
            ("body", "inputs", 0, "data"),
        ),
        "a matrix of text": ({"inputs": [matrix(4) | {"datatype": "BYTES"}]}, ("body", "inputs", 0, "datatype")),
        "a matrix beside another input": ({"inputs": [matrix(4), *tensors()]}, ("body", "inputs", 0, "name")),
        "an output in shared memory": (
            {"inputs": tensors(), "outputs": [{"name": "label", "parameters": {"shared_memory_region": "a"}}]},
            ("body", "outputs", 0, "parameters", "shared_memory_region"),
        ),
        "an output classified": (
            {"inputs": tensors(), "outputs": [{"name": "label", "parameters": {"classification": 3}}]},
            ("body", "outputs", 0, "parameters", "classification"),
        ),
        "data nested 100000 deep": (b'{"inputs": [{"data": ' + DEEP, ("body",)),
        "4097 rows": (
            {"inputs": [dict(tensor, shape=[4097], data=[1.0] * 4097) for tensor in tensors()]},
            ("body", "inputs", 0, "shape", 0),
        ),
    }
    for name, (document, loc) in more.items():
        yield Bad(f"V2: {name}", post(V2, document), 422, loc)
    binary = {"inference-header-content-length": "20", "content-type": "application/octet-stream"}
    yield Bad("V2: binary tensors after no JSON", post(V2, bytes(64), binary), 422, ("body",))
    yield Bad("rows in binary form", post(PREDICT, bytes(64), binary), 415)


def keys_given_twice() -> Iterator[Bad]:
    """Objects that have a key twice, alone and inside of others."""
    row = json.dumps(ROW).encode()
    twice = row.replace(b"{", b'{"sepal_length": 5.0, ', 1)
    escaped = row.replace(b"{", b'{"sepal_\\u006cength": 5.0, ', 1)
    yield Bad("a key twice", post(PREDICT, twice), 422, ("body", FIELD))
    yield Bad("a key twice, once escaped", post(PREDICT, escaped), 422, ("body", FIELD))
    yield Bad("a key twice in the second row", post(PREDICT, b"[" + row + b"," + twice + b"]"), 422, ("body", 1, FIELD))
    yield Bad(
        "a key twice in an instance", post(V1, b'{"instances": [' + twice + b"]}"), 422, ("body", "instances", 0, FIELD)
    )
    listed = b'{"instances": [[5.1, 3.5, 1.4, 0.2]], "instances": [[5.1, 3.5, 1.4, 0.2]]}'
    yield Bad("instances twice", post(V1, listed), 422, ("body", "instances"))
    document = json.dumps({"inputs": tensors()}).encode()
    yield Bad("inputs twice", post(V2, b'{"inputs": [],' + document[1:]), 422, ("body", "inputs"))
    shape = document.replace(b'"shape": [1]', b'"shape": [2], "shape": [1]', 1)
    yield Bad("a shape twice", post(V2, shape), 422, ("body", "inputs", 0, "shape"))
    parameters = b'{"parameters": {"a": 1, "a": 1}, ' + document[1:]
    yield Bad("a parameter twice", post(V2, parameters), 422, ("body", "parameters", "a"))
    unknown = b'{"extra": {"a": {"b": 1, "b": 2}}, ' + document[1:]
    yield Bad("a key twice where nobody looks", post(V2, unknown), 422, ("body", "extra", "a", "b"))


def wrong_lists() -> Iterator[Bad]:
    """Rows that are lists but cannot be read as one."""
    rows: dict[str, Any] = {
        "of three numbers": [5.1, 3.5, 1.4],
        "of five numbers": [5.1, 3.5, 1.4, 0.2, 0.2],
        "of no numbers": [],
    }
    for name, row in rows.items():
        yield Bad(f"a row is a list {name}", post(PREDICT, [row]), 422, ("body", 0))
        yield Bad(f"an instance is a list {name}", post(V1, {"instances": [ROW, row]}), 422, ("body", "instances", 1))
    yield Bad("one row as a bare list", post(PREDICT, [5.1, 3.5, 1.4, 0.2]), 422, ("body", 0))
    yield Bad("a list with text", post(PREDICT, [["5.1", 3.5, 1.4, 0.2]]), 422, ("body", 0, FIELD))
    yield Bad(
        "a list with null", post(V1, {"instances": [[None, 3.5, 1.4, 0.2]]}), 422, ("body", "instances", 0, FIELD)
    )
    yield Bad("a list with NaN", post(PREDICT, b"[[NaN, 3.5, 1.4, 0.2]]"), 422, ("body", 0, FIELD))
    yield Bad("a list out of range", post(PREDICT, [[51.0, 3.5, 1.4, 0.2]]), 422, ("body", 0, FIELD))
    yield Bad("4097 lists", post(PREDICT, [[5.1, 3.5, 1.4, 0.2]] * 4097), 422, ("body",))
