"""Converts modules of PyTorch to ONNX, with torch.onnx. The graph has the fields of the manifest."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.optimization import graphs

FORMAT = "torch-state-dict"


def to_onnx(
    module: Any,
    examples: Mapping[str, np.ndarray],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    *,
    by_name: bool,
) -> bytes:
    """The graph of a module. `examples` are arrays of at least two rows, in the order of the module's arguments.

    Raises Refused if it cannot be exported, and Unavailable without torch and onnxscript.
    """
    graphs.check_inputs(inputs)
    torch = graphs.needed("torch")
    graphs.needed("onnxscript")
    wanted = [one.name for one in outputs]

    class Ordered(torch.nn.Module):  # type: ignore[misc, name-defined]
        """Returns the outputs in the order of the manifest, and takes the inputs by their places."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, *given: Any) -> Any:
            found = self.inner(**dict(zip(examples, given, strict=True))) if by_name else self.inner(*given)
            if isinstance(found, dict):
                return tuple(found[name] for name in wanted)
            return tuple(found) if isinstance(found, list | tuple) else (found,)

    shapes = {one.name: one.shape for one in inputs}
    # Dimensions of one name have one size, so each open one but the rows has a name of its own.
    dynamic = tuple(
        {axis: "rows" if axis == 0 else f"{name}_{axis}" for axis, size in enumerate(shapes[name]) if size == -1}
        for name in examples
    )
    arguments = tuple(torch.from_numpy(array) for array in examples.values())
    try:
        with tempfile.TemporaryDirectory(prefix="fairlead-optimize-") as scratch, _quiet():
            file = Path(scratch, "model.onnx")
            torch.onnx.export(
                Ordered(),
                arguments,
                str(file),
                dynamo=True,
                input_names=list(examples),
                output_names=wanted,
                dynamic_shapes=(dynamic,),
                opset_version=graphs.OPSET,
                external_data=False,
                verbose=False,
            )
            made = file.read_bytes()
    except Exception as cause:  # it has no class for its errors
        raise errors.Refused(
            f"the module cannot be exported to ONNX: {' '.join(str(cause).split())[:300]}",
            hint="Export it in Python, with torch.onnx.export, and judge that version: --judge DIR2.",
        ) from None
    if why := graphs.loads(made):
        raise errors.Refused(f"onnxruntime cannot compute the exported module: {why}")
    return made


@contextlib.contextmanager
def _quiet() -> Any:
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
