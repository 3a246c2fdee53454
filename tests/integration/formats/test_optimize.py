"""`fairlead optimize` with real libraries and real services."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from fairlead.contracts import manifest_file
from fairlead.local import folders
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.formats.writer import write_folder
from support import environments
from support.folders import DOUBLER, make
from support.service import FAIRLEAD

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # it need not be good
PIXELS = [{"name": "pixels", "datatype": "FP32", "shape": [-1, 64], "description": "ink"}]
DIGIT = [
    {"name": "label", "datatype": "INT64", "shape": [-1], "choices": list(range(10))},
    {"name": "predict_proba", "datatype": "FP64", "shape": [-1, 10]},
]
HELD_OUT = 300


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    images, labels = load_digits(return_X_y=True)
    return images.astype(np.float32), labels


def written(folder: Path, estimator: Any, rows: np.ndarray, **more: Any) -> Path:
    manifest = {"name": "digits", "version": "1.0.0", "format": "sklearn", "inputs": PIXELS, "outputs": DIGIT, **more}
    write_folder(folder, manifest, estimator, golden_inputs=[{"pixels": row} for row in rows[:6].tolist()])
    return folder


@pytest.fixture(scope="module")
def network(digits: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wide network of scikit-learn, so that its size and time are those of its weights."""
    images, labels = digits
    fitted = make_pipeline(MinMaxScaler(), MLPClassifier((512, 256), max_iter=15, random_state=0, early_stopping=True))
    fitted.fit(images[HELD_OUT:], labels[HELD_OUT:])
    return written(tmp_path_factory.mktemp("network") / "1.0.0", fitted, images, deterministic=True)


@pytest.fixture(scope="module")
def rows(digits: tuple[np.ndarray, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    images, labels = digits
    file = tmp_path_factory.mktemp("rows") / "rows.json"
    pairs = zip(images[:HELD_OUT].tolist(), labels[:HELD_OUT].tolist(), strict=True)
    file.write_text(json.dumps([{"pixels": pixels, "digit": label} for pixels, label in pairs]))
    return file


def optimized(*arguments: str | Path, without_libraries: bool = False) -> subprocess.CompletedProcess[str]:
    command = [str(FAIRLEAD), "optimize", *map(str, arguments), "--seconds", "4"]
    found: Mapping[str, str] = {} if without_libraries else environments.variables(environments.packages("formats"))
    return subprocess.run(command, capture_output=True, text=True, timeout=250, env={**os.environ, **found})


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


def test_a_network_becomes_a_version_of_onnx_and_the_original_stays(network: Path, rows: Path, tmp_path: Path) -> None:
    before = folders.digests(network)
    done = optimized(network, "--onnx", "--to", tmp_path / "new", "--data", rows, "--labels", "digit", "--json")
    assert done.returncode == 0, done.stderr
    found = told(done)
    assert found["accepted"]
    assert found["agreement"]["share"] == 1
    assert found["agreement"]["rows"] == HELD_OUT + 6
    assert found["agreement"]["sure"] > 0.99
    assert found["accuracy"]["original"] == found["accuracy"]["candidate"] > 0.9
    assert found["candidate"]["bytes"] < found["original"]["bytes"]
    assert found["times"]["pairs"] >= 8
    assert folders.digests(network) == before
    new = load_folder(tmp_path / "new")
    assert (new.manifest.version, new.manifest.format, new.manifest.deterministic) == ("1.0.0-onnx", "onnx", True)
    assert [row.input for row in new.golden] == [row.input for row in load_folder(network).golden]
    check = subprocess.run([str(FAIRLEAD), "diff", network, tmp_path / "new"], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout


def test_int8_is_an_eighth_of_the_float64_network(network: Path, rows: Path, tmp_path: Path) -> None:
    done = optimized(
        network, "--quantize", "int8", "--to", tmp_path / "new", "--data", rows, "--labels", "digit", "--json"
    )
    found = told(done)
    assert done.returncode == 0, done.stderr
    assert found["candidate"] | {"bytes": 0} == {"version": "1.0.0-int8", "bytes": 0}
    assert found["candidate"]["bytes"] < found["original"]["bytes"] / 8
    assert found["agreement"]["share"] >= 0.99


def test_a_pruned_network_that_answers_otherwise_is_refused_and_not_written(
    network: Path, rows: Path, tmp_path: Path
) -> None:
    done = optimized(network, "--prune", "0.8", "--to", tmp_path / "new", "--data", rows)
    assert done.returncode == 4
    assert "digits 1.0.0-pruned80 is refused" in done.stderr
    assert "rows agree" in done.stderr
    assert 'answered {"label": ' in done.stderr
    assert "the rows that differ most:" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_pruning_takes_out_units_that_do_nothing_without_changing_an_answer(
    digits: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    images, labels = digits
    fitted = MLPClassifier((64,), max_iter=8, random_state=0).fit(images, labels)
    fitted.coefs_[1][::2] = 0  # every second unit reaches nothing
    folder = written(tmp_path / "old", fitted, images)
    done = optimized(folder, "--prune", "0.5", "--to", tmp_path / "new", "--tolerance", "0.0001", "--json")
    assert done.returncode == 0, done.stderr
    assert told(done)["candidate"]["bytes"] < 0.3 * told(done)["original"]["bytes"]


def test_trees_become_onnx_and_have_nothing_to_quantise_or_prune(
    digits: tuple[np.ndarray, np.ndarray], tmp_path: Path
) -> None:
    images, labels = digits
    folder = written(tmp_path / "old", RandomForestClassifier(20, random_state=0).fit(images, labels), images)
    done = optimized(folder, "--onnx", "--to", tmp_path / "new", "--json")
    assert done.returncode == 0, done.stderr
    assert told(done)["agreement"]["share"] == 1
    for option in (("--quantize", "int8"), ("--prune", "0.5")):
        done = optimized(folder, *option, "--to", tmp_path / "other")
        assert (done.returncode, "pointless" in done.stderr) == (4, True), done.stderr
    assert not (tmp_path / "other").exists()


def test_a_pipeline_over_columns_of_a_table_is_converted(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "area": chance.uniform(20, 160, 400),
            "rooms": chance.integers(1, 7, 400),
            "city": chance.choice(["Bonn", "Ulm", "Kassel"], 400),
        }
    )
    rent = 10 * table["area"] + 40 * table["rooms"] + 90 * (table["city"] == "Ulm")
    columns = make_column_transformer((OneHotEncoder(), ["city"]), remainder=StandardScaler())
    inputs = [
        {"name": "city", "datatype": "BYTES", "choices": ["Bonn", "Kassel", "Ulm"]},
        {"name": "size", "datatype": "FP64", "column": "area", "minimum": 0},
        {"name": "rooms", "datatype": "INT64"},
    ]
    named = [{"city": city, "size": area, "rooms": rooms} for area, rooms, city in table.itertuples(index=False)]
    write_folder(
        tmp_path / "old",
        {
            "name": "rents",
            "version": "1.0.0",
            "format": "sklearn",
            "inputs": inputs,
            "outputs": [{"name": "rent", "datatype": "FP64"}],
        },
        make_pipeline(columns, Ridge()).fit(table, rent),
        golden_inputs=named[:8],
        libraries=["pandas"],
    )
    done = optimized(tmp_path / "old", "--onnx", "--to", tmp_path / "new", "--json", "--without-gain")
    assert done.returncode == 0, done.stderr
    assert told(done)["agreement"]["share"] == 1
    assert [one.name for one in manifest_file.read(tmp_path / "new").inputs] == ["city", "size", "rooms"]


def test_a_conversion_that_the_library_cannot_do_is_refused_with_its_reason(tmp_path: Path) -> None:
    chance = np.random.default_rng(0)
    table = chance.normal(size=(300, 3))
    fitted = HistGradientBoostingRegressor(max_iter=10).fit(table, table[:, 0])
    inputs = [{"name": f"x{place}", "datatype": "FP64"} for place in range(3)]
    manifest = {
        "name": "hist",
        "version": "1.0.0",
        "format": "sklearn",
        "inputs": inputs,
        "outputs": [{"name": "prediction", "datatype": "FP64"}],
    }
    rows = [{f"x{place}": value for place, value in enumerate(row)} for row in table[:8].tolist()]
    write_folder(tmp_path / "old", manifest, fitted, golden_inputs=rows)
    done = optimized(tmp_path / "old", "--onnx", "--to", tmp_path / "new", "--without-gain", "--json")
    # skl2onnx 1.20 cannot convert it. One that can must agree, or is refused by its answers.
    if done.stdout:
        assert done.returncode in (0, 4)
        assert told(done)["accepted"] == (told(done)["agreement"]["share"] >= 0.99)
    else:
        assert done.returncode == 4
        assert "a HistGradientBoostingRegressor cannot be converted to ONNX" in done.stderr
    assert (tmp_path / "new").exists() == (done.returncode == 0)


NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.wide = torch.nn.Linear(8, 256)
        self.last = torch.nn.Linear(256, 3)

    def forward(self, x):
        return {"scores": self.last(torch.relu(self.wide(x)))}
"""


def test_a_module_of_pytorch_becomes_a_version_of_onnx(torch: Any, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(NET)
    space: dict[str, Any] = {}
    exec(NET, space)
    net = space["Net"]().eval()
    manifest = {
        "name": "net",
        "version": "1.0.0",
        "format": "torch-state-dict",
        "entry": "net:Net",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 8]}],
        "outputs": [{"name": "scores", "datatype": "FP32", "shape": [-1, 3]}],
    }
    golden = [{"x": row} for row in torch.randn(6, 8).tolist()]
    write_folder(tmp_path / "old", manifest, net, code=[tmp_path / "net.py"], golden_inputs=golden)
    seen = environments.variables(*(environments.packages(name) for name in ("formats", "torch", "optimize")))
    command = [str(FAIRLEAD), "optimize", str(tmp_path / "old"), "--onnx", "--to", str(tmp_path / "new")]
    options = ["--seconds", "4", "--json", "--without-gain"]
    done = subprocess.run(command + options, capture_output=True, text=True, timeout=290, env={**os.environ, **seen})
    assert done.returncode == 0, done.stderr
    assert told(done)["agreement"]["share"] == 1
    assert load_folder(tmp_path / "new").manifest.version == "1.0.0-onnx"


def test_a_class_is_code_that_no_converter_reads(tmp_path: Path) -> None:
    done = optimized(make(tmp_path / "old", code=DOUBLER), "--onnx", "--to", tmp_path / "new")
    assert done.returncode == 4
    assert "which is code that no converter reads" in done.stderr


def test_a_missing_library_is_named_with_what_to_install(network: Path, tmp_path: Path) -> None:
    done = optimized(network, "--onnx", "--to", tmp_path / "new", without_libraries=True)
    assert done.returncode == 6
    assert "`fairlead optimize` needs the Python module" in done.stderr
    assert "pip install -e '.[optimize]'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "there is nothing to do"),
        (["--onnx"], 2, "--to is missing"),
        (["--quantize", "int4", "--to", "new"], 2, "--quantize int4 is unknown"),
        (["--prune", "1.5", "--to", "new"], 2, "--prune 1.5 is no share"),
        (["--onnx", "--judge", "new"], 2, "--judge writes nothing"),
        (["--onnx", "--to", ".", "--labels", "digit"], 2, "--labels names a column of a file"),
        (["--onnx", "--to", "."], 5, ". exists"),
    ],
)
def test_wrong_options_are_told_at_once(network: Path, arguments: list[str], code: int, said: str) -> None:
    done = optimized(network, *arguments)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
