"""Images in golden rows: a row names a file of the folder in place of base64, so that people can look at it.

In golden.jsonl such a value is `{"file": "golden/1-image.jpg"}`. `write_folder` gets a `Path`, and copies the file.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.serving.formats import artifact
from fairlead.serving.formats.golden import GoldenRow

FOLDER = "golden"


def read(rows: Sequence[GoldenRow], folder: Path, manifest: Manifest) -> tuple[GoldenRow, ...]:
    """The rows with base64 in place of the files that they name. Raises Invalid if one cannot be read."""
    names = _images(manifest)
    return tuple(replace(row, input=_read(row.input, folder, names)) if names else row for row in rows)


def _read(given: Mapping[str, Any], folder: Path, names: frozenset[str]) -> dict[str, Any]:
    found = dict(given)
    for name in names & given.keys():
        match given[name]:
            case {"file": str(path), **others} if not others:
                found[name] = _in_base64(artifact.inside(folder, path, field=f"golden: {name}"))
    return found


def asked(given: Sequence[Mapping[str, Any]], manifest: Manifest) -> list[Mapping[str, Any]]:
    """The golden inputs as a client sends them. Raises Invalid if a file cannot be read."""
    names = _images(manifest)
    return [
        {name: _in_base64(value) if name in names and isinstance(value, Path) else value for name, value in row.items()}
        for row in given
    ]


def kept(
    draft: Path, given: Sequence[Mapping[str, Any]], rows: Sequence[GoldenRow], manifest: Manifest
) -> list[GoldenRow]:
    """The rows, of these inputs, as the folder keeps them: the files that inputs name are copied into it."""
    names = _images(manifest)
    found = []
    for number, (row, source) in enumerate(zip(rows, given, strict=True), 1):
        named = dict(row.input)
        for name in sorted(names & source.keys()):
            if isinstance(path := source[name], Path):
                (draft / FOLDER).mkdir(exist_ok=True)
                copy = f"{FOLDER}/{number}-{name}{path.suffix.lower()}"
                shutil.copyfile(path, draft / copy)
                named[name] = {"file": copy}
        found.append(replace(row, input=named))
    return found


def _images(manifest: Manifest) -> frozenset[str]:
    return frozenset(one.name for one in manifest.inputs if one.image is not None)


def _in_base64(path: Path) -> str:
    try:
        return base64.b64encode(path.read_bytes()).decode()
    except OSError as cause:
        raise errors.Invalid(f"golden rows: the image {path} cannot be read: {cause.strerror}") from cause
