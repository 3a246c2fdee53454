"""ONNX files that nobody should serve, and files of other formats under their name. Needs onnx when it is called."""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

WEIGHTS = np.ones(3, np.float32).tobytes()


def matches(sentence: str, found: str) -> bool:
    """Whether the sentence is in what was found, over the ends of lines."""
    return re.search(sentence, found, re.DOTALL) is not None


def dense(*, opset: int = 17, ir: int = 9) -> bytes:
    """A model of two layers."""
    from support.formats import graphs  # noqa: PLC0415 - importable only when the environment was added

    made, _ = graphs.dense()
    made.ir_version = ir
    made.opset_import[0].version = opset
    return bytes(made.SerializeToString())


def shaped(*shape: int | str, element: int = 1) -> bytes:
    """A model that returns its input `x`, with this shape."""
    return _model([("Identity", ["x"], ["y"])], shape, element=element)


def added(one: tuple[int | str, ...], other: tuple[int | str, ...]) -> bytes:
    """A model that adds its inputs `x` and `w`, of these shapes."""
    from onnx import TensorProto, helper  # noqa: PLC0415

    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", one), ("w", other))
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, one)
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "graph", inputs, [output])
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())


def one_node(operator: str, domain: str = "") -> bytes:
    """A model of one operator."""
    return _model([(operator, ["x"], ["y"])], ("rows", 3), domain=domain)


def without_weights() -> bytes:
    """A model that adds weights which it does not have."""
    return _model([("Add", ["x", "w"], ["y"])], ("rows", 3))


def wrong_weights() -> bytes:
    """A model whose weights do not fit its operator."""
    return _model([("MatMul", ["x", "w"], ["y"])], ("rows", 3), weights=np.ones((7, 2), np.float32))


def huge_result() -> bytes:
    """A model that makes a tensor of as many elements as the row says, and returns its greatest one."""
    from onnx import TensorProto, helper  # noqa: PLC0415

    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    nodes = [
        helper.make_node("ReduceMax", ["n"], ["size"], axes=[0], keepdims=0),
        helper.make_node("ConstantOfShape", ["size"], ["many"], value=one),
        helper.make_node("ReduceMax", ["many"], ["most"], keepdims=0),
        helper.make_node("Cast", ["n"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["f", "f"], ["zero"]),
        helper.make_node("Add", ["zero", "most"], ["wide"]),
        helper.make_node("ReduceMax", ["wide"], ["y"], axes=[1], keepdims=0),
    ]
    inputs = [helper.make_tensor_value_info("n", TensorProto.INT64, ["rows", 1])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows"])]
    graph = helper.make_graph(nodes, "graph", inputs, outputs)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=9)
    return bytes(made.SerializeToString())


def outside(location: str, length: int = 12) -> bytes:
    """A model that adds three weights of another file."""
    from onnx import TensorProto, helper  # noqa: PLC0415

    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", location), ("offset", "0"), ("length", str(length))):
        weights.external_data.add(key=key, value=value)
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", 3]) for name in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])], "graph", tensors[:1], tensors[1:], [weights]
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())


def zip_bomb() -> bytes:
    """A zip archive of a few hundred bytes that holds 16 MiB."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 2**24)
    return packed.getvalue()


class _Runs:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def pickle_with_code(mark: Path = Path("/nowhere/executed")) -> bytes:
    """A pickle that makes the file `mark` when it is read."""
    return pickle.dumps(_Runs(mark))


def _model(
    nodes: list[tuple[str, list[str], list[str]]],
    shape: tuple[int | str, ...],
    *,
    domain: str = "",
    element: int = 1,
    weights: np.ndarray | None = None,
) -> bytes:
    from onnx import helper, numpy_helper  # noqa: PLC0415

    made_nodes = [helper.make_node(operator, inputs, outputs, domain=domain) for operator, inputs, outputs in nodes]
    inputs, outputs = (helper.make_tensor_value_info(name, element, list(shape)) for name in "xy")
    tensors = [] if weights is None else [numpy_helper.from_array(weights, "w")]
    graph = helper.make_graph(made_nodes, "graph", [inputs], [outputs], tensors)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(made.SerializeToString())
