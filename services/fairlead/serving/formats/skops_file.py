"""Reads what a file of skops says about its content, and writes it in one form. Needs no library and builds no object.

The file is an archive with `schema.json`, a tree with the class of each object, and the arrays beside it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fairlead.contracts import json_text
from fairlead.serving.formats import archives
from fairlead.serving.formats.archives import Broken

SCHEMA = "schema.json"
SCHEMA_BYTES = 2**26
_DATE = (1980, 1, 1, 0, 0, 0)


def read(file: Path) -> Mapping[str, Any]:
    """The schema of a file. Raises Broken if the file is damaged, would fill the memory, or takes forever to read."""
    if SCHEMA not in archives.check(file):
        raise Broken(f"has no {SCHEMA}: it is not a file of skops")
    with zipfile.ZipFile(file) as archive:
        if archive.getinfo(SCHEMA).file_size > SCHEMA_BYTES:
            raise Broken(f"has a {SCHEMA} of more than {SCHEMA_BYTES} bytes")
        try:
            schema = json_text.read(archive.read(SCHEMA))
        except (ValueError, zipfile.BadZipFile, EOFError) as cause:
            raise Broken(f"has a {SCHEMA} that is not JSON: {' '.join(str(cause).split())[:120]}") from None
    if not isinstance(schema, dict):
        raise Broken(f"has a {SCHEMA} that is no object")
    _check_effort(schema)
    return schema


def modules(schema: Mapping[str, Any]) -> set[tuple[str, str]]:
    """The module and the name of each class and function that the file names."""
    found = ((node.get("__module__"), node.get("__class__")) for node in _objects(schema))
    return {(module, name) for module, name in found if isinstance(module, str) and isinstance(name, str)}


def canonical(data: bytes) -> bytes:
    """The same file with the same bytes each time: skops numbers objects by where they were in memory."""
    with zipfile.ZipFile(io.BytesIO(data)) as given:
        schema = json.loads(given.read(SCHEMA))
        numbers: dict[int, int] = {}
        names: dict[str, str] = {}
        for node in _objects(schema):
            if "__id__" in node:
                node["__id__"] = numbers.setdefault(node["__id__"], len(numbers) + 1)
            if isinstance(node.get("file"), str):
                suffix = node["file"].rpartition(".")[2]
                node["file"] = names.setdefault(node["file"], f"{len(names) + 1}.{suffix}")
        written = io.BytesIO()
        with zipfile.ZipFile(written, "w") as archive:
            for old, new in names.items():
                archive.writestr(zipfile.ZipInfo(new, _DATE), given.read(old))
            archive.writestr(zipfile.ZipInfo(SCHEMA, _DATE), json.dumps(schema))
    return written.getvalue()


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """All JSON objects, each before those inside it."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(reversed(list(one.values())))
        elif isinstance(one, list):
            waiting.extend(reversed(one))


def _check_effort(schema: Mapping[str, Any]) -> None:
    """Raise Broken if objects that are named again make the tree larger than the file: skops visits each time.

    skops writes an object again wherever it occurs, so an honest tree is as large as its schema.
    """
    sizes: dict[Any, int] = {}
    written = sum(1 for _ in _objects(schema))
    if _size(schema, sizes) > 4 * written + 1000:
        raise Broken("names the same objects again and again, and would take forever to read")


def _size(value: Any, sizes: dict[Any, int]) -> int:
    """How many objects skops visits below this value. One that is visited within itself counts as one."""
    if isinstance(value, list):
        return sum(_size(one, sizes) for one in value)
    if not isinstance(value, dict):
        return 0
    number = value.get("__id__")
    if not isinstance(number, int):
        return 1 + sum(_size(one, sizes) for one in value.values())
    if number not in sizes:
        sizes[number] = 1
        sizes[number] = 1 + sum(_size(one, sizes) for one in value.values())
    return sizes[number]
