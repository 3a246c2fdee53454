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
from fairlead.serving.formats import networks, torch_runtime

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


class TorchExport:
    """`format: torch-export`: a file `.pt2` of `torch.export.save`."""

    def read(self, artifact: Path) -> Any:
        """The module of the graph, ready to be called. Raises Invalid if the file is damaged, or takes no batch."""
        torch = torch_runtime.library(NAME)
        where = torch_runtime.device(torch)
        try:
            program = torch.export.load(artifact)
        except Exception as cause:  # it has no class for its errors
            raise errors.Invalid(
                f"format '{NAME}': PyTorch {torch.__version__} cannot load {artifact.name}: "
                f"{' '.join(str(cause).split())[:300]}",
                hint="Export it again with the PyTorch that serves it: torch.export.save(program, PATH).",
            ) from None
        inputs = _inputs(program)
        if where != "cpu":
            program = torch.export.passes.move_to_device_pass(program, where)
        return torch_runtime.Module(torch, program.module(), where, inputs)

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


def _inputs(program: Any) -> tuple[Tensor, ...]:
    """The inputs of the graph, in their order. Raises Invalid if one of them is no tensor with open rows."""
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    names = program.graph_signature.user_inputs
    if program.call_spec.in_spec.num_leaves != len(program.call_spec.in_spec.children()[0].children()):
        raise errors.Invalid(
            f"format '{NAME}': the module takes arguments by name only, or nested ones",
            hint="Export a module whose `forward` takes tensors by their places.",
        )
    return networks.distinct(f"format '{NAME}': input", (_tensor(name, nodes.get(name)) for name in names))


def _tensor(name: Any, node: Any) -> Tensor:
    where = f"format '{NAME}': input"
    value: Any = None if node is None else node.meta.get("val")
    datatype = DATATYPES.get(str(getattr(value, "dtype", "")).removeprefix("torch."))
    if datatype is None:
        raise errors.Invalid(f"{where} {str(name)!r} is no tensor of a type that a datatype stands for")
    return networks.tensor(where, name, datatype, [size if isinstance(size, int) else None for size in value.shape])
