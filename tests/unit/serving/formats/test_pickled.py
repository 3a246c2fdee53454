"""A pickle that only the training script can read is refused when it is written."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from fairlead import errors
from fairlead.serving.formats import writer
from fairlead.serving.formats.folder import ModelFolder

HELD = """
from pathlib import Path
import pickle
from pydantic import BaseModel
import fairlead

class Number(BaseModel):
    value: float

class Scaler:
    pass

def double(values):
    return values * 2

class Held(fairlead.Model[Number, Number]):
    def load(self, artifact: Path) -> None:
        self.held = pickle.loads(artifact.read_bytes())

    def predict(self, rows: list[Number]) -> list[Number]:
        return rows
"""


def write(tmp_path: Path, value: Any, *more: Path, format: str = "pickle") -> ModelFolder:
    code = tmp_path / "model.py"
    code.write_text(HELD if format == "pickle" else HELD.replace("pickle.loads(artifact.read_bytes())", "artifact"))
    manifest = {"name": "held", "version": "1.0.0", "format": format, "entry": "model:Held"}
    return writer.write_folder(tmp_path / "out", manifest, value, code=[code, *more])


def double(values: Any) -> Any:
    return values * 2


class OfTheScript:
    """As if the test were a training script."""


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "OfTheScript", OfTheScript, raising=False)
    monkeypatch.setattr(OfTheScript, "__module__", "__main__")


@pytest.mark.parametrize("format", ["pickle", "joblib", "sklearn"])
def test_a_lambda_is_named_with_its_line(tmp_path: Path, format: str) -> None:
    value = make_pipeline(FunctionTransformer(lambda values: values * 2))
    with pytest.raises(errors.Invalid) as caught:
        write(tmp_path, value, format=format)
    line = test_a_lambda_is_named_with_its_line.__code__.co_firstlineno + 2
    assert caught.value.message == f"the artifact cannot hold the lambda of test_pickled.py, line {line}"
    assert "Write a function with a name in model.py" in (caught.value.hint or "")


def test_a_function_inside_another_is_named(tmp_path: Path) -> None:
    def inside(values: Any) -> Any:
        return values

    with pytest.raises(
        errors.Invalid, match=r"the artifact cannot hold inside of test_pickled.py, line \d+: it is defined in"
    ):
        write(tmp_path, inside)


@pytest.mark.usefixtures("script")
@pytest.mark.parametrize("value", [OfTheScript, [{"scaler": OfTheScript}], FunctionTransformer(OfTheScript)], ids=str)
def test_a_class_of_the_training_script_is_named_however_deep_it_is(tmp_path: Path, value: Any) -> None:
    with pytest.raises(errors.Invalid) as caught:
        write(tmp_path, value)
    assert (
        caught.value.message
        == "the artifact needs OfTheScript of the training script, which is not in the model folder"
    )
    assert "Move OfTheScript to model.py" in (caught.value.hint or "")


def test_what_no_pickle_can_hold_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="the value cannot be pickled: cannot pickle '_thread.lock' object"):
        write(tmp_path, {"lock": threading.Lock()})


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module beside the training script, imported as the script imports it."""
    path = tmp_path / "features_beside.py"
    path.write_text("class Scaler:\n    pass\n")
    spec = importlib.util.spec_from_file_location("features_beside", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "features_beside", module)
    spec.loader.exec_module(module)
    return path


def test_a_module_beside_the_script_that_is_not_in_the_folder_is_named(tmp_path: Path, beside: Path) -> None:
    with pytest.raises(errors.Invalid) as caught:
        write(tmp_path, sys.modules["features_beside"].Scaler())
    assert caught.value.message.startswith("the model does not load in a process of its own: ")
    assert "No module named 'features_beside'" in caught.value.message
    assert caught.value.hint == "Pass the files that it needs: code=[..., Path('features_beside.py')]."


def test_a_module_beside_the_script_that_is_in_the_folder_is_fine(tmp_path: Path, beside: Path) -> None:
    write(tmp_path, sys.modules["features_beside"].Scaler(), beside)


@pytest.mark.parametrize("format", ["pickle", "joblib"])
def test_functions_and_arrays_of_libraries_are_fine(tmp_path: Path, format: str) -> None:
    write(tmp_path, [np.log1p, np.zeros(3), len, threading.Thread, Path("x")], format=format)


def test_a_training_script_learns_it_when_it_writes(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    (tmp_path / "model.py").write_text(HELD)
    script.write_text(
        "from pathlib import Path\n"
        "from fairlead.serving.formats.writer import write_folder\n"
        "class Scaler: pass\n"
        "manifest = {'name': 'held', 'version': '1.0.0', 'format': 'pickle', 'entry': 'model:Held'}\n"
        "write_folder(Path(__file__).parent / 'out', manifest, Scaler(), code=[Path(__file__).parent / 'model.py'])\n"
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True)
    assert done.returncode == 1
    assert "the artifact needs Scaler of the training script" in done.stderr
    script.write_text(script.read_text().replace("class Scaler: pass", "from model import Scaler"))
    assert subprocess.run([sys.executable, str(script)], capture_output=True, text=True).returncode == 0
