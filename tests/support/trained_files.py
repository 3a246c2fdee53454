"""Trained files of every format that `fairlead new` reads: those that packages ship, and small ones that are made here.

python -m support.trained_files FOLDER NAME...     prints one line of JSON for each: its name, its file, who made it
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

BACKEND = "backend/test/data"
SHIPPED: Mapping[str, tuple[str, str]] = {
    "sigmoid": ("onnxruntime", "datasets/sigmoid.onnx"),
    "mul": ("onnxruntime", "datasets/mul_1.onnx"),
    "logreg-iris": ("onnxruntime", "datasets/logreg_iris.onnx"),
    "relu": ("onnx", f"{BACKEND}/simple/test_single_relu_model/model.onnx"),
    "sign": ("onnx", f"{BACKEND}/simple/test_sign_model/model.onnx"),
    "conv2d": ("onnx", f"{BACKEND}/pytorch-converted/test_Conv2d/model.onnx"),
    "linear": ("onnx", f"{BACKEND}/pytorch-converted/test_Linear/model.onnx"),
    "squeezenet": ("onnx", f"{BACKEND}/light/light_squeezenet.onnx"),
}
"""Files that are in packages: the package, and the path in it."""


def shipped(name: str) -> Path:
    """The file of a package."""
    package, path = SHIPPED[name]
    return Path(import_module(package).__file__ or "").parent / path


def _flowers() -> tuple[Any, Any, Any]:
    data = import_module("sklearn.datasets").load_iris(as_frame=True)
    line = import_module("sklearn.linear_model").LogisticRegression(max_iter=500)
    return data.data, data.target, line


def _joblib(folder: Path) -> Path:
    table, target, line = _flowers()
    file = folder / "flowers.joblib"
    import_module("joblib").dump(line.fit(table, target), file)
    return file


def _pickle(folder: Path) -> Path:
    table, target, line = _flowers()
    file = folder / "flowers.pkl"
    file.write_bytes(pickle.dumps(line.fit(table.to_numpy(), target)))
    return file


def _skops(folder: Path) -> Path:
    table, target, line = _flowers()
    import_module("skops.io").dump(line.fit(table, target), folder / "flowers.skops")
    return folder / "flowers.skops"


def _xgboost(folder: Path) -> Path:
    table, target, _ = _flowers()
    fitted = import_module("xgboost").XGBClassifier(n_estimators=5).fit(table, target)
    fitted.save_model(folder / "flowers.ubj")
    return folder / "flowers.ubj"


def _lightgbm(folder: Path) -> Path:
    table, target, _ = _flowers()
    fitted = import_module("lightgbm").LGBMClassifier(n_estimators=5, verbose=-1).fit(table.to_numpy(), target)
    fitted.booster_.save_model(str(folder / "flowers.txt"))
    return folder / "flowers.txt"


def _skl2onnx(folder: Path) -> Path:
    table, target, line = _flowers()
    kind = import_module("skl2onnx.common.data_types").FloatTensorType
    made = import_module("skl2onnx").to_onnx(
        line.fit(table.to_numpy(), target),
        initial_types=[("flower", kind([None, 4]))],
        options={"zipmap": False},
        target_opset=17,
    )
    (folder / "flowers.onnx").write_bytes(made.SerializeToString())
    return folder / "flowers.onnx"


def _network() -> Any:
    os.environ["KERAS_BACKEND"] = "torch"
    keras = import_module("keras")
    return keras.Sequential([keras.Input((4,), name="flower"), keras.layers.Dense(3, activation="softmax")])


def _keras(folder: Path) -> Path:
    _network().save(folder / "flowers.keras")
    return folder / "flowers.keras"


def _keras_h5(folder: Path) -> Path:
    _network().save(folder / "flowers.h5")
    return folder / "flowers.h5"


def _torch_export(folder: Path) -> Path:
    torch = import_module("torch")
    net, shapes = torch.nn.Linear(4, 3), ({0: torch.export.Dim("rows")},)
    torch.export.save(torch.export.export(net, (torch.zeros(2, 4),), dynamic_shapes=shapes), folder / "flowers.pt2")
    return folder / "flowers.pt2"


MADE: Mapping[str, Callable[[Path], Path]] = {
    "joblib": _joblib,
    "pickle": _pickle,
    "skops": _skops,
    "xgboost": _xgboost,
    "lightgbm": _lightgbm,
    "skl2onnx": _skl2onnx,
    "keras": _keras,
    "keras-h5": _keras_h5,
    "torch-export": _torch_export,
}
"""Files that are made here, each by a function that writes it into a folder."""


if __name__ == "__main__":
    for wanted in sys.argv[2:]:
        found = shipped(wanted) if wanted in SHIPPED else MADE[wanted](Path(sys.argv[1]))
        print(json.dumps({"name": wanted, "file": str(found), "by": SHIPPED.get(wanted, ("here", ""))[0]}))
