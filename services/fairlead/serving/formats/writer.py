"""`write_folder`: writes a model folder at the end of a training script.

The folder is written next to its final path and renamed when it is complete, so a service never reads a partial one.
The expected answers of the golden rows come from the finished folder: it is loaded and called as the service does.
"""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from fairlead import errors
from fairlead.serving.formats import artifact, golden, rows, version_skew
from fairlead.serving.formats.answer_writer import AnswerWriter
from fairlead.serving.formats.folder import FORMATS, MANIFEST, ModelFolder, load_folder

FILE_NAMES = {"sklearn": "model.joblib", "joblib": "model.joblib", "pickle": "model.pkl", "python": "model.bin"}
GOLDEN = "golden.jsonl"


def write_folder(
    folder: Path,
    manifest: Mapping[str, Any],
    value: Any,
    *,
    code: Iterable[Path] = (),
    golden_inputs: Sequence[Mapping[str, Any]] = (),
    libraries: Iterable[str] = (),
) -> ModelFolder:
    """Write a complete model folder and return it, read as the service reads it.

    `manifest` holds the fields that the author chooses (name, version, format, entry, title...). This function adds
    the artifact's path and digest, the golden rows and the versions of `libraries`. `value` is the trained object; it
    is written in the manifest's format. `code` are the Python files that `entry` needs. An existing `folder` is
    replaced. Raises Invalid or ModelFailed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        draft = Path(scratch) / folder.name
        (draft / "artifact").mkdir(parents=True)
        for path in code:
            shutil.copyfile(path, draft / path.name)
        full = dict(manifest) | _written_artifact(draft, manifest, value) | _built_with(libraries)
        _write_manifest(draft, full)
        if golden_inputs:
            golden.write(draft / GOLDEN, _answered(load_folder(draft), golden_inputs))
            _write_manifest(draft, full | {"golden": GOLDEN})
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)
    return load_folder(folder)


def _written_artifact(draft: Path, manifest: Mapping[str, Any], value: Any) -> dict[str, Any]:
    name = str(manifest.get("format"))
    if name not in FORMATS:
        raise errors.Invalid(f"format {name!r} is unknown; the formats are {', '.join(sorted(FORMATS))}")
    path = f"artifact/{FILE_NAMES[name]}"
    FORMATS[name].write(value, draft / path)
    return {"artifact": {"path": path, "sha256": artifact.digest_of(draft / path)}}


def _built_with(libraries: Iterable[str]) -> dict[str, Any]:
    versions = {library: version_skew.installed(library) for library in libraries}
    if missing := [library for library, version in versions.items() if version is None]:
        raise errors.Invalid(f"built_with: {missing[0]} is not installed; give the name that pip knows it by")
    return {"built_with": versions} if versions else {}


def _write_manifest(draft: Path, manifest: Mapping[str, Any]) -> None:
    text = yaml.safe_dump(dict(manifest), sort_keys=False, allow_unicode=True, width=120)
    (draft / MANIFEST).write_text(text, encoding="utf-8")


def _answered(loaded: ModelFolder, inputs: Sequence[Mapping[str, Any]]) -> list[golden.GoldenRow]:
    """Golden rows from inputs, each answered alone. The batching check compares with these answers."""
    model, writer = loaded.start(), AnswerWriter(loaded.answer_type)
    pairs = []
    for given in inputs:
        row = golden.GoldenRow(input=dict(given), expected={})
        (expected,) = writer.documents(rows.answer(model, [row.parsed(loaded.row_type)]))
        pairs.append(dataclasses.replace(row, expected=expected))
    return pairs
