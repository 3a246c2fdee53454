"""A model folder as a value: what it says, what it takes, what it answers, and how to start it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.model import Model
from fairlead.serving.formats import artifact, base, declared, golden, skew
from fairlead.serving.formats.entry import Code
from fairlead.serving.formats.golden import GoldenRow
from fairlead.serving.formats.joblib import Joblib
from fairlead.serving.formats.pickle import Pickle
from fairlead.serving.formats.python import Python
from fairlead.serving.formats.sklearn import Sklearn
from fairlead.serving.formats.strict import strict

MANIFEST = "fairlead.yaml"
FORMATS: Mapping[str, base.Format] = MappingProxyType(
    {"joblib": Joblib(), "pickle": Pickle(), "python": Python(), "sklearn": Sklearn()}
)


@dataclass(frozen=True)
class Loaded:
    """A model folder that was read and understood; nothing of its artifact has been touched yet.

    `row_type` is what requests are validated against, the strict form of the author's type; validate JSON with it
    (`model_validate_json`): a strict date or tuple knows its JSON form only there.
    """

    folder: Path
    manifest: Manifest
    row_type: type[BaseModel]
    answer_type: type[BaseModel]
    golden: tuple[GoldenRow, ...]
    model_class: type[Model[Any, Any]] = field(repr=False)
    code: Code = field(repr=False)

    def start(self) -> Model[Any, Any]:
        """A model that is ready to answer. The digest is checked before a byte of the artifact is unpickled."""
        skew.check(self.manifest)
        with self._artifact() as path, self.code.short_names():
            try:
                model = self.model_class()
                model.load(path)
            except errors.FairleadError:
                raise
            except Exception as cause:  # the author's code: it may raise anything
                told = f"{self.manifest.name} {self.manifest.version}: load failed: {type(cause).__name__}: {cause}"
                raise errors.ModelFailed(told) from cause
        return model

    @contextmanager
    def _artifact(self) -> Iterator[Path]:
        if self.manifest.artifact is None:
            yield self.folder
            return
        with artifact.checked(self.folder, self.manifest.artifact) as path:
            yield path


def load_folder(folder: Path) -> Loaded:
    """Read a model folder: its manifest, its types, its golden rows. Imports its `entry`, loads no artifact."""
    folder = folder.absolute()
    manifest = read_manifest(folder)
    code = Code.of(folder)
    if manifest.entry is not None:
        model_class = code.model_class(manifest.entry)
    else:
        model_class = declared.model_class(manifest, FORMATS[manifest.format])
    return Loaded(
        folder=folder,
        manifest=manifest,
        row_type=strict(model_class.row_type),
        answer_type=model_class.answer_type,
        golden=_golden_rows(folder, manifest),
        model_class=model_class,
        code=code,
    )


def read_manifest(folder: Path) -> Manifest:
    """`fairlead.yaml` of a folder, or an `errors.Invalid` that names every field that is wrong."""
    path = folder / MANIFEST
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as cause:
        raise errors.NotFound(
            f"{folder} is not a model folder: it has no {MANIFEST}",
            hint="Train an example with `python services/models/iris/train.py`, or write one: docs/model-folder.md.",
        ) from cause
    try:
        return Manifest.model_validate(yaml.load(text, Loader=_UniqueKeys))
    except yaml.YAMLError as cause:
        raise errors.Invalid(f"{path}: not YAML: {cause}") from cause
    except ValidationError as cause:
        raise _invalid(path, cause) from cause


class _UniqueKeys(yaml.SafeLoader):
    """Plain YAML, except that a key may stand only once: of two digests, YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        merge = "tag:yaml.org,2002:merge"
        keys = [self.construct_object(key, deep=True) for key, _ in node.value if key.tag != merge]
        if twice := [key for key in keys if keys.count(key) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]!r} stands there twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def _invalid(path: Path, cause: ValidationError) -> errors.Invalid:
    details = tuple(
        errors.Detail(loc=found["loc"], msg=_said(found), type=found["type"])
        for found in cause.errors(include_url=False)
    )
    first = ".".join(map(str, details[0].loc))
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return errors.Invalid(
        f"{path}: {f'{first}: ' if first else ''}{details[0].msg}{more}",
        details=details,
        hint="Every field is explained in docs/model-folder.md.",
    )


def _said(found: ErrorDetails) -> str:
    """pydantic's sentence, and for the usual trap of YAML what to do about it."""
    if found["type"] == "string_type" and isinstance(found["input"], int | float):
        return f"{found['msg']}; YAML reads {found['input']} as a number: write it in quotes"
    return found["msg"]


def _golden_rows(folder: Path, manifest: Manifest) -> tuple[GoldenRow, ...]:
    if manifest.golden is None:
        return ()
    return golden.read(artifact.inside(folder, manifest.golden, field="golden"))
