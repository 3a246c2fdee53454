"""Versions of small models that an optimisation made wrong, and one that it made right: real files of ONNX.

Each is wrong in a way that tools are known for. Imported where the packages of requirements/formats.txt are.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from fairlead.contracts.manifest import Tensor
from fairlead.optimization import estimators
from fairlead.serving.formats.writer import write_folder

Row = Mapping[str, Any]
PIXELS = {"name": "pixels", "datatype": "FP32", "shape": [-1, 64]}
LABEL = {"name": "label", "datatype": "INT64", "shape": [-1]}
SCORES = {"name": "predict_proba", "datatype": "FP32", "shape": [-1, 10]}
WIDE = 2048
NOW = 1.7e9
"""A time in seconds: float32 has one number in 128 there."""


@dataclass(frozen=True)
class Case:
    """A new version, the model that it is judged by, and the rules that may refuse it; none: it is right."""

    name: str
    original: str
    make: Callable[[Models, Path], Any]
    rules: frozenset[str]


class Models:
    """The originals, each written once, and what the cases are made of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """Handwritten digits of 8 x 8 pixels, and which they are."""
        images, labels = load_digits(return_X_y=True)
        return images.astype(np.float32), labels

    @cached_property
    def network(self) -> Any:
        """A scaler and a network of scikit-learn that reads digits."""
        images, labels = self.images
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = make_pipeline(MinMaxScaler(), MLPClassifier((256, 64), max_iter=25, random_state=0))
            return fitted.fit(images[200:], labels[200:])

    @cached_property
    def graph(self) -> bytes:
        """Its right conversion."""
        return converted(self.network)

    @cached_property
    def digits(self) -> Path:
        """The folder of the network."""
        return self.write(
            "digits", "digits", "1.0.0", self.network, "sklearn", [PIXELS], [LABEL, SCORES], self.rows[:6]
        )

    @cached_property
    def rows(self) -> list[Row]:
        """Digits that the network was not trained on."""
        return [{"pixels": row} for row in self.images[0][:200].tolist()]

    @cached_property
    def moments(self) -> tuple[Path, Any, list[Row]]:
        """Trees over times in seconds, their folder, and rows."""
        chance = np.random.default_rng(0)
        times = NOW + chance.uniform(0, 600, 400)
        fitted = HistGradientBoostingRegressor(max_iter=20).fit(times[:, np.newaxis], np.sin(times / 60))
        rows: list[Row] = [{"moment": moment} for moment in times[:60].tolist()]
        fields = [{"name": "moment", "datatype": "FP64"}], [{"name": "prediction", "datatype": "FP64"}]
        return self.write("moments", "moments", "1.0.0", fitted, "sklearn", *fields, rows[:6]), fitted, rows

    @cached_property
    def wide(self) -> tuple[Path, np.ndarray]:
        """A network of one large layer in ONNX, and its weights."""
        weights = np.random.default_rng(0).normal(size=(WIDE, WIDE)).astype(np.float32) / WIDE**0.5
        graph = _one_layer([], [numpy_helper.from_array(weights, "w")])
        return self.write("wide", "wide", "1.0.0", graph, "onnx", *_ONE_LAYER, self.wide_rows[:4]), weights

    @cached_property
    def wide_rows(self) -> list[Row]:
        """Rows of the wide network."""
        return [{"x": row} for row in np.random.default_rng(1).normal(size=(12, 4)).tolist()]

    def write(
        self,
        place: str,
        name: str,
        version: str,
        value: Any,
        form: str,
        inputs: Sequence[Any],
        outputs: Sequence[Any],
        golden: Sequence[Row],
    ) -> Path:
        """Write a folder."""
        manifest = {"name": name, "version": version, "format": form, "inputs": inputs, "outputs": outputs}
        write_folder(self.folder / place, manifest, value, golden_inputs=golden)
        return self.folder / place

    def digits_as(self, place: Path, graph: bytes, **changed: Any) -> None:
        """Write a new version of the digits."""
        fields = {"inputs": [PIXELS], "outputs": [LABEL, SCORES], "golden": self.rows[:6], **changed}
        manifest = {"name": "digits", "version": "1.0.0-new", "format": "onnx"}
        write_folder(
            place,
            manifest | {part: fields[part] for part in ("inputs", "outputs")},
            graph,
            golden_inputs=fields["golden"],
        )


_ONE_LAYER = (
    [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
    [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}],
)


def _one_layer(before: Sequence[Any], weights: Sequence[Any]) -> bytes:
    chance = np.random.default_rng(2)
    ends = {"a": chance.normal(size=(4, WIDE)), "b": chance.normal(size=(WIDE, 4)) / WIDE**0.5}
    tensors = [*weights, *(numpy_helper.from_array(one.astype(np.float32), name) for name, one in ends.items())]
    nodes = [
        *before,
        helper.make_node("MatMul", ["x", "a"], ["h"]),
        helper.make_node("MatMul", ["h", "w"], ["i"]),
        helper.make_node("MatMul", ["i", "b"], ["y"]),
    ]
    fields = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 4]) for name in "xy"]
    graph = helper.make_graph(nodes, "wide", fields[:1], fields[1:], tensors)
    made: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9
    ).SerializeToString()
    return made


def converted(estimator: Any) -> bytes:
    """The graph of an estimator of digits."""
    fields = [[Tensor.model_validate(one) for one in part] for part in ([PIXELS], [LABEL, SCORES])]
    return estimators.to_onnx(estimator, fields[0], fields[1], doubles=False)


def with_weights(graph: bytes, change: Callable[[int, np.ndarray], np.ndarray]) -> bytes:
    """The graph with its matrices changed. `change` gets the place of each among them."""
    model = onnx.load_model_from_string(graph)
    matrices = [one for one in model.graph.initializer if len(one.dims) == 2 and min(one.dims) > 1]
    for place, one in enumerate(matrices):
        one.CopyFrom(numpy_helper.from_array(change(place, numpy_helper.to_array(one)).astype(np.float32), one.name))
    made: bytes = model.SerializeToString()
    return made


def _coarse(_: int, weights: np.ndarray) -> np.ndarray:
    step = np.abs(weights).max() / 2
    coarse: np.ndarray = np.round(weights / step) * step
    return coarse


def _lossy(models: Models, place: Path) -> None:
    models.digits_as(place, with_weights(models.graph, _coarse))


def _renamed(models: Models, place: Path) -> None:
    model = onnx.load_model_from_string(models.graph)
    model.graph.input[0].name = "input_0"
    model.graph.node.insert(0, helper.make_node("Identity", ["input_0"], ["pixels"]))
    golden = [{"input_0": row["pixels"]} for row in models.rows[:6]]
    models.digits_as(place, model.SerializeToString(), inputs=[{**PIXELS, "name": "input_0"}], golden=golden)


def _dropped(models: Models, place: Path) -> None:
    """Rows of which it is not sure are left out."""
    model = onnx.load_model_from_string(models.graph)
    for node in model.graph.node:
        for at, name in enumerate(node.output):
            if name in ("label", "predict_proba"):
                node.output[at] = f"all_{name}"
    model.graph.initializer.extend(
        [numpy_helper.from_array(np.array([1]), "one_axis"), numpy_helper.from_array(np.float32(0.7), "sure")]
    )
    model.graph.node.extend(
        [
            helper.make_node("ReduceMax", ["all_predict_proba", "one_axis"], ["best"], keepdims=0),
            helper.make_node("Greater", ["best", "sure"], ["kept"]),
            helper.make_node("Compress", ["all_label", "kept"], ["label"], axis=0),
            helper.make_node("Compress", ["all_predict_proba", "kept"], ["predict_proba"], axis=0),
        ]
    )
    models.digits_as(place, model.SerializeToString(), golden=[])


def _permuted(models: Models, place: Path) -> None:
    models.digits_as(place, with_weights(models.graph, lambda at, one: one[:, ::-1] if one.shape[1] == 10 else one))


def _without_scores(models: Models, place: Path) -> None:
    models.digits_as(place, models.graph, outputs=[LABEL])


def _without_scaler(models: Models, place: Path) -> None:
    models.digits_as(place, converted(models.network[-1]))


def _constant(models: Models, place: Path) -> None:
    models.digits_as(place, with_weights(models.graph, lambda at, one: one * (one.shape[1] != 10)))


def _dynamic(models: Models, place: Path) -> None:
    """The scales are computed from all rows of a batch."""
    with tempfile.TemporaryDirectory() as scratch:
        before, after = Path(scratch, "before.onnx"), Path(scratch, "after.onnx")
        before.write_bytes(models.graph)
        quantization.quantize_dynamic(str(before), str(after))
        models.digits_as(place, after.read_bytes(), golden=[])


def _float32_thresholds(models: Models, place: Path) -> None:
    _, fitted, rows = models.moments
    fields = [{"name": "moment", "datatype": "FP64"}], [{"name": "prediction", "datatype": "FP64"}]
    manifest = {"name": "moments", "version": "1.0.0-new", "format": "onnx", "inputs": fields[0], "outputs": fields[1]}
    write_folder(place, manifest, trees_in_float32(fitted), golden_inputs=rows[:6])


def trees_in_float32(fitted: Any) -> bytes:
    """Gradient boosted trees over one column, with thresholds rounded to float32, as converters write them."""
    trees = [tree for (tree,) in fitted._predictors]
    nodes = [(number, at, node) for number, tree in enumerate(trees) for at, node in enumerate(tree.nodes)]
    leaves = [(number, at, node) for number, at, node in nodes if node["is_leaf"]]
    ensemble = helper.make_node(
        "TreeEnsembleRegressor",
        ["column"],
        ["sum"],
        domain="ai.onnx.ml",
        n_targets=1,
        base_values=[float(np.ravel(fitted._baseline_prediction)[0])],
        nodes_treeids=[number for number, _, _ in nodes],
        nodes_nodeids=[at for _, at, _ in nodes],
        nodes_featureids=[int(node["feature_idx"]) for _, _, node in nodes],
        nodes_values=[0.0 if node["is_leaf"] else float(node["num_threshold"]) for _, _, node in nodes],
        nodes_modes=["LEAF" if node["is_leaf"] else "BRANCH_LEQ" for _, _, node in nodes],
        nodes_truenodeids=[int(node["left"]) for _, _, node in nodes],
        nodes_falsenodeids=[int(node["right"]) for _, _, node in nodes],
        target_treeids=[number for number, _, _ in leaves],
        target_nodeids=[at for _, at, _ in leaves],
        target_ids=[0] * len(leaves),
        target_weights=[float(node["value"]) for _, _, node in leaves],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["moment"], ["single"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", ["single", "axis"], ["column"]),
            ensemble,
            helper.make_node("Reshape", ["sum", "flat"], ["flat_sum"]),
            helper.make_node("Cast", ["flat_sum"], ["prediction"], to=TensorProto.DOUBLE),
        ],
        "trees",
        [helper.make_tensor_value_info("moment", TensorProto.DOUBLE, ["rows"])],
        [helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, ["rows"])],
        [numpy_helper.from_array(np.array([1]), "axis"), numpy_helper.from_array(np.array([-1]), "flat")],
    )
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    made: bytes = helper.make_model(graph, opset_imports=domains, ir_version=9).SerializeToString()
    return made


def _slower(models: Models, place: Path) -> None:
    """8-bit weights that become float32 again at each call: a quarter of the bytes, and more work."""
    _, weights = models.wide
    scale = np.float32(np.abs(weights).max() / 127)
    tensors = [
        numpy_helper.from_array(np.round(weights / scale).astype(np.int8), "w8"),
        numpy_helper.from_array(scale, "scale"),
    ]
    nodes = [
        helper.make_node("Cast", ["w8"], ["w32"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["x"], ["some"], keepdims=0),  # so that nothing is computed at load
        helper.make_node("Sub", ["some", "some"], ["zero"]),
        helper.make_node("Add", ["scale", "zero"], ["factor"]),
        helper.make_node("Mul", ["w32", "factor"], ["w"]),
    ]
    manifest = {"name": "wide", "version": "1.0.0-new", "format": "onnx"}
    fields = {"inputs": _ONE_LAYER[0], "outputs": _ONE_LAYER[1]}
    write_folder(place, manifest | fields, _one_layer(nodes, tensors), golden_inputs=models.wide_rows[:4])


def _right(models: Models, place: Path) -> None:
    models.digits_as(place, models.graph)


CASES = (
    Case("lossy quantisation", "digits", _lossy, frozenset({"agreement"})),
    Case("renamed inputs", "digits", _renamed, frozenset({"schema"})),
    Case("dropped rows", "digits", _dropped, frozenset({"agreement"})),
    Case("slower int8", "wide", _slower, frozenset({"slower"})),
    Case("permuted classes", "digits", _permuted, frozenset({"agreement"})),
    Case("lost probabilities", "digits", _without_scores, frozenset({"schema"})),
    Case("thresholds in float32 (sklearn-onnx#1192)", "moments", _float32_thresholds, frozenset({"agreement"})),
    Case("missing preprocessing", "digits", _without_scaler, frozenset({"agreement"})),
    Case("constant answer", "digits", _constant, frozenset({"agreement"})),
    Case("scales of the whole batch (dynamic int8)", "digits", _dynamic, frozenset({"agreement", "batch", "check"})),
    Case("right", "digits", _right, frozenset()),
)
"""The wrong ones, and the right one at the end."""
