"""Small ONNX models of many shapes, each with rows and what onnxruntime itself answers to them. Needs onnx."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from support.formats.cases import Case, as_rows

RNG = np.random.default_rng(0)
ROWS = 6


def model(
    nodes: Sequence[Any], inputs: Sequence[Any], outputs: Sequence[Any], weights: dict[str, np.ndarray], **given: Any
) -> Any:
    """A checked model of operator set 17."""
    tensors = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9, **given)
    onnx.checker.check_model(made)
    return made


def floats(name: str, *shape: int | str) -> Any:
    """A tensor of floats whose first dimension is open."""
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", *shape])


def weight(*shape: int) -> np.ndarray:
    """Random weights."""
    return RNG.normal(size=shape).astype(np.float32)


def dense() -> tuple[Any, dict[str, np.ndarray]]:
    """A hidden layer, and probabilities beside a label."""
    nodes = [
        helper.make_node("Gemm", ["x", "a", "b"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "c"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
        helper.make_node("ArgMax", ["logits"], ["label"], axis=1, keepdims=0),
    ]
    weights = {"a": weight(16, 64), "b": weight(64), "c": weight(64, 5)}
    outputs = [helper.make_tensor_value_info("label", TensorProto.INT64, ["rows"]), floats("probabilities", 5)]
    return model(nodes, [floats("x", 16)], outputs, weights), {"x": weight(ROWS, 16)}


def image() -> tuple[Any, dict[str, np.ndarray]]:
    """A convolution over an image of 3 x 24 x 24."""
    nodes = [
        helper.make_node("Conv", ["image:0", "k"], ["c"], strides=[2, 2]),
        helper.make_node("GlobalAveragePool", ["c"], ["p"]),
        helper.make_node("Flatten", ["p"], ["scores"]),
    ]
    return model(nodes, [floats("image:0", 3, 24, 24)], [floats("scores", 4)], {"k": weight(4, 3, 5, 5)}), {
        "image:0": weight(ROWS, 3, 24, 24)
    }


def sequence() -> tuple[Any, dict[str, np.ndarray]]:
    """The sum over a sequence of any length, with two values at each place."""
    nodes = [helper.make_node("ReduceSum", ["steps", "axis"], ["total"], keepdims=0)]
    made = model(nodes, [floats("steps", "length", 2)], [floats("total", 2)], {"axis": np.array([1])})
    return made, {"steps": weight(ROWS, 7, 2)}


def padded() -> tuple[Any, dict[str, np.ndarray]]:
    """As `sequence`, with an answer for each place beside the sum, which zeros at the end do not change."""
    nodes = [
        helper.make_node("ReduceSum", ["steps", "axis"], ["total"], keepdims=0),
        helper.make_node("Neg", ["steps"], ["negated"]),
    ]
    outputs = [floats("total", 2), floats("negated", "length", 2)]
    made = model(nodes, [floats("steps", "length", 2)], outputs, {"axis": np.array([1])})
    return made, {"steps": weight(ROWS, 7, 2)}


def columns() -> tuple[Any, dict[str, np.ndarray]]:
    """Columns of several types, and answers of several."""
    inputs = [
        floats("height", 1),
        helper.make_tensor_value_info("age", TensorProto.INT64, ["rows", 1]),
        helper.make_tensor_value_info("city", TensorProto.STRING, ["rows"]),
        helper.make_tensor_value_info("member", TensorProto.BOOL, ["rows"]),
    ]
    nodes = [
        helper.make_node("Cast", ["age"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["height", "f"], ["product"]),
        helper.make_node("Not", ["member"], ["stranger"]),
        helper.make_node("Identity", ["city"], ["where"]),
        helper.make_node("Cast", ["f"], ["exact"], to=TensorProto.DOUBLE),
    ]
    outputs = [
        floats("product", 1),
        helper.make_tensor_value_info("stranger", TensorProto.BOOL, ["rows"]),
        helper.make_tensor_value_info("where", TensorProto.STRING, ["rows"]),
        helper.make_tensor_value_info("exact", TensorProto.DOUBLE, ["rows", 1]),
    ]
    arrays = {
        "height": weight(ROWS, 1),
        "age": np.arange(ROWS, dtype=np.int64).reshape(-1, 1),
        "city": np.array(["Bern", "Oslo", "Łódź", "", "a b", '"']),
        "member": np.arange(ROWS) % 2 == 0,
    }
    return model(nodes, inputs, outputs, {}), arrays


def half() -> tuple[Any, dict[str, np.ndarray]]:
    """Numbers in half precision, and the same in single precision."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT16, ["rows", 3]) for name in "xy")
    nodes = [helper.make_node("Mul", ["x", "k"], ["y"]), helper.make_node("Cast", ["x"], ["z"], to=TensorProto.FLOAT)]
    made = model(nodes, [x], [y, floats("z", 3)], {"k": np.array([0.1, 3, 1000], np.float16)})
    return made, {"x": weight(ROWS, 3).astype(np.float16)}


def one_image() -> tuple[Any, dict[str, np.ndarray]]:
    """The image model, exported for a batch of one."""
    made, arrays = image()
    for value in (*made.graph.input, *made.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    return made, arrays


def whole() -> tuple[Any, dict[str, np.ndarray]]:
    """The product of two matrices: no dimension of them is the rows."""
    sizes = {"a": (2, 3), "b": (3, 4), "scale": (), "y": (2, 4)}
    values = {name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in sizes.items()}
    nodes = [helper.make_node("MatMul", ["a", "b"], ["p"]), helper.make_node("Mul", ["p", "scale"], ["y"])]
    made = model(nodes, [values["a"], values["b"], values["scale"]], [values["y"]], {})
    return made, {name: weight(ROWS, *sizes[name]) for name in ("a", "b", "scale")}


CALLED_BY_ROW: dict[str, int | slice] = {"onnx-one-image": slice(0, 1), "onnx-whole": 0}
"""The models that take one row in a call, and what of a row's array they take."""
MADE: dict[str, Callable[[], tuple[Any, dict[str, np.ndarray]]]] = {
    "onnx-dense": dense,
    "onnx-image": image,
    "onnx-sequence": sequence,
    "onnx-padded": padded,
    "onnx-columns": columns,
    "onnx-half": half,
    "onnx-one-image": one_image,
    "onnx-whole": whole,
}
DECLARED: dict[str, dict[str, Any]] = {
    "onnx-padded": {
        "inputs": [{"name": "steps", "datatype": "FP32", "shape": [-1, -1, 2], "padding": {"to": [4, 7]}}],
        "outputs": [
            {"name": "total", "datatype": "FP32", "shape": [-1, 2]},
            {"name": "negated", "datatype": "FP32", "shape": [-1, -1, 2], "cut_to": "steps"},
        ],
    }
}
"""What the manifest says of tensors, where it says more than the file."""


def case(name: str, folder: Path) -> Case:
    """A model, its rows as JSON, and onnxruntime's own answers: to one row, and to all of them."""
    import onnxruntime  # noqa: PLC0415 - importable only when the environment was added

    made, arrays = MADE[name]()
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def own(given: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        if name not in CALLED_BY_ROW:
            return as_rows(dict(zip(names, session.run(None, given), strict=True)))
        part: Any = CALLED_BY_ROW[name]
        found: list[dict[str, Any]] = []
        for place in range(ROWS if len(next(iter(given.values()))) > 1 else 1):
            row = {key: np.asarray(array[place : place + 1][part]) for key, array in given.items()}
            outputs = [np.asarray(one) if part else np.asarray(one)[np.newaxis] for one in session.run(None, row)]
            found += as_rows(dict(zip(names, outputs, strict=True)))
        return found

    return Case({"format": "onnx"} | DECLARED.get(name, {}), made, as_rows(arrays), arrays, own)


def external(folder: Path) -> Path:
    """The dense model in a folder, with its weights in a second file."""
    made, _ = dense()
    folder.mkdir()
    onnx.save_model(made, folder / "model.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    return folder
