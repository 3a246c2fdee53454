"""Files of skops that nobody should serve, written by hand: skops itself writes none of them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

Node = dict[str, Any]
SCALER = ("sklearn.preprocessing._data", "StandardScaler")


def node(module: str, name: str, loader: str, **more: Any) -> Node:
    """An object of the schema."""
    return {"__module__": module, "__class__": name, "__loader__": loader, **more}


def text(value: object) -> Node:
    """A text, a number, or whatever else is written as JSON."""
    return node("builtins", "str", "JsonNode", content=json.dumps(value), is_json=True)


def listed(*values: Node, **more: Any) -> Node:
    return node("builtins", "list", "ListNode", content=list(values), **more)


def tupled(*values: Node) -> Node:
    return node("builtins", "tuple", "TupleNode", content=list(values))


def mapped(values: Mapping[str, Node]) -> Node:
    """A dictionary whose keys are texts."""
    keys = listed(*(node("builtins", "str", "TypeNode") for _ in values))
    return node("builtins", "dict", "DictNode", content=dict(values), key_types=keys)


def function(module: str, name: str) -> Node:
    return node(module, name, "FunctionNode")


def estimator(**attributes: Node) -> Node:
    """A scaler of scikit-learn with these attributes."""
    return node(*SCALER, "ObjectNode", content=mapped(attributes))


def called(what: Node, *arguments: Node) -> Node:
    """A function with arguments that are bound to it."""
    content = {"func": what, "args": tupled(*arguments), "kwds": mapped({}), "namespace": mapped({})}
    return node("functools", "partial", "PartialNode", content=content)


def array(**parts: Any) -> Node:
    return node("numpy", "ndarray", "NdArrayNode", type="numpy", **parts)


def packed(parts: Mapping[str, bytes], how: int = zipfile.ZIP_STORED) -> bytes:
    """An archive."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", how) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return written.getvalue()


def file(
    schema: Mapping[str, Any] | bytes, parts: Mapping[str, bytes] = MappingProxyType({}), how: int = zipfile.ZIP_STORED
) -> bytes:
    """A file with this schema, and arrays with the names of `parts`, whose suffix is `.npy`."""
    told = schema if isinstance(schema, bytes) else json.dumps({"protocol": 2, **schema}).encode()
    return packed({**{f"{name}.npy": data for name, data in parts.items()}, "schema.json": told}, how)


def npy(value: Any, *, pickled: bool = False) -> bytes:
    written = io.BytesIO()
    np.save(written, value, allow_pickle=pickled)
    return written.getvalue()


def npy_of_a_huge_shape() -> bytes:
    """The beginning of an array of 8 TiB, and no values."""
    written = io.BytesIO()
    np.lib.format.write_array_header_1_0(written, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)})
    return written.getvalue()


def again_and_again(levels: int = 60) -> Node:
    """A list that holds the same list twice, which holds the same list twice, and so on: 2^60 to visit."""
    found = listed(text(1), __id__=1)
    for number in range(2, levels):
        inner = {"__module__": "builtins", "__class__": "list", "__loader__": "ListNode", "__id__": number - 1}
        found = listed(found, {**inner, "content": []}, __id__=number)
    return found


def touching(mark: Path) -> Node:
    """The path of the mark as an argument."""
    return text(str(mark))
