"""The models that ONNX tests its own backends with, each with inputs and the outputs that ONNX expects. Needs onnx.

The package `onnx` makes those of single operators, and ships the others as files.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx
from onnx import numpy_helper

SHIPPED = ("pytorch-converted", "pytorch-operator")


@dataclass(frozen=True)
class Case:
    """A model, one set of its inputs, the outputs for them, and how far an output may be from that."""

    kind: str
    name: str
    model: Any
    inputs: list[Any]
    outputs: list[Any]
    rtol: float
    atol: float


def cases(step: int = 1, skip: int = 0) -> Iterator[Case]:
    """Every `step`-th case, without the first `skip` of them. The order is always the same."""
    for number, case in enumerate(_all()):
        if number % step == 0 and number // step >= skip:
            yield case


def _all() -> Iterator[Case]:
    yield from sorted(_made(), key=lambda case: (case.kind, case.name))
    data = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for kind in SHIPPED:
        for folder in sorted((data / kind).iterdir()):
            if (file := folder / "model.onnx").is_file():
                model, given = onnx.load(file), folder / "test_data_set_0"
                yield Case(kind, folder.name, model, _tensors(given, "input"), _tensors(given, "output"), 1e-3, 1e-7)


def _made() -> Iterator[Case]:
    from onnx.backend.test.case import model as models  # noqa: PLC0415 - importing them computes the cases
    from onnx.backend.test.case import node as nodes  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numpy, in what operators answer to infinity
        found = {(one.kind, one.name): one for one in (*nodes.collect_testcases(None), *models.collect_testcases())}
    for one in found.values():
        if one.model is not None and one.data_sets:
            inputs, outputs = ([_array(value) for value in values] for values in one.data_sets[0])
            yield Case(one.kind, one.name, one.model, inputs, outputs, one.rtol, one.atol)


def _array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def _tensors(folder: Path, part: str) -> list[Any]:
    found: list[Any] = []
    while (file := folder / f"{part}_{len(found)}.pb").is_file():
        found.append(numpy_helper.to_array(onnx.load_tensor(str(file))))
    return found
