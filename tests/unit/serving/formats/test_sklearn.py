from __future__ import annotations

from pathlib import Path

import joblib
import pytest
from sklearn.linear_model import LinearRegression

from fairlead import errors
from fairlead.serving.formats.sklearn import Sklearn


def test_an_estimator_is_read_back(tmp_path: Path) -> None:
    Sklearn().write(LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]), tmp_path / "model.joblib")
    assert Sklearn().read(tmp_path / "model.joblib").predict([[2.0]]).tolist() == [pytest.approx(4.0)]


def test_an_object_that_is_not_an_estimator_is_an_error_that_names_its_type(tmp_path: Path) -> None:
    joblib.dump({"weights": [1.0]}, tmp_path / "model.joblib")
    with pytest.raises(errors.Invalid, match=r"model\.joblib holds a dict, not an estimator"):
        Sklearn().read(tmp_path / "model.joblib")
