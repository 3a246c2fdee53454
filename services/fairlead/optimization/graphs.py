"""ONNX graphs whose inputs and outputs are the fields of a manifest.

A converter makes a graph with inputs and outputs of its own. `served` puts nodes around it, so that the clients of the
original see the same names, types and shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.serving.formats.onnx import ELEMENTS
from fairlead.serving.libraries import library

ELEMENT_OF: Mapping[str, int] = {datatype: element for element, datatype in ELEMENTS.items()}
INNER = "model_"
"""What the names inside of the converted graph begin with, so that none is that of a field."""
OPSET = 18
"""The operator set of what is exported here: every onnxruntime that this project serves with has it."""
_ROWS = "rows"
_INT64 = ELEMENT_OF["INT64"]


def needed(module: str) -> Any:
    """A module of the extra `optimize`. Raises Unavailable, with what to install as hint."""
    return library(module, extra="optimize", needed_for="`fairlead optimize`")


def served(graph: Any, inputs: Sequence[Tensor], outputs: Mapping[str, Tensor], order: Sequence[int]) -> Any:
    """The graph with the inputs and outputs of a manifest.

    The graph has either one input of shape [rows, columns], which gets the fields of `inputs` side by side, or an input
    for each field. `order` has, for each of these columns, the place of its field. `outputs` are the served ones by
    the names that the graph has for them.
    """
    onnx = needed("onnx")
    made = onnx.compose.add_prefix(graph, INNER)
    own = list(made.graph.input)
    before: list[Any] = []
    node = onnx.helper.make_node
    is_matrix = len(own) == 1 and len(own[0].type.tensor_type.shape.dim) > 1
    columns = []
    for place in order:
        one, target = inputs[place], own[0 if is_matrix else order.index(place)]
        cast = f"cast_{place}"
        before.append(node("Cast", [one.name], [cast], to=target.type.tensor_type.elem_type))
        columns.append(cast)
        if len(one.shape) == 1:
            before.append(node("Unsqueeze", [cast, "axis_1"], [f"column_{place}"]))
            columns[-1] = f"column_{place}"
    if is_matrix and len(columns) > 1:
        before.append(node("Concat", columns, [own[0].name], axis=1))
    else:
        before.extend(node("Identity", [given], [one.name]) for given, one in zip(columns, own, strict=True))
    after = []
    for name, one in outputs.items():
        given = f"{INNER}{name}"
        if len(one.shape) == 1:
            after.append(node("Reshape", [given, "axis_all"], [f"flat_{one.name}"]))
            given = f"flat_{one.name}"
        after.append(node("Cast", [given], [one.name], to=ELEMENT_OF[one.datatype]))
    graph_of = made.graph
    nodes = [*before, *graph_of.node, *after]
    del graph_of.node[:], graph_of.input[:], graph_of.output[:]
    graph_of.node.extend(nodes)
    graph_of.input.extend(_value(onnx, one) for one in inputs)
    graph_of.output.extend(_value(onnx, one) for one in outputs.values())
    asked = {name for one in nodes for name in one.input}
    for name, value in (("axis_1", 1), ("axis_all", -1)):
        if name in asked:
            graph_of.initializer.append(onnx.helper.make_tensor(name, _INT64, [1], [value]))
    if not any(one.domain in ("", "ai.onnx") for one in made.opset_import):  # of trees alone
        made.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    onnx.checker.check_model(made)
    return made


def _value(onnx: Any, one: Tensor) -> Any:
    shape = [_ROWS, *(None if size == -1 else size for size in one.shape[1:])]
    return onnx.helper.make_tensor_value_info(one.name, ELEMENT_OF[one.datatype], shape)


def check_inputs(inputs: Sequence[Tensor]) -> None:
    """Raise Refused for inputs that a graph cannot have with the same meaning."""
    for one in inputs:
        if one.nullable and not one.datatype.startswith("FP"):
            raise errors.Refused(
                f"the input {one.name} may be null, and {one.datatype} of ONNX has no value for that",
                hint="Keep the original. An input of FP64 or FP32 may be null: null is NaN there.",
            )


def loads(graph: bytes) -> str:
    """Why onnxruntime cannot compute a graph; empty if it can."""
    runtime = needed("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    try:
        runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as cause:  # its errors have no class in common
        return " ".join(str(cause).split())[:300]
    return ""


def first_that_loads(variants: Sequence[Callable[[], Any]], what: str) -> bytes:
    """The first variant of a graph that can be made and computed. Raises Refused with the reasons of all."""
    reasons = []
    for make in variants:
        try:
            made: bytes = make().SerializeToString()
        except errors.FairleadError:
            raise
        except Exception as cause:  # converters raise whatever they meet
            reasons.append(f"{type(cause).__name__}: {' '.join(str(cause).split())[:200]}")
            continue
        if not (why := loads(made)):
            return made
        reasons.append(why)
    raise errors.Refused(
        f"{what} cannot be converted to ONNX: {'; '.join(dict.fromkeys(reasons))}",
        hint="Keep the original, or train a model that the converter knows. A newer skl2onnx or onnxruntime may help.",
    )
