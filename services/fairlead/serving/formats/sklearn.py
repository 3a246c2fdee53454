"""Format `sklearn`: scikit-learn estimators, pickled with joblib.

Unpickling runs code, so only bytes whose digest was checked may be read here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.serving.formats import base
from fairlead.serving.formats.joblib import Joblib


@dataclass(frozen=True)
class Sklearn:
    """`format: sklearn`: a fitted estimator or pipeline written by `joblib.dump`."""

    file: Joblib = Joblib()

    def mapping(self) -> Sklearn:
        """The same format, which maps arrays into memory as the format `joblib` does."""
        return replace(self, file=self.file.mapping())

    def read(self, artifact: Path) -> Any:
        """Unpickle the file. Raises Invalid if it does not hold an estimator."""
        estimator = base.library_of("sklearn", "sklearn.base").BaseEstimator
        found = self.file.read(artifact)
        if not isinstance(found, estimator):
            raise errors.Invalid(f"format 'sklearn': {artifact.name} holds a {type(found).__name__}, not an estimator")
        return found

    def write(self, value: Any, artifact: Path) -> None:
        """Write the file as the format `joblib` does."""
        self.file.write(value, artifact)
