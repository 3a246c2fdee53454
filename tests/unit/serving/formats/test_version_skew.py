from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sklearn.linear_model import LinearRegression

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.serving.formats import folder, version_skew, writer
from support import folders

HERE = {"scikit-learn": "1.9.1", "numpy": "2.4.6"}.get


def manifest(**fields: Any) -> Manifest:
    return Manifest.model_validate({"name": "m", "version": "1", "format": "python", "entry": "m:C", **fields})


@pytest.mark.parametrize("built", ["1.9.1", "1.9.0", "1.9", "1.9.3rc1"])
def test_another_patch_release_fits(built: str) -> None:
    assert version_skew.skewed({"scikit-learn": built}, HERE) == {}


@pytest.mark.parametrize("built", ["1.8.1", "1.10.0", "2.9.1"])
def test_another_minor_or_major_release_does_not_fit_and_both_versions_are_named(built: str) -> None:
    message = f"built with scikit-learn {built}, but 1.9.1 is installed"
    assert version_skew.skewed({"scikit-learn": built}, HERE) == {"scikit-learn": message}


def test_a_library_that_is_not_installed_is_named() -> None:
    assert version_skew.skewed({"absent": "1.0"}, HERE) == {"absent": "built with absent 1.0, which is not installed"}


def test_a_mismatch_is_refused_and_the_hint_names_the_setting_that_allows_it() -> None:
    with pytest.raises(errors.Refused, match=r"m 1: built with pydantic 1\.0") as caught:
        version_skew.check(manifest(built_with={"pydantic": "1.0"}))
    assert "version_skew: warn" in (caught.value.hint or "")


def test_with_version_skew_warn_a_mismatch_is_logged_as_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        version_skew.check(manifest(built_with={"pydantic": "1.0"}, version_skew="warn"))
    assert "built with pydantic 1.0" in caplog.text


def test_a_manifest_that_names_no_libraries_passes() -> None:
    version_skew.check(manifest())


LINE = pickle.dumps(LinearRegression().fit([[0.0], [1.0]], [0.0, 2.0]))
BY_ITSELF = folders.DOUBLER.replace("float(artifact.read_text())", "pickle.loads(artifact.read_bytes()) and 2")
UNPICKLES = "import pickle\n" + BY_ITSELF


def stated_without_a_class(**fields: Any) -> dict[str, Any]:
    """The manifest of a model without a class."""
    tensors = [{"name": "x", "datatype": "FP64"}]
    return {"name": "line", "version": "1.0.0", "format": "pickle", "inputs": tensors, "outputs": tensors, **fields}


def declared(tmp_path: Path, artifact: bytes, **fields: Any) -> Path:
    """A folder without a class, whose artifact is a pickle."""
    stated = stated_without_a_class(**fields)
    return folders.make(tmp_path / "m", artifact=artifact, golden=(), without=["entry"], **stated)


def with_class(tmp_path: Path, artifact: bytes, **fields: Any) -> Path:
    """A folder whose class unpickles the artifact by itself."""
    return folders.make(tmp_path / "m", artifact=artifact, code=UNPICKLES, **fields)


MADE = pytest.mark.parametrize("make", [declared, with_class])


@MADE
@pytest.mark.parametrize("built_with", [{}, {"scikit-learn": "1.9.1"}], ids=["silent", "says otherwise"])
def test_a_version_that_only_the_pickle_tells_is_refused(
    tmp_path: Path, make: Callable[..., Path], built_with: dict[str, str]
) -> None:
    made = make(tmp_path, LINE.replace(b"1.9.1", b"1.1.3"), built_with=built_with)
    with pytest.raises(errors.Refused, match=r"built with scikit-learn 1\.1\.3, but 1\.9\.1 is installed") as caught:
        folder.load_folder(made).start()
    assert "version_skew: warn" in (caught.value.hint or "")


@MADE
def test_a_patch_release_that_the_pickle_tells_fits(tmp_path: Path, make: Callable[..., Path]) -> None:
    assert folder.load_folder(make(tmp_path, LINE.replace(b"1.9.1", b"1.9.0"))).start()


@MADE
def test_with_version_skew_warn_a_version_that_only_the_pickle_tells_is_logged(
    tmp_path: Path, make: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    made = make(tmp_path, LINE.replace(b"1.9.1", b"1.1.3"), version_skew="warn")
    assert folder.load_folder(made).start()
    assert "built with scikit-learn 1.1.3, but 1.9.1 is installed" in caplog.text


@MADE
def test_a_library_whose_version_nothing_tells_is_refused_with_the_line_to_add(
    tmp_path: Path, make: Callable[..., Path]
) -> None:
    with pytest.raises(errors.Refused, match="nothing says which version of httpx wrote the artifact") as caught:
        folder.load_folder(make(tmp_path, pickle.dumps(httpx.Timeout(1)))).start()
    assert f'`built_with: {{httpx: "{version_skew.installed("httpx")}"}}`' in (caught.value.hint or "")


@MADE
def test_a_library_of_built_with_is_not_unknown(tmp_path: Path, make: Callable[..., Path]) -> None:
    made = make(tmp_path, pickle.dumps(httpx.Timeout(1)), built_with={"httpx": version_skew.installed("httpx")})
    assert folder.load_folder(made).start()


def test_an_artifact_that_pickles_nothing_needs_no_built_with(tmp_path: Path) -> None:
    assert folder.load_folder(folders.make(tmp_path / "m")).start()


class WarnsAsXgboost:
    """Warns when it is unpickled, as a booster of an older XGBoost does."""

    def __setstate__(self, state: Any) -> None:
        warnings.warn("WARNING: If you are loading a serialized model (like pickle in Python, RDS in R)", stacklevel=2)


def test_a_warning_without_versions_is_shown_in_full(tmp_path: Path) -> None:
    warns = WarnsAsXgboost()
    vars(warns)["a"] = 1
    with pytest.raises(errors.Refused, match="xgboost warned: WARNING: If you are loading a serialized model"):
        folder.load_folder(declared(tmp_path, pickle.dumps(warns))).start()


class FailsAfterAll:
    """Warns as scikit-learn does, then cannot be unpickled."""

    def __setstate__(self, state: Any) -> None:
        warnings.warn("Trying to unpickle estimator A from version 1.1.3 when using version 1.9.1. x", stacklevel=2)
        raise ValueError("node array has an incompatible dtype")


def test_a_pickle_that_warned_before_it_failed_is_refused_for_its_version(tmp_path: Path) -> None:
    fails = FailsAfterAll()
    vars(fails)["a"] = 1
    with pytest.raises(errors.Refused, match=r"built with scikit-learn 1\.1\.3, .* incompatible dtype"):
        folder.load_folder(declared(tmp_path, pickle.dumps(fails))).start()


def test_a_written_folder_has_the_libraries_of_its_pickle_unasked(tmp_path: Path) -> None:
    stated = stated_without_a_class()
    written = writer.write_folder(tmp_path / "m", stated, httpx.Timeout(1))
    assert written.manifest.built_with == {"httpx": version_skew.installed("httpx")}


def test_versions_that_the_author_gives_are_kept(tmp_path: Path) -> None:
    stated = stated_without_a_class(built_with={"httpx": "1.0"})
    assert writer.write_folder(tmp_path / "m", stated, httpx.Timeout(1)).manifest.built_with == {"httpx": "1.0"}


def test_a_written_folder_with_a_class_has_the_libraries_that_its_code_imports(tmp_path: Path) -> None:
    code = tmp_path / "model.py"
    code.write_text("import sklearn\n" + folders.DOUBLER)
    stated = {"name": "doubler", "version": "1", "format": "python", "entry": "model:Doubler"}
    written = writer.write_folder(tmp_path / "m", stated, b"2", code=[code])
    assert written.manifest.built_with == {"scikit-learn": version_skew.installed("scikit-learn")}
