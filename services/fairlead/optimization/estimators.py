"""Converts estimators of scikit-learn to ONNX, with skl2onnx. The graph has the fields of the manifest.

Numbers stay float64 where onnxruntime computes them, because scikit-learn compares thresholds in it; else float32. What
that changes the comparison of answers shows.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.optimization import graphs
from fairlead.serving.formats import declared, estimator_columns, estimator_input

FORMATS = frozenset({"sklearn", "joblib", "pickle", "skops"})
_OUTPUT_OF = {"predict": 0, "transform": 0, "predict_proba": 1}
"""The place of a method's result among the outputs of skl2onnx."""


def to_onnx(estimator: Any, inputs: Sequence[Tensor], outputs: Sequence[Tensor], *, doubles: bool = True) -> bytes:
    """The graph of a fitted estimator, in float64 where that can be computed, unless `doubles` is false.

    Raises Refused if it cannot be converted, and Unavailable without skl2onnx."""
    graphs.check_inputs(inputs)
    methods = [one.name if one.name in declared.METHODS else "predict" for one in outputs]
    is_classifier = hasattr(estimator, "classes_")
    if wrong := [one for one in methods if one not in _OUTPUT_OF or (one == "predict_proba" and not is_classifier)]:
        raise errors.Refused(
            f"the output {wrong[0]} has no counterpart in what skl2onnx makes",
            hint="Only predict, predict_proba and transform are converted.",
        )
    names = estimator_input.column_names(estimator)
    stated = [one.in_table for one in inputs]
    order = list(range(len(inputs)))
    if names is not None and set(names) & set(stated):
        order = [stated.index(name) for name in names if name in stated]
    is_matrix = not any(one.datatype == "BYTES" for one in inputs) and not _selects_columns(estimator)
    what = f"a {type(estimator).__name__}"

    def variant(number: str) -> Any:
        convert = graphs.needed("skl2onnx")
        kinds = graphs.needed("skl2onnx.common.data_types")
        given = _types(kinds, [inputs[place] for place in order], number, is_matrix=is_matrix)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = convert.to_onnx(
                estimator, name="model", initial_types=given, options={"zipmap": False} if is_classifier else None
            )
        own = [one.name for one in made.graph.output]
        by_name = {own[_OUTPUT_OF[method]]: one for method, one in zip(methods, outputs, strict=True)}
        return graphs.served(made, inputs, by_name, order)

    return graphs.first_that_loads(
        [partial(variant, number) for number in ("Double", "Float") if doubles or number == "Float"], what
    )


def _selects_columns(estimator: Any) -> bool:
    """Whether a part of the estimator gets some of its columns only, by their names or places."""
    parts = [step for _, step in getattr(estimator, "steps", [])] or [estimator]
    return any(hasattr(part, "transformers_") for part in parts)


def _types(kinds: Any, columns: Sequence[Tensor], number: str, *, is_matrix: bool) -> list[tuple[str, Any]]:
    """The inputs of the converted graph: one matrix, or a column for each field."""
    of_numbers = getattr(kinds, f"{number}TensorType")
    if is_matrix:
        width = columns[0].shape[1] if len(columns[0].shape) > 1 else len(columns)
        return [("X", of_numbers([None, None if width == -1 else width]))]
    array = estimator_columns.array_type(columns)
    found = []
    for one in columns:
        kind = estimator_columns.type_of(one, array)
        if one.datatype == "BYTES":
            made = kinds.StringTensorType([None, 1])
        elif kind in ("bool", "boolean"):
            made = kinds.BooleanTensorType([None, 1])
        elif one.choices or kind.lower().startswith(("int", "uint")):
            made = kinds.Int64TensorType([None, 1])
        else:
            made = of_numbers([None, 1])
        found.append((one.in_table, made))
    return found
