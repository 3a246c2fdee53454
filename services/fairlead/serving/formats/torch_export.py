"""Format `torch-export`: a graph that `torch.export.save` wrote, called without the class of the module.

Such a file is code. `torch.export.load` evaluates the expressions in its JSON as Python, and unpickles parts of it. So
only bytes whose digest was checked may be read here, as with a pickle.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.serving.formats import device, networks, shared_dimensions, torch_runtime
from fairlead.serving.formats.row_forms import RowForm, Shape, row_form

NAME = "torch-export"
DATATYPES: Mapping[str, str] = MappingProxyType(
    {
        "bfloat16": "BF16",
        "float16": "FP16",
        "float32": "FP32",
        "float64": "FP64",
        "bool": "BOOL",
        **{f"int{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
        **{f"uint{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
    }
)
"""The types of PyTorch's tensors, each with its datatype."""
_HALF = ("bfloat16", "float16")
"""The types that an output is answered in FP32 of."""


class TorchExport:
    """`format: torch-export`: a file `.pt2` of `torch.export.save`."""

    def signature(self, artifact: Path) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The inputs and outputs of the graph. Loads it, and so runs its code. Raises Invalid."""
        return _signature(_program(torch_runtime.library(NAME), artifact))[:2]

    def dimensions(self, artifact: Path) -> shared_dimensions.Names:
        """None: the graph checks its own dimensions."""
        return {}

    def read(self, artifact: Path) -> Any:
        """The module of the graph, ready to be called. Raises Invalid if the file is damaged, or takes no batch."""
        torch = torch_runtime.library(NAME)
        where = device.of_torch(torch)
        program = _program(torch, artifact)
        inputs, _, form = _signature(program)
        if where != "cpu":
            program = torch.export.passes.move_to_device_pass(program, where)
        return torch_runtime.Module(torch, program.module(), where, inputs, row_form=form)

    def write(self, value: Any, artifact: Path) -> None:
        """Write an ExportedProgram, or copy a file."""
        if isinstance(value, str | Path):
            shutil.copyfile(value, artifact)
            return
        torch = torch_runtime.library(NAME)
        if not isinstance(value, torch.export.ExportedProgram):
            raise errors.Invalid(
                f"format '{NAME}' writes an ExportedProgram or copies a path; a {type(value).__name__} is neither",
                hint="`torch.export.export(module, examples, dynamic_shapes=...)` makes one of a module.",
            )
        with artifact.open("wb") as file:
            torch.export.save(value, file)


def _program(torch: Any, artifact: Path) -> Any:
    try:
        return torch.export.load(artifact)
    except Exception as cause:  # it has no class for its errors
        raise errors.Invalid(
            f"format '{NAME}': PyTorch {torch.__version__} cannot load {artifact.name}: "
            f"{' '.join(str(cause).split())[:300]}",
            hint="Export it again with the PyTorch that serves it: torch.export.save(program, PATH).",
        ) from None


def _signature(program: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], RowForm]:
    """The inputs and outputs of the graph, in their order, and what a row is. Raises Invalid if one is no tensor."""
    if program.call_spec.in_spec.num_leaves != len(program.call_spec.in_spec.children()[0].children()):
        raise errors.Invalid(
            f"format '{NAME}': the module takes arguments by name only, or nested ones",
            hint="Export a module whose `forward` takes tensors by their places.",
        )
    values = {node.name: node.meta.get("val") for node in program.graph.nodes}
    taken = [(str(name), values.get(name)) for name in program.graph_signature.user_inputs]
    returned = [values.get(name) for name in program.graph_signature.user_outputs]
    form = row_form([_shape(value) for _, value in taken], [_shape(value) for value in returned])
    parts = {"input": taken, "output": list(zip(_output_names(program, len(returned)), returned, strict=True))}
    inputs, outputs = (
        networks.distinct(f"format '{NAME}': {part}", [_tensor(part, name, value, form) for name, value in those])
        for part, those in parts.items()
    )
    return inputs, outputs, form


def _output_names(program: Any, count: int) -> list[str]:
    """The keys of the dictionary that `forward` returns, or made-up names."""
    returned = program.call_spec.out_spec
    if returned.type is dict and returned.num_leaves == len(returned.context):
        return [str(key) for key in returned.context]
    return ["output"] if count == 1 else [f"output_{place}" for place in range(count)]


def _shape(value: Any) -> Shape | None:
    sizes = getattr(value, "shape", None)
    return None if sizes is None else tuple(size if isinstance(size, int) else None for size in sizes)


def _tensor(part: str, name: str, value: Any, form: RowForm) -> Tensor:
    where = f"format '{NAME}': {part}"
    kind, shape = str(getattr(value, "dtype", "")).removeprefix("torch."), _shape(value)
    datatype = "FP32" if part == "output" and kind in _HALF else DATATYPES.get(kind)
    if datatype is None or shape is None:
        raise errors.Invalid(f"{where} {name!r} is no tensor of a type that a datatype stands for")
    return networks.tensor(where, name, datatype, form.in_batches(shape))
