"""Reads a model folder into a `ModelFolder`: manifest, row and answer type, golden rows, how to load the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from pydantic import BaseModel

from fairlead import errors
from fairlead.contracts import manifest_file
from fairlead.contracts.formats import KINDS
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.profile import Profile
from fairlead.model import Model
from fairlead.serving.formats import (
    artifact,
    base,
    boosters,
    column_order,
    datatypes,
    declared,
    frames,
    golden,
    golden_images,
    measured,
    methods,
    networks,
    shared_dimensions,
    tensor_classes,
    top_labels,
    version_skew,
)
from fairlead.serving.formats.author_code import author_code
from fairlead.serving.formats.entry import Code
from fairlead.serving.formats.golden import GoldenRow
from fairlead.serving.formats.joblib import Joblib
from fairlead.serving.formats.keras import Keras, KerasH5
from fairlead.serving.formats.lightgbm import LightGBM
from fairlead.serving.formats.made_up_rows import FEW, MADE_UP, MadeUp
from fairlead.serving.formats.made_up_rows import made_up as made_up_rows
from fairlead.serving.formats.onnx import Onnx
from fairlead.serving.formats.pickle import Pickle
from fairlead.serving.formats.python import Python
from fairlead.serving.formats.sklearn import Sklearn
from fairlead.serving.formats.skops import Skops
from fairlead.serving.formats.strict import strict
from fairlead.serving.formats.torch_export import TorchExport
from fairlead.serving.formats.torch_state_dict import TorchStateDict
from fairlead.serving.formats.torchscript import TorchScript
from fairlead.serving.formats.xgboost import XGBoost

FORMATS: Mapping[str, base.Format] = MappingProxyType(
    {
        "joblib": Joblib(),
        "keras": Keras(),
        "keras-h5": KerasH5(),
        "lightgbm": LightGBM(),
        "onnx": Onnx(),
        "pickle": Pickle(),
        "python": Python(),
        "sklearn": Sklearn(),
        "skops": Skops(),
        "torch-export": TorchExport(),
        "torch-state-dict": TorchStateDict(),
        "torchscript": TorchScript(),
        "xgboost": XGBoost(),
    }
)


@dataclass(frozen=True, repr=False)
class ModelFolder:
    """A model folder that has been read and validated. Its artifact has not been read yet.

    `row_type` is the strict form of the author's type; requests are validated against it. Use `model_validate_json`:
    strict dates and tuples accept their JSON form only there.
    """

    folder: Path
    manifest: Manifest
    row_type: type[BaseModel]
    answer_type: type[BaseModel]
    golden: tuple[GoldenRow, ...]
    model_class: type[Model[Any, Any]]
    code: Code
    profile: Profile | None = None
    copy: Path | None = None
    """A copy of the artifact that was checked for all processes of the service, and stays as long as they do."""

    def __repr__(self) -> str:
        """One line: a notebook shows it below the cell that called `write_folder`."""
        what = f"{self.manifest.name} {self.manifest.version}, format {self.manifest.format}"
        return f"<ModelFolder {self.folder}: {what}, {len(self.golden)} golden rows>"

    @property
    def explains(self) -> bool:
        """Whether the model's class explains its answers."""
        return methods.explains(self.model_class)

    @property
    def package(self) -> str:
        """The package that the folder's code has become."""
        return self.code.package

    def start(self, made_up: MadeUp = MADE_UP) -> Model[Any, Any]:
        """Load the model and return it. The digest is checked before any byte of the artifact is unpickled.

        `made_up` says how it is asked made-up rows, which show whether an estimator gets its columns in their order.

        Raises Refused for a version skew, ArtifactRejected for a wrong digest, ModelFailed if the author's code raises,
        and Invalid if an estimator would get its columns in a wrong order.
        """
        version_skew.check(self.manifest)
        failure = author_code(f"{self.manifest.name} {self.manifest.version}: load failed")
        versions = version_skew.checked_while_loading(self.manifest)
        with self._artifact() as path, self.code.short_names(), failure, versions:
            model = self.model_class()
            model.load(path)
        # Without a class, `estimator_input` has put the columns in order.
        if self.manifest.entry is not None and not issubclass(self.model_class, networks.Networked):
            column_order.check(model, partial(self._some_rows, made_up), made_up.asking)
        return model

    def _some_rows(self, made_up: MadeUp) -> list[tuple[str, BaseModel]]:
        """A few rows: golden ones, and with their names made-up ones if asking them does nothing but answer."""
        may_ask = self.manifest.idempotent and not made_up.skipped
        made = (
            [(f"made-up row {number}", row) for number, row in enumerate(made_up_rows(self.row_type), 1)]
            if may_ask
            else []
        )
        found = []
        for name, given in [*(("", row.input) for row in self.golden[:FEW]), *made]:
            with suppress(errors.Invalid):  # the warm-up says which golden row is invalid
                found.append((name, golden.parsed(given, self.row_type)))
        return found

    @contextmanager
    def _artifact(self) -> Iterator[Path]:
        if self.manifest.artifact is None or self.copy is not None:
            yield self.copy or self.folder
            return
        with artifact.checked(self.folder, self.manifest.artifact) as path:
            yield path


def load_folder(
    folder: Path, package: str | None = None, *, profiled: bool = True, copy: Path | None = None
) -> ModelFolder:
    """Read a model folder: its manifest, types and golden rows. Imports its `entry`; does not read the artifact.

    `package` is the name that its code gets as a package; without it, a new one. `profiled=False` does not read the
    profile, which may be that of another artifact and is about to be built. `copy` is a checked copy of the artifact
    that stays (`artifact.shared`): a format that can do so maps it into memory.
    """
    folder = folder.absolute()
    manifest = manifest_file.read(folder)
    code = Code.of(folder) if package is None else Code(folder, package)
    adapter = FORMATS[manifest.format]
    if copy is not None and KINDS[manifest.format].maps:
        adapter = cast(base.Maps, adapter).mapping()
    if manifest.trusted:
        adapter = cast(base.Trusting, adapter).trusting(manifest.trusted)
    if manifest.entry is not None and KINDS[manifest.format].is_weights:
        made = cast(base.Weights, adapter).built_by(code.factory(manifest.entry))
        model_class = networks.model_class(manifest, made, labels=top_labels.read(folder, manifest))
    elif manifest.entry is not None:
        model_class = code.model_class(manifest.entry)
        if methods.answering(model_class) == "predict_tensors":
            model_class = tensor_classes.model_class(manifest, model_class)
        if manifest.isolation == "process" and methods.explains(model_class):
            raise errors.Invalid(
                f"fairlead.yaml: isolation: {model_class.__name__} defines explain, which a process of the model's own "
                "does not answer",
                hint="Write `isolation: thread`, or leave explain out.",
            )
    else:
        manifest = _with_signature(manifest, adapter, folder)
        model_class = _without_a_class(manifest, adapter, folder)
    row_type = _strict_row_type(model_class)
    return ModelFolder(
        folder=folder,
        manifest=manifest,
        row_type=row_type,
        answer_type=model_class.answer_type,
        golden=_golden_rows(folder, manifest),
        model_class=model_class,
        code=code,
        profile=measured.read_profile(folder, manifest, row_type) if profiled else None,
        copy=copy,
    )


def _without_a_class(manifest: Manifest, adapter: base.Format, folder: Path) -> type[Model[Any, Any]]:
    kind = KINDS[manifest.format]
    if kind.is_booster:
        return boosters.model_class(manifest, cast(boosters.Adapter, adapter))
    if kind.is_network:
        labels = top_labels.read(folder, manifest)
        return networks.model_class(manifest, adapter, _dimensions(manifest, folder), labels)
    return declared.model_class(manifest, adapter)


def _with_signature(manifest: Manifest, adapter: base.Format, folder: Path) -> Manifest:
    """The manifest with the inputs and outputs that the artifact states, where it declares none."""
    if not KINDS[manifest.format].has_signature or (manifest.inputs and manifest.outputs):
        return manifest
    assert manifest.artifact is not None  # the manifest's own check
    inputs, outputs = cast(base.Described, adapter).signature(
        artifact.inside(folder, manifest.artifact.path, field="artifact.path")
    )
    update = {"inputs": manifest.inputs or inputs, "outputs": manifest.outputs or outputs}
    return manifest.model_copy(update=update)


def _dimensions(manifest: Manifest, folder: Path) -> shared_dimensions.Names:
    """The names of the inputs' dimensions; none, if the artifact cannot be read: loading it says why."""
    if not KINDS[manifest.format].has_signature or manifest.artifact is None:
        return {}
    with suppress(errors.Invalid, OSError):
        path = artifact.inside(folder, manifest.artifact.path, field="artifact.path")
        return cast(base.Described, FORMATS[manifest.format]).dimensions(path)
    return {}


def _strict_row_type(model_class: type[Model[Any, Any]]) -> type[BaseModel]:
    """The strict row type. Its integers are limited to those that the argument of the class's method has."""
    row_type = model_class.row_type
    match methods.answering(model_class):
        case "predict_columns":  # a float64 array
            return strict(row_type, datatypes.IN_FLOAT64)
        case "predict_frame":
            return strict(row_type, fields=frames.integers(row_type))
    return strict(row_type)


def _golden_rows(folder: Path, manifest: Manifest) -> tuple[GoldenRow, ...]:
    if manifest.golden is None:
        return ()
    rows = golden.read(artifact.inside(folder, manifest.golden, field="golden"))
    return golden_images.read(rows, folder, manifest)
