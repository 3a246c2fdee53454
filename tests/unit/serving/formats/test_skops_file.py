"""What a file of skops says about its content, read without skops."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from fairlead.serving.formats import skops_file
from fairlead.serving.formats.archives import Broken
from support.formats import skops_files as files


def written(path: Path, data: bytes) -> Path:
    file = path / "model.skops"
    file.write_bytes(data)
    return file


def test_the_classes_and_functions_of_a_file_are_named(tmp_path: Path) -> None:
    schema = files.estimator(copy=files.called(files.function("numpy", "log")))
    found = skops_file.modules(skops_file.read(written(tmp_path, files.file(schema))))
    assert {("numpy", "log"), files.SCALER, ("functools", "partial"), ("builtins", "dict")} <= found


def test_an_object_that_is_named_twice_is_no_reason_to_refuse(tmp_path: Path) -> None:
    schema = files.listed(files.text("a"), files.listed(__id__=1), files.listed(__id__=1), __id__=2)
    assert skops_file.read(written(tmp_path, files.file(schema)))["__id__"] == 2


@pytest.mark.parametrize("levels", [30, 45])
def test_objects_that_are_named_again_and_again_are_refused(tmp_path: Path, levels: int) -> None:
    with pytest.raises(Broken, match="would take forever"):
        skops_file.read(written(tmp_path, files.file(files.again_and_again(levels))))


def test_numbers_of_places_in_memory_make_no_other_bytes() -> None:
    def file(place: int) -> bytes:
        first, second = (files.array(file=f"{place + at}.npy", __id__=place + at) for at in (1, 2))
        schema = files.listed(first, second, first, __id__=place)
        return files.file(schema, {str(place + 1): files.npy([1]), str(place + 2): files.npy([2])})

    one, other = (skops_file.canonical(file(place)) for place in (140_000, 77_000))
    assert one == other
    with zipfile.ZipFile(io.BytesIO(one)) as archive:
        schema: dict[str, Any] = json.loads(archive.read("schema.json"))
        assert [(node["__id__"], node["file"]) for node in schema["content"]] == [
            (2, "1.npy"),
            (3, "2.npy"),
            (2, "1.npy"),
        ]
        assert archive.read("2.npy") == files.npy([2])
