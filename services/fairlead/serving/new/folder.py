"""Writes the model folder of a trained file."""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from fairlead import errors
from fairlead.contracts import requirements
from fairlead.contracts.formats import runs_code
from fairlead.contracts.manifest import Artifact, Manifest
from fairlead.contracts.parsing import parse_yaml
from fairlead.serving.formats import artifact, declared, golden
from fairlead.serving.formats.folder import ModelFolder
from fairlead.serving.formats.made_up_rows import made_up
from fairlead.serving.formats.strict import strict
from fairlead.serving.formats.writer import write_folder
from fairlead.serving.new import asking, booster, inputs, network, outputs, sample, structure, trained_file
from fairlead.serving.new.golden_rows import Chosen, answered

IN_EVERY_IMAGE = frozenset({"joblib", "numpy", "scikit-learn", "scipy"})


@dataclass(frozen=True, slots=True)
class Written:
    """The folder, its artifact's digest and its golden rows. `left_out`: why outputs of the file are not served."""

    folder: Path
    sha256: str
    golden: Chosen
    left_out: tuple[errors.Invalid, ...] = ()


def write(
    name: str,
    version: str,
    file: Path,
    out: Path,
    *,
    sha256: str | None,
    data: Path | None = None,
    code: Sequence[Path] = (),
    trusted: Sequence[str] = (),
) -> Written:
    """Write `out`/`name`/`version` from a trained file. Raises what reading the file and asking its estimator raises.

    The golden rows are rows of the sample, or made-up ones, with the model's answers.
    """
    _outline(name, version, [inputs.TEXT])  # a wrong name is told before a large file is read
    folder = out / name / version
    if folder.exists():
        raise errors.Conflict(f"{folder} exists", hint="Choose another --version or --out, or remove the folder.")
    _check_they_are_there("--code", code)
    if (of_network := network.format_of(file)) is not None:
        named = {"name": name, "version": version, "title": name, "format": of_network}
        return _of_network(named, file, folder, sha256, data)
    if (of_booster := booster.format_of(file)) is not None:
        if sha256 is not None:
            trained_file.check_digest(file, sha256)
        named = {"name": name, "version": version, "title": name, "format": of_booster}
        made, chosen = booster.write(folder, named, file, data)
        return Written(folder, _artifact(made), chosen)
    trained = trained_file.read(file, sha256, code, trusted)
    estimator = trained.value
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a library that is asked a row which it has not seen before
        found = _sample(estimator, data) if data else None
        stated: dict[str, Any] = {"name": name, "version": version, "title": name, "format": trained.format}
        if trusted:
            stated["trusted"] = [*trusted]
        stated["inputs"] = inputs.infer(estimator, found)
        chosen = _chosen(estimator, stated["inputs"], found, data)
        stated["outputs"] = outputs.infer(estimator, stated["inputs"], chosen.rows)
        libraries = ["pandas"] if inputs.names_of(estimator)[0] is not None else []
        made = write_folder(folder, stated, estimator, code=code, golden_inputs=chosen.rows, libraries=libraries)
    _write_requirements(folder, made.manifest.built_with)
    return Written(folder, _artifact(made), chosen)


def _of_network(stated: dict[str, Any], file: Path, folder: Path, sha256: str | None, data: Path | None) -> Written:
    if not file.is_dir():
        trained_file.start_of(file)
        if runs_code(stated["format"]):
            trained_file.check_trusted(file, sha256, network.CODE[stated["format"]])
        elif sha256 is not None:
            trained_file.check_digest(file, sha256)
    with _private_copy(file, sha256) as copy:
        made = network.write(folder, stated, copy, data)
    return Written(folder, _artifact(made.folder), made.golden, made.left_out)


@contextlib.contextmanager
def _private_copy(file: Path, sha256: str | None) -> Iterator[Path]:
    """The file as its digest says it is: nobody can exchange it between the comparison and the reading."""
    if sha256 is None or file.is_dir():
        yield file
        return
    with artifact.checked(file.resolve().parent, Artifact(path=file.resolve().name, sha256=sha256.lower())) as copy:
        yield copy


def _artifact(made: ModelFolder) -> str:
    assert made.manifest.artifact is not None  # write_folder writes one
    return made.manifest.artifact.sha256


def _check_they_are_there(option: str, files: Sequence[Path]) -> None:
    for file in files:
        if not file.is_file():
            what = "is a folder" if file.is_dir() else "is not there"
            raise errors.NotFound(f"{option}: the file {file} {what}", hint="Name a Python file, such as model.py.")


def _write_requirements(folder: Path, built_with: Mapping[str, str]) -> None:
    """What an image of the version needs beside the libraries that every image of a model has."""
    lines = [f"{library}=={version}\n" for library, version in built_with.items() if library not in IN_EVERY_IMAGE]
    if lines:
        (folder / requirements.FILE).write_text("".join(lines), encoding="utf-8")


def _sample(estimator: Any, data: Path) -> sample.Sample:
    names, count = inputs.names_of(estimator)
    if names is None and structure.takes_texts(estimator):
        count = 1
    known = structure.facts(estimator, count or 0)
    frame = sample.read(data, {names[place]: fact.values for place, fact in known.items() if fact.is_text and names})
    if names is not None:
        names = tuple(inputs.needed(estimator, names))
    return sample.of(data, frame, names, count)


def _chosen(estimator: Any, stated: list[dict[str, Any]], given: sample.Sample | None, data: Path | None) -> Chosen:
    """Rows that are valid and that the estimator answers."""
    row_type = strict(declared.row_type(_outline("rows", "1", stated)))
    asked = given.rows(stated) if given else made_up(row_type)
    hint = "Give rows as the estimator was trained on: --data FILE."
    return answered(asked, lambda row: asking.answer(estimator, stated, [_parsed(row, row_type)]), data, hint)


def _parsed(row: dict[str, Any], row_type: type[BaseModel]) -> dict[str, Any]:
    return dict(golden.parsed(row, row_type))


def _outline(name: str, version: str, stated: Sequence[Mapping[str, Any]]) -> Manifest:
    """A manifest with these inputs. Raises Invalid, which names the wrong field."""
    outline = {
        "name": name,
        "version": version,
        "format": "joblib",
        "artifact": {"path": "none", "sha256": "0" * 64},
        "inputs": [*stated],
        "outputs": [{"name": "y", "datatype": "FP64"}],
    }
    return parse_yaml(Manifest, json.dumps(outline), "fairlead.yaml")
