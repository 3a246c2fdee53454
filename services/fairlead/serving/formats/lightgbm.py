"""Format `lightgbm`: trees of LightGBM, from a text file of `Booster.save_model`. It is data: reading it runs no code.

LightGBM gets no line of the file, but what `lightgbm_file` has written from it. It computes in float64.
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
from fairlead.serving.formats import base, lightgbm_file
from fairlead.serving.formats.boosters import Described


class LightGBM:
    """`format: lightgbm`: a file `.txt`."""

    held: Literal["float64"] = "float64"

    def signature(self, artifact: Path) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The columns and the answers of the booster. Raises Invalid."""
        described = lightgbm_file.read(artifact).described
        return described.inputs(), described.outputs()

    def read(self, artifact: Path) -> Any:
        """Load the booster. Raises Invalid if the file is damaged, or LightGBM refuses it."""
        library = _library()
        file = lightgbm_file.read(artifact)
        try:
            booster = library.Booster(model_str=file.text)
        except library.basic.LightGBMError as cause:
            raise errors.Invalid(
                f"format 'lightgbm': LightGBM {library.__version__} cannot load {artifact.name}: {str(cause)[:300]}",
                hint="Save the booster again with this version of LightGBM: booster.save_model('model.txt').",
            ) from None
        return _Booster(booster, file.described, library.basic.LightGBMError)

    def write(self, value: Any, artifact: Path) -> None:
        """Write a Booster, or the one of an estimator of lightgbm.sklearn, or copy a file."""
        if isinstance(value, str | Path):
            shutil.copyfile(value, artifact)
            return
        booster = getattr(value, "booster_", value)
        if not hasattr(booster, "model_to_string"):
            raise errors.Invalid(
                f"format 'lightgbm' writes a Booster or copies a path; a {type(value).__name__} is neither",
                hint="Give it what lightgbm.train returned, or a fitted LGBMClassifier or LGBMRegressor.",
            )
        artifact.write_text(booster.model_to_string(), encoding="utf-8")


def _library() -> Any:
    try:
        return base.library_of("lightgbm", "lightgbm")
    except OSError as cause:
        raise errors.Unavailable(
            f"format 'lightgbm': LightGBM cannot be loaded: {cause}",
            hint="It needs OpenMP of the system: `apt-get install libgomp1`, or `brew install libomp` on macOS.",
        ) from None


class _Booster:
    def __init__(self, booster: Any, described: Described, failure: type[Exception]) -> None:
        self.described = described
        self._predict, self._failure = booster.predict, failure
        self._threads = cpu_quota.compute_threads(os.environ)

    def values(self, rows: np.ndarray, *, margin: bool) -> np.ndarray:
        """The answers of LightGBM, or the sums of its trees. Raises ModelFailed with its reason."""
        try:
            # A row is computed by one thread: more of them would only be started and wait.
            found: np.ndarray = self._predict(rows, raw_score=margin, num_threads=min(self._threads, len(rows)))
        except self._failure as cause:
            raise errors.ModelFailed(f"LightGBM cannot compute these rows: {str(cause)[:300]}") from None
        return found
