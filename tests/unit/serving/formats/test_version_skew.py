from __future__ import annotations

import logging
from typing import Any

import pytest

from fairlead import errors
from fairlead.contracts.manifest import Manifest
from fairlead.serving.formats import version_skew

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
