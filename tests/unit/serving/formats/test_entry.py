from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from fairlead import errors
from fairlead.serving.formats import rows
from fairlead.serving.formats.entry import Code
from fairlead.serving.formats.folder import ModelFolder, load_folder
from support import folders

WITH_A_SIBLING = folders.DOUBLER.replace("import fairlead\n", "import fairlead\nimport features\n").replace(
    "self.factor *", "features.SCALE *"
)


def double(loaded: ModelFolder, value: float) -> float:
    (answer,) = rows.answer(loaded.start(), [loaded.row_type.model_validate({"value": value})])
    return float(answer.model_dump()["value"])


def model_class(folder: Path, entry: str = "model:Doubler") -> type:
    return Code.of(folder).model_class(entry)


def test_two_folders_with_the_same_module_names_are_isolated(tmp_path: Path) -> None:
    loaded = []
    for scale in (3, 5):
        folder = folders.make(tmp_path / str(scale), code=WITH_A_SIBLING, golden=())
        (folder / "features.py").write_text(f"SCALE = {scale}\n")
        loaded.append(load_folder(folder))
    assert [double(one, 1.0) for one in loaded] == [3.0, 5.0]


def test_siblings_may_be_imported_relatively(tmp_path: Path) -> None:
    code = WITH_A_SIBLING.replace("import features", "from . import features")
    folder = folders.make(tmp_path / "m", code=code, golden=())
    (folder / "features.py").write_text("SCALE = 7\n")
    assert double(load_folder(folder), 1.0) == 7.0


def test_a_sibling_imports_its_own_sibling(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m", code=WITH_A_SIBLING, golden=())
    (folder / "features.py").write_text("from constants import SCALE\n")
    (folder / "constants.py").write_text("SCALE = 9\n")
    assert double(load_folder(folder), 1.0) == 9.0


def test_importing_restores_the_import_system(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m", code=WITH_A_SIBLING, golden=())
    (folder / "features.py").write_text("SCALE = 7\n")
    before = list(sys.path), list(sys.meta_path), {"model", "features"} & set(sys.modules), sys.dont_write_bytecode
    load_folder(folder).start()
    after = list(sys.path), list(sys.meta_path), {"model", "features"} & set(sys.modules), sys.dont_write_bytecode
    assert after == before


def test_a_module_of_the_same_name_that_was_imported_before_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = type(sys)("model")
    monkeypatch.setitem(sys.modules, "model", elsewhere)
    load_folder(folders.make(tmp_path / "m"))
    assert sys.modules["model"] is elsewhere


def test_the_standard_library_is_not_hidden_by_a_file_of_the_folder(tmp_path: Path) -> None:
    code = folders.DOUBLER.replace("import fairlead\n", "import fairlead\nimport json\njson.dumps\n")
    folder = folders.make(tmp_path / "m", code=code)
    (folder / "json.py").write_text("raise RuntimeError('imported by mistake')\n")
    load_folder(folder)


def test_a_changed_model_is_imported_again(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m", golden=())
    assert double(load_folder(folder), 1.0) == 2.0
    (folder / "model.py").write_text(folders.DOUBLER.replace("self.factor *", "8.0000000 *"))
    assert double(load_folder(folder), 1.0) == 8.0


def test_nothing_is_written_into_the_folder(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m")
    before = sorted(folder.rglob("*"))
    load_folder(folder).start()
    assert sorted(folder.rglob("*")) == before


def test_folders_may_be_loaded_on_several_threads_at_once(tmp_path: Path) -> None:
    found: dict[int, float] = {}

    def load(scale: int) -> None:
        folder = folders.make(tmp_path / str(scale), code=WITH_A_SIBLING, golden=())
        (folder / "features.py").write_text(f"SCALE = {scale}\n")
        found[scale] = double(load_folder(folder), 1.0)

    threads = [threading.Thread(target=load, args=(scale,)) for scale in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {scale: float(scale) for scale in range(8)}


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("absent:Doubler", r"the model folder has no absent\.py"),
        ("model:Absent", r"model\.py defines no 'Absent'"),
        ("model:Number", r"Number is not a fairlead\.Model"),
        ("model:Path", r"Path is not a fairlead\.Model"),
    ],
)
def test_a_wrong_entry_is_an_error_that_says_what_is_wrong(tmp_path: Path, entry: str, problem: str) -> None:
    with pytest.raises(errors.Invalid, match=problem) as caught:
        model_class(folders.make(tmp_path / "m"), entry)
    assert "fairlead.yaml: entry:" in caught.value.message


def test_for_a_class_without_types_the_error_says_how_to_declare_them(tmp_path: Path) -> None:
    code = "import fairlead\nclass Doubler(fairlead.Model): pass\n"
    with pytest.raises(errors.Invalid, match=r"class Doubler\(fairlead\.Model\[Row, Answer\]\)"):
        model_class(folders.make(tmp_path / "m", code=code))


def test_code_that_raises_while_it_is_imported_raises_model_failed(tmp_path: Path) -> None:
    with pytest.raises(errors.ModelFailed, match=r"importing model\.py failed: ZeroDivisionError: division by zero"):
        model_class(folders.make(tmp_path / "m", code="1 / 0\n"))
