"""scikit-learn estimators, in joblib's pickle. It is code: only checked bytes may come here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.serving.formats import base
from fairlead.serving.formats.joblib import Joblib


class Sklearn:
    """`format: sklearn`, a fitted estimator or pipeline written by `joblib.dump`."""

    def read(self, artifact: Path) -> Any:
        """Unpickle the file and make sure that an estimator came out."""
        estimator = base.library("sklearn.base", extra="sklearn", needed_for="format 'sklearn'").BaseEstimator
        found = Joblib().read(artifact)
        if not isinstance(found, estimator):
            raise errors.Invalid(f"format 'sklearn': {artifact.name} holds a {type(found).__name__}, not an estimator")
        return found

    def write(self, value: Any, artifact: Path) -> None:
        """As `joblib` does."""
        Joblib().write(value, artifact)
