"""Format `torchscript`: a graph that `torch.jit.save` wrote. PyTorch has deprecated it in favour of `torch-export`.

The operators of such a graph can read and write files, so it is code: only bytes whose digest was checked may be read.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.serving.formats import device, torch_runtime

NAME = "torchscript"
logger = logging.getLogger(__name__)


class TorchScript:
    """`format: torchscript`: a file of `torch.jit.save`."""

    def read(self, artifact: Path) -> Any:
        """The module, ready to be called. Raises Invalid if the file is damaged. Logs that the format is deprecated."""
        torch = torch_runtime.library(NAME)
        where = device.of_torch(torch)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the same, without what to do
                module = torch.jit.load(str(artifact), map_location=where).eval()
        except Exception as cause:  # it has no class for its errors
            raise errors.Invalid(
                f"format '{NAME}': PyTorch {torch.__version__} cannot load {artifact.name}: "
                f"{' '.join(str(cause).split())[:300]}",
                hint="Save it again: torch.jit.save(module, PATH). Or export it, for `format: torch-export`.",
            ) from None
        logger.warning(
            "TorchScript is deprecated: a PyTorch to come will not load it",
            extra={"reason": f"{artifact.name} is of torch.jit; export the module with torch.export instead"},
        )
        return torch_runtime.Module(torch, module, where)

    def write(self, value: Any, artifact: Path) -> None:
        """Write a scripted or traced module, or copy a file."""
        if isinstance(value, str | Path):
            shutil.copyfile(value, artifact)
            return
        torch = torch_runtime.library(NAME)
        if not isinstance(value, torch.jit.ScriptModule):
            raise errors.Invalid(
                f"format '{NAME}' writes a module of torch.jit or copies a path; a {type(value).__name__} is neither",
                hint="Export the module, and use `format: torch-export`: TorchScript is deprecated.",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.save(value, str(artifact))
