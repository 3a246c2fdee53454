"""Format `xgboost`: trees of XGBoost, from a file of `Booster.save_model`. The file is data: reading it runs no code.

XGBoost gets no byte of the file, but what `xgboost_file` has written from it. It computes in float32.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.serving import cpu_quota
from fairlead.serving.formats import base, xgboost_file


class XGBoost:
    """`format: xgboost`: a file `.ubj` or `.json`."""

    held: Literal["float32"] = "float32"

    def signature(self, artifact: Path) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The columns and the answers of the booster. Raises Invalid."""
        described = xgboost_file.read(artifact).described
        return described.inputs(), described.outputs()

    def read(self, artifact: Path) -> Any:
        """Load the booster. Raises Invalid if the file is damaged, or a newer XGBoost wrote it."""
        library = base.library_of("xgboost", "xgboost")
        file = xgboost_file.read(artifact)
        here = tuple(map(int, library.__version__.split(".")[:2]))
        if file.version[:2] > here:
            raise errors.Invalid(
                f"format 'xgboost': {artifact.name} was written by XGBoost {'.'.join(map(str, file.version))}, and "
                f"{library.__version__} is installed",
                hint="Install the version that wrote it: an older one may read it otherwise.",
            )
        booster = library.Booster({"nthread": cpu_quota.compute_threads(os.environ), "verbosity": 0})
        try:
            booster.load_model(bytearray(file.document))
        except library.core.XGBoostError as cause:
            raise errors.Invalid(
                f"format 'xgboost': XGBoost {library.__version__} cannot load {artifact.name}: {said(cause)}",
                hint="Save the booster again with this version of XGBoost: booster.save_model('model.ubj').",
            ) from None
        return _Booster(booster, file, library.core.XGBoostError)

    def write(self, value: Any, artifact: Path) -> None:
        """Write a Booster, or the one of an estimator of xgboost.sklearn, or copy a file."""
        if isinstance(value, str | Path):
            shutil.copyfile(value, artifact)
            return
        booster = value.get_booster() if hasattr(value, "get_booster") else value
        if not hasattr(booster, "save_raw"):
            raise errors.Invalid(
                f"format 'xgboost' writes a Booster or copies a path; a {type(value).__name__} is neither",
                hint="Give it what xgboost.train returned, or a fitted XGBClassifier or XGBRegressor.",
            )
        artifact.write_bytes(booster.save_raw(raw_format="ubj"))


class _Booster:
    def __init__(self, booster: Any, file: xgboost_file.File, failure: type[Exception]) -> None:
        self.described = file.described
        self._predict, self._range, self._failure = booster.inplace_predict, (0, file.rounds), failure

    def values(self, rows: np.ndarray, *, margin: bool) -> np.ndarray:
        """The answers of XGBoost, or its margins. Raises ModelFailed with its reason."""
        kind = "margin" if margin else "value"
        try:
            found: np.ndarray = self._predict(
                rows, iteration_range=self._range, predict_type=kind, validate_features=False
            )
        except self._failure as cause:
            raise errors.ModelFailed(f"XGBoost cannot compute these rows: {said(cause)}") from None
        return found


def said(cause: Exception) -> str:
    """What an error of XGBoost says, without the time, the place in its source and the stack."""
    text = str(cause).partition("\nStack trace")[0]
    return " ".join(text.split())[:300].rstrip(". ")
