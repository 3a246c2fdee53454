"""What an author's exception becomes, and what to do about an import that fails."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fairlead import errors
from fairlead.serving.check.checks import check_folder
from fairlead.serving.formats.author_code import hint_of
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.inference.process.messages import Failed
from support import folders


def failed_import(statement: str) -> ImportError:
    with pytest.raises(ImportError) as caught:
        exec(statement)
    return caught.value


IN_CLASS = {
    "at the top": folders.DOUBLER.replace("from pathlib", "import lightgbm\nfrom pathlib", 1),
    "in load": folders.DOUBLER.replace("        self.factor", "        import lightgbm\n        self.factor"),
    "in predict": folders.DOUBLER.replace("        return [", "        import lightgbm\n        return ["),
}
MISSING = (
    "Nothing that is installed here provides lightgbm. Name its package in requirements.txt of the model folder: the "
    "image build installs it, and on one machine `fairlead check` then prints the command that does. If lightgbm is a "
    "file of yours, put it into the model folder: write_folder copies code=[Path('lightgbm.py')]."
)


@pytest.mark.parametrize("place", IN_CLASS)
def test_a_package_that_is_missing_is_named_with_the_place_where_it_belongs(tmp_path: Path, place: str) -> None:
    folder = folders.make(tmp_path / "m", code=IN_CLASS[place])
    failed = next(one for one in check_folder(folder) if one.outcome == "failed")
    assert "No module named 'lightgbm'" in failed.message
    assert failed.hint == MISSING


@pytest.mark.parametrize(
    ("statement", "hint"),
    [
        (
            "from .features import scaled",
            "Put features.py into the model folder: write_folder copies code=[Path('features.py')].",
        ),
        ("from . import features", "Put that file into the model folder: write_folder copies code=[Path('...')]."),
        ("from .model import tomorrow", None),  # the file is there
    ],
)
def test_a_file_that_only_a_relative_import_names_belongs_into_the_folder(
    tmp_path: Path, statement: str, hint: str | None
) -> None:
    code = folders.DOUBLER.replace("from pathlib", f"{statement}\nfrom pathlib", 1)
    with pytest.raises(errors.ModelFailed) as caught:
        load_folder(folders.make(tmp_path / "m", code=code))
    assert caught.value.hint == hint


@pytest.mark.parametrize("statement", ["import numpy.core_of_tomorrow", "from numpy import core_of_tomorrow"])
def test_a_name_that_an_installed_package_lacks_asks_for_another_version_of_it(statement: str) -> None:
    assert hint_of(failed_import(statement)) == (
        f"numpy {np.__version__} is installed and has no such name. Pin the version that the model needs in "
        "requirements.txt of the model folder."
    )


def test_a_library_that_asks_for_another_one_is_believed() -> None:
    assert hint_of(ImportError("Missing optional dependency 'pyarrow'")) == (
        "Name the package in requirements.txt of the model folder: the image build installs it, and on one machine "
        "`fairlead check` then prints the command that does."
    )


@pytest.mark.parametrize("statement", ["from json import core_of_tomorrow", "import json.core_of_tomorrow"])
def test_for_the_standard_library_there_is_no_hint(statement: str) -> None:
    assert hint_of(failed_import(statement)) is None


def test_the_hint_reaches_the_service_from_the_process_of_the_model() -> None:
    failed = Failed.of(failed_import("import lightgbm"), "the model's code raised ModuleNotFoundError")
    assert failed.as_exception().hint == MISSING
