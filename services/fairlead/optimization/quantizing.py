"""Quantises an ONNX graph to 8-bit integers, with onnxruntime: weights, and the values between its operators.

The scales of the values are measured on rows and written into the graph (static quantisation). Scales that are computed
at each call (dynamic quantisation) would make the answer to a row depend on the rows beside it in the batch.
"""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fairlead import errors
from fairlead.optimization import graphs
from fairlead.serving.formats import networks

MOST_ROWS = 256
"""Rows on which the scales are measured."""
OPERATORS = ("Conv", "Gemm", "MatMul")


def to_int8(graph: bytes, batches: Iterable[Mapping[str, np.ndarray]]) -> bytes:
    """The graph with 8-bit weights. `batches` are arrays of rows by the names of the fields.

    Raises Refused if it does not become smaller, and Unavailable without onnx and onnxruntime.
    """
    onnx, quantization = graphs.needed("onnx"), graphs.needed("onnxruntime.quantization")
    model = onnx.load_model_from_string(graph)
    if not {node.op_type for node in model.graph.node} & set(OPERATORS):
        raise errors.Refused(
            f"quantising is pointless: none of its operators is {', '.join(OPERATORS)}",
            hint="Trees and linear models compute little with weights. Convert with --onnx alone.",
        )
    names = {networks.field_name(one.name): one.name for one in model.graph.input}
    feeds = iter([{names[name]: array for name, array in one.items()} for one in batches])

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def get_next(self) -> Any:
            """The arrays of the next call; None after the last."""
            return next(feeds, None)

    with tempfile.TemporaryDirectory(prefix="fairlead-optimize-") as scratch, _quiet():
        before, after = Path(scratch, "before.onnx"), Path(scratch, "after.onnx")
        before.write_bytes(_with_flat_biases(onnx, graph))
        prepared = Path(scratch, "prepared.onnx")
        try:
            quantization.shape_inference.quant_pre_process(str(before), str(prepared), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(prepared),
                str(after),
                Reader(),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                op_types_to_quantize=list(OPERATORS),
                activation_type=quantization.QuantType.QInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        except Exception as cause:  # it raises whatever it meets
            raise errors.Refused(
                f"onnxruntime cannot quantise the graph: {type(cause).__name__}: {' '.join(str(cause).split())[:200]}",
                hint="Convert with --onnx alone, or quantise by hand and judge that version: --judge DIR2.",
            ) from None
        made = after.read_bytes()
    if len(made) >= len(graph):
        raise errors.Refused(
            f"quantising is pointless: the graph has {len(graph)} bytes, and {len(made)} with 8-bit weights",
            hint="Its weights are few. Convert with --onnx alone, or keep the original.",
        )
    return made


def _with_flat_biases(onnx: Any, graph: bytes) -> bytes:
    """The graph with biases of the shape [units] instead of [1, units], at which the quantiser fails."""
    model = onnx.load_model_from_string(graph)
    users: dict[str, set[str]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, set()).add(node.op_type)
    for one in model.graph.initializer:
        if len(one.dims) == 2 and one.dims[0] == 1 and users.get(one.name) == {"Add"}:
            del one.dims[0]
    made: bytes = model.SerializeToString()
    return made


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The library advises on its root logger to do what was done."""
    before = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.root.setLevel(before)
