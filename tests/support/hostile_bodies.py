"""Hostile request bodies: valid HTTP and mostly valid JSON, within the limit of a body, made to cost much."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

SIZE = 4 * 1024 * 1024
"""The default limit of a body, in bytes."""


class Hostile(NamedTuple):
    """One body and the path that it is sent to."""

    name: str
    path: str
    body: bytes


def bodies(model: str, row: Mapping[str, float], size: int = SIZE) -> Iterator[Hostile]:
    """Bodies for a model whose rows are like `row`: one row, a list of rows, V1 instances and V2 tensors."""
    predict, v1, v2 = "/predict", f"/v1/models/{model}:predict", f"/v2/models/{model}/infer"
    good = json.dumps(row, separators=(",", ":")).encode()
    field = next(iter(row))
    for name, body in row_bodies(good, field, size):
        yield Hostile(f"one row: {name}", predict, body)
        yield Hostile(f"V2: {name}", v2, body)
    for name, element in elements(good, field):
        room = size - 100
        listed = b",".join([element] * (room // (len(element) + 1)))
        yield Hostile(f"a list: {name}", predict, b"[" + listed + b"]")
        yield Hostile(f"instances: {name}", v1, b'{"instances":[' + listed + b"]}")
        yield Hostile(f"V2 inputs: {name}", v2, b'{"inputs":[' + listed + b"]}")
        yield Hostile(f"V2 data: {name}", v2, _tensor(field, listed))
    rows = b",".join([good] * 4095)
    for name, body in row_bodies(good, field, size - len(rows) - 20):
        yield Hostile(f"the last of 4096 rows: {name}", predict, b"[" + rows + b"," + body + b"]")
        yield Hostile(f"the last of 4096 instances: {name}", v1, b'{"instances":[' + rows + b"," + body + b"]}")
    outputs = b",".join([b'{"name":"label"}'] * 1000)
    yield Hostile("V2: one output a thousand times", v2, _tensor(field, b"1", b',"outputs":[' + outputs + b"]"))
    for name, part in {"parameters": b'"k%d":{}', "nested parameters": b'"k%d":[{}]', "members": b'"k%d":1'}.items():
        many = b",".join([part % number for number in range(size // 20)])
        more = b"," + many if name == "members" else b',"parameters":{' + many + b"}"
        yield Hostile(f"V2: many {name}", v2, _tensor(field, b"1", more))
    yield Hostile("V2: a shape of many dimensions", v2, b'{"inputs":[{"shape":[' + b"1," * (size // 3) + b"1]}]}")


def row_bodies(good: bytes, field: str, size: int) -> Iterator[tuple[str, bytes]]:
    """Objects that are made to cost much."""
    key = json.dumps(field).encode()
    yield "unknown keys", b"{" + b",".join([b'"%x":1' % number for number in range(size // 11)]) + b"}"
    yield "one unknown key again and again", b"{" + b",".join([b'"k":1'] * (size // 6 - 1)) + b"}"
    yield (
        "one known key again and again",
        good[:-1] + (b"," + key + b":1") * ((size - len(good)) // (len(key) + 3)) + b"}",
    )
    yield "one key of all its bytes", b'{"' + b"k" * (size - 10) + b'":1}'
    yield "one key of escapes", b'{"' + b"\\u00e9" * (size // 6 - 2) + b'":1}'
    yield "a number of all its bytes", _with(good, key, b"1" * (size - len(good) - 10))
    yield "a fraction of all its bytes", _with(good, key, b"0." + b"1" * (size - len(good) - 12))
    yield "an exponent of all its bytes", _with(good, key, b"1e" + b"9" * (size - len(good) - 12))
    yield "a text of escapes", _with(good, key, b'"' + b"\\n" * ((size - len(good) - 12) // 2) + b'"')
    yield "a text of quotes and colons", _with(good, key, b'"' + b'\\":' * ((size - len(good) - 12) // 3) + b'"')
    yield "lists in lists", _with(good, key, b"[" * (size - len(good) - 10))
    yield "objects in objects", _with(good, key, b'{"a":' * ((size - len(good) - 10) // 5))
    yield "a list of lists", _with(good, key, b"[" + b",".join([b"[]"] * ((size - len(good) - 10) // 3)) + b"]")
    yield "a list of objects", _with(good, key, b"[" + b",".join([b"{}"] * ((size - len(good) - 10) // 3)) + b"]")
    yield (
        "an object of objects",
        _with(good, key, b"{" + b",".join([b'"a":{}'] * ((size - len(good) - 10) // 7)) + b"}"),
    )
    yield "a list of texts", _with(good, key, b"[" + b",".join([b'""'] * ((size - len(good) - 10) // 3)) + b"]")


def elements(good: bytes, field: str) -> Iterator[tuple[str, bytes]]:
    """Elements of which a list has as many as fit."""
    key = json.dumps(field).encode()
    yield from (
        ("empty objects", b"{}"),
        ("empty lists", b"[]"),
        ("numbers", b"1"),
        ("numbers beyond any float", b"1e999"),
        ("empty texts", b'""'),
        ("texts", b'"a,b:c"'),
        ("null", b"null"),
        ("NaN", b"NaN"),
        ("lists of a number", b"[1]"),
        ("lists in lists", b"[" * 100 + b"]" * 100),
        ("rows", good),
        ("rows with a text for a number", _with(good, key, b'"x"')),
        ("rows with an unknown key", good[:-1] + b',"k":{}}'),
        ("rows with a key twice", good[:-1] + b"," + key + b":1}"),
        ("rows of unknown keys", b'{"a":{},"b":{},"c":{},"d":{}}'),
    )


def _with(good: bytes, key: bytes, value: bytes) -> bytes:
    """The row with another value for its first field."""
    rest = good[good.index(b",") :] if b"," in good else b"}"
    return b"{" + key + b":" + value + rest


def _tensor(field: str, data: bytes, more: bytes = b"") -> bytes:
    return b'{"inputs":[{"name":"%b","shape":[1],"datatype":"FP64","data":[%b]}]%b}' % (field.encode(), data, more)


PROTOCOLS = ("one row", "a list", "instances", "tensors")
SMALLEST = 1024
LEGAL = 0.2
"""The share of bodies that must be answered: they cost most."""


def legal(model: str, row: Mapping[str, float], rows: int = 4096) -> Iterator[Hostile]:
    """Bodies that must be answered, of as many rows as a request may have, in every form that has rows."""
    predict, v1, v2 = "/predict", f"/v1/models/{model}:predict", f"/v2/models/{model}/infer"
    lists = [[*row.values()]] * rows
    flat = [value for values in lists for value in values]
    columns = [
        {"name": name, "datatype": "FP64", "shape": [rows], "data": [value] * rows} for name, value in row.items()
    ]
    matrix = {"name": "all", "datatype": "FP64", "shape": [rows, len(row)]}
    yield Hostile("a list: legal rows", predict, _json([row] * rows))
    yield Hostile("a list: legal rows that are lists", predict, _json(lists))
    yield Hostile("instances: legal rows", v1, _json({"instances": [row] * rows}))
    yield Hostile("instances: legal rows that are lists", v1, _json({"instances": lists}))
    yield Hostile("tensors: legal columns", v2, _json({"inputs": columns}))
    yield Hostile("tensors: a legal matrix", v2, _json({"inputs": [{**matrix, "data": flat}]}))
    yield Hostile("tensors: a legal matrix of lists", v2, _json({"inputs": [{**matrix, "data": lists}]}))


def _json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def fuzzed(model: str, row: Mapping[str, float], protocol: str, seed: int, count: int) -> Iterator[Hostile]:
    """`count` bodies of a protocol: another mixture each time, of 1 KiB to 4 MiB; no size is rarer than another."""
    draw = random.Random(f"{protocol} {seed}")
    good = json.dumps(row, separators=(",", ":")).encode()
    field = next(iter(row))
    kinds = list(elements(good, field))
    for number in range(count):
        if draw.random() < LEGAL:
            rows = round(4096 ** draw.random())
            answered = [one for one in legal(model, row, rows) if one.name.startswith(protocol)]
            if answered:
                name, path, body = draw.choice(answered)
                yield Hostile(f"{protocol} {number}: {name}, {rows} rows", path, body)
                continue
        size = round(SMALLEST * (SIZE / SMALLEST) ** draw.random())
        name, one = draw.choice(list(row_bodies(good, field, size - 200)))
        mixed = draw.sample(kinds, draw.randint(1, 3))
        many = b",".join(kind for _, kind in mixed)
        listed = b",".join([many] * max(1, (size - 200) // (len(many) + 1)))
        path, body = {
            "one row": ("/predict", one),
            "a list": ("/predict", b"[%b]" % draw.choice([listed, one])),
            "instances": (f"/v1/models/{model}:predict", b'{"instances":[%b]}' % draw.choice([listed, one])),
            "tensors": (
                f"/v2/models/{model}/infer",
                draw.choice([b'{"inputs":[%b]}' % listed, b'{"inputs":[%b]}' % one, _tensor(field, listed)]),
            ),
        }[protocol]
        yield Hostile(f"{protocol} {number}: {name}, {', '.join(kind for kind, _ in mixed)}, {size} bytes", path, body)
