"""`write_folder`: writes a model folder at the end of a training script.

The folder is written next to its final path and renamed when it is complete, so a service never reads a partial one.
The expected answers of the golden rows come from the finished folder: it is loaded and called as the service does.
"""

from __future__ import annotations

import functools
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import yaml

from fairlead import errors
from fairlead.contracts import manifest_file
from fairlead.contracts.formats import KINDS
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.parsing import parse_yaml
from fairlead.contracts.requirements import FILE as REQUIREMENTS
from fairlead.serving.formats import (
    artifact,
    golden,
    golden_answers,
    golden_images,
    pickle_libraries,
    pickled,
    version_skew,
)
from fairlead.serving.formats.folder import FORMATS, ModelFolder, load_folder

GOLDEN = "golden.jsonl"
_SECOND_FILE = re.compile(r"\s*(-r|-c|--requirement|--constraint)\b")


_Given = ParamSpec("_Given")


def _told_briefly(write: Callable[_Given, ModelFolder]) -> Callable[_Given, ModelFolder]:
    """Errors without the frames of our own code, which fill a notebook and help nobody. Those of the author's stay."""

    @functools.wraps(write)
    def called(*arguments: _Given.args, **options: _Given.kwargs) -> ModelFolder:
        try:
            return write(*arguments, **options)
        except errors.FairleadError as error:
            cause = error.__cause__ if isinstance(error, errors.ModelFailed) else None
            raise error.with_traceback(None) from cause
        except OSError as error:
            hint = "Choose another folder, or make room for it."
            raise errors.Invalid(f"the model folder cannot be written: {error}", hint=hint) from None

    return called


@_told_briefly
def write_folder(
    folder: str | Path,
    manifest: Mapping[str, Any],
    value: Any,
    *,
    code: Iterable[str | Path] = (),
    files: Iterable[str | Path] = (),
    golden_inputs: Sequence[Mapping[str, Any]] = (),
    golden_expected: Sequence[Mapping[str, Any]] | None = None,
    libraries: Iterable[str] = (),
    requirements: Iterable[str] | str | Path = (),
) -> ModelFolder:
    """Write a complete model folder and return it, read as the service reads it.

    `manifest` holds the fields that the author chooses (name, version, format, entry, title...). This function adds
    the artifact's path and digest, the golden rows and `built_with`: the versions of the libraries whose objects are
    pickled, of those that `code` imports, and of `libraries`. `value` is the trained object; it is written in the
    manifest's format. `code` are the Python files that `entry` needs, and `files` those that the manifest names,
    such as labels. `requirements` become the folder's requirements.txt: its lines, or the path of a file with them. A
    `folder` that has a version of the same model is replaced.

    The golden rows are `golden_inputs` with the finished model's answers; an image in them is a `Path`, or base64.
    `golden_expected` are answers that are known to be right, one per input: the model must give them within `rtol`.
    Raises Conflict if there is something else at `folder`, and Invalid or ModelFailed, also if the model answers a
    golden row differently in a batch than alone, or if `value` can be unpickled only in this script.
    """
    folder, sources = Path(folder), tuple(map(Path, code))
    _check_replaceable(folder, str(manifest.get("name")))
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        draft = Path(scratch) / folder.name
        (draft / "artifact").mkdir(parents=True)
        for path in sources:
            _copy(path, draft, "code", "model.py")
        for path in map(Path, files):
            _copy(path, draft, "files", "labels.txt")
        _write_requirements(requirements, draft)
        is_held = pickled.holds(str(manifest.get("format")), value)
        foreign = pickled.foreign_modules(value, _modules(draft)) if is_held else []
        written = _written_artifact(draft, manifest, value)
        full = dict(manifest) | written | _built_with(manifest, value, sources, libraries)
        _write_manifest(draft, full)
        if foreign:
            pickled.check_it_loads(draft, foreign)
        if len(golden_inputs):
            loaded = load_folder(draft)
            given = golden_answers.checked(golden_inputs)
            rows = golden_answers.answered(loaded, golden_images.asked(given, loaded.manifest), golden_expected)
            golden.write(draft / GOLDEN, golden_images.kept(draft, given, rows, loaded.manifest))
            _write_manifest(draft, full | {"golden": GOLDEN})
        _replace(folder, draft, Path(scratch) / "replaced")
    return load_folder(folder)


def _check_replaceable(folder: Path, name: str) -> None:
    """Raise Conflict unless the path is free, or holds a version of this model, which may be written again."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        found = yaml.safe_load((folder / manifest_file.NAME).read_text(encoding="utf-8"))
        has = found.get("name") if isinstance(found, dict) else None
    except (OSError, ValueError, yaml.YAMLError):
        has = None
    if has != name:
        what = f"holds a version of {has}" if has else f"exists, and has no {manifest_file.NAME} of a model"
        raise errors.Conflict(
            f"{folder} {what}. It is not replaced",
            hint=f"Name the folder of a version, such as models/{name}/1.0.0, or take away what is there.",
        )


def _replace(folder: Path, draft: Path, aside: Path) -> None:
    """Put the draft in the folder's place. If that fails, what was there is still there."""
    if not folder.exists():
        draft.rename(folder)
        return
    folder.rename(aside)
    try:
        draft.rename(folder)
    except OSError:
        aside.rename(folder)
        raise


def _copy(path: Path, draft: Path, argument: str, example: str) -> None:
    try:
        shutil.copyfile(path, draft / path.name)
    except OSError as cause:
        raise errors.Invalid(
            f"{argument}: {path} cannot be read: {cause.strerror}",
            hint=f"Give a list of files: {argument}=[Path('{example}')]. A relative path counts from the folder in "
            f"which the script runs; Path(__file__).with_name('{example}') is the file beside the script.",
        ) from cause


def _write_requirements(given: Iterable[str] | str | Path, draft: Path) -> None:
    """Write the folder's requirements.txt, unless nothing is required."""
    try:
        text = Path(given).read_text(encoding="utf-8") if isinstance(given, str | Path) else _lines(given)
    except OSError as cause:
        raise _wrong_requirements(f"{given} cannot be read: {cause.strerror}") from cause
    if second := next(filter(_SECOND_FILE.match, text.splitlines()), None):
        raise _wrong_requirements(f"{second!r} names a second file, which is not copied")
    if text:
        (draft / REQUIREMENTS).write_text(text, encoding="utf-8")


def _lines(given: Iterable[str]) -> str:
    lines = list(given)
    if wrong := [line for line in lines if not isinstance(line, str) or len(line.splitlines()) != 1]:
        raise _wrong_requirements(f"{wrong[0]!r} is no line of {REQUIREMENTS}")
    return "".join(f"{line}\n" for line in lines)


def _wrong_requirements(problem: str) -> errors.Invalid:
    hint = (
        "Give all lines, requirements=['lightgbm==4.6.0'], or one file that has them, requirements=Path('pinned.txt')."
    )
    return errors.Invalid(f"requirements: {problem}", hint=hint)


def _modules(draft: Path) -> frozenset[str]:
    return frozenset(path.stem for path in draft.glob("*.py"))


def _written_artifact(draft: Path, manifest: Mapping[str, Any], value: Any) -> dict[str, Any]:
    name = str(manifest.get("format"))
    if name not in FORMATS:
        raise errors.Invalid(f"format {name!r} is unknown; the formats are {', '.join(sorted(FORMATS))}")
    path = f"artifact/{KINDS[name].file}"
    FORMATS[name].write(value, draft / path)
    return {"artifact": {"path": path, "sha256": artifact.digest_of(draft / path)}}


def _built_with(
    manifest: Mapping[str, Any], value: Any, code: Iterable[Path], libraries: Iterable[str]
) -> dict[str, Any]:
    """The versions of `libraries`, of those whose objects are pickled, and of those that the code imports."""
    given = manifest.get("built_with") or {}
    found = pickle_libraries.imported_by(code)
    if pickled.holds(manifest["format"], value):
        found |= pickle_libraries.pickled_by(value)
    if library := KINDS[manifest["format"]].library:
        found |= {library}
    versions = {library: version_skew.installed(library) for library in sorted(found | set(libraries) - set(given))}
    if missing := [library for library, version in versions.items() if version is None]:
        raise errors.Invalid(f"built_with: {missing[0]} is not installed; give the name that pip knows it by")
    return {"built_with": versions | given} if versions else {}


def _write_manifest(draft: Path, manifest: Mapping[str, Any]) -> None:
    text = yaml.safe_dump(dict(manifest), sort_keys=False, allow_unicode=True, width=120)
    parse_yaml(
        Manifest, text, manifest_file.NAME
    )  # its error would name the draft, which nobody can look at afterwards
    (draft / manifest_file.NAME).write_text(text, encoding="utf-8")
