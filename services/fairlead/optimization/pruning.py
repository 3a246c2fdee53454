"""Makes the hidden layers of an ONNX graph narrower: takes out the units whose weights are smallest.

Zeros among weights save nothing: the file has them, and onnxruntime multiplies with them. So whole units of dense
layers go, with their weights in the layer before and in the layer behind.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fairlead import errors
from fairlead.optimization import graphs

_DENSE = frozenset({"Gemm", "MatMul"})
_BY_UNIT = frozenset(
    {"Cast", "Clip", "Elu", "Gelu", "HardSwish", "Identity", "LeakyRelu", "Relu", "Selu", "Sigmoid", "Softplus", "Tanh"}
)
"""Operators that compute each unit from itself alone."""
_WITH_CONSTANT = frozenset({"Add", "Mul", "Sub"})


@dataclass(frozen=True, slots=True)
class _Layer:
    """The units between two dense operators. `between` are the names of constants with one value for each unit."""

    before: Any
    behind: Any
    between: tuple[str, ...]


def narrower(graph: bytes, share: float) -> bytes:
    """The graph without this share of the units of each hidden layer.

    Raises Refused if it has no hidden layer between two dense ones, and Unavailable without onnx.
    """
    onnx = graphs.needed("onnx")
    model = onnx.load_model_from_string(graph)
    weights = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    weights |= {
        one.output[0]: onnx.numpy_helper.to_array(one.attribute[0].t)
        for one in model.graph.node
        if one.op_type == "Constant" and one.attribute[0].name == "value"
    }
    changed: dict[str, np.ndarray] = {}
    for layer in _layers(model.graph, weights):
        _prune(layer, weights, changed, share)
    if not changed:
        raise errors.Refused(
            "pruning is pointless: the graph has no units between two dense layers (Gemm, MatMul) that could be taken "
            "out, and zeros among the weights make neither the file smaller nor the model faster",
            hint="Train a smaller model, or try --quantize int8.",
        )
    for one in model.graph.initializer:
        if one.name in changed:
            one.CopyFrom(onnx.numpy_helper.from_array(changed[one.name], one.name))
    for one in model.graph.node:
        if one.op_type == "Constant" and one.output[0] in changed:
            one.attribute[0].t.CopyFrom(onnx.numpy_helper.from_array(changed[one.output[0]]))
    del model.graph.value_info[:]  # they have the old sizes
    onnx.checker.check_model(model)
    made: bytes = model.SerializeToString()
    return made


def _layers(graph: Any, weights: Mapping[str, np.ndarray]) -> Iterator[_Layer]:
    users: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    for one in graph.output:
        users.setdefault(one.name, []).append(None)
    for node in graph.node:
        if _is_dense(node, weights) and (found := _layer(node, users, weights)) is not None:
            own = (node.input[1], found.behind.input[1], *found.between)
            if all(len(users[name]) == 1 for name in own):
                yield found


def _layer(node: Any, users: Mapping[str, list[Any]], weights: Mapping[str, np.ndarray]) -> _Layer | None:
    """The units that a dense operator computes, if only another dense one uses them."""
    between = [node.input[2]] if len(node.input) > 2 and node.input[2] else []
    units = weights[node.input[1]].shape[0 if _is_transposed(node) else 1]
    value = node.output[0]
    while len(found := users.get(value, [])) == 1 and found[0] is not None:
        behind = found[0]
        if _is_dense(behind, weights):
            fits = behind.input[0] == value and all(_is_by_unit(weights.get(name), units) for name in between)
            return _Layer(node, behind, tuple(between)) if fits else None
        constants = [name for name in behind.input if name != value and name]
        if behind.op_type in _WITH_CONSTANT:
            between.extend(constants)
        elif behind.op_type not in _BY_UNIT or behind.input[0] != value:
            return None
        value = behind.output[0]
    return None


def _is_dense(node: Any, weights: Mapping[str, np.ndarray]) -> bool:
    is_plain = not any(one.name == "transA" and one.i for one in node.attribute)
    return node.op_type in _DENSE and node.input[1] in weights and weights[node.input[1]].ndim == 2 and is_plain


def _is_transposed(node: Any) -> bool:
    return any(one.name == "transB" and one.i for one in node.attribute)


def _is_by_unit(constant: np.ndarray | None, units: int) -> bool:
    return constant is not None and (constant.size == 1 or (constant.size == units == constant.shape[-1]))


def _prune(layer: _Layer, weights: Mapping[str, np.ndarray], changed: dict[str, np.ndarray], share: float) -> None:
    into, out = layer.before.input[1], layer.behind.input[1]
    first, second = changed.get(into, weights[into]), changed.get(out, weights[out])
    units_of_first = 0 if _is_transposed(layer.before) else 1
    units_of_second = 1 if _is_transposed(layer.behind) else 0
    size = np.linalg.norm(first, axis=1 - units_of_first) * np.linalg.norm(second, axis=1 - units_of_second)
    keep = max(1, math.ceil((1 - share) * len(size)))
    kept = np.sort(np.argsort(-size, kind="stable")[:keep])
    changed[into] = np.take(first, kept, axis=units_of_first)
    changed[out] = np.take(second, kept, axis=units_of_second)
    for name in layer.between:
        if weights[name].size > 1:
            changed[name] = np.take(weights[name], kept, axis=-1)
