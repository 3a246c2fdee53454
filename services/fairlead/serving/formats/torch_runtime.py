"""Calls a PyTorch module as a network: its device, its threads, its arguments, and its answers as arrays.

`device` of the settings names the device: `cpu`, `cuda`, or `auto` for a GPU where PyTorch finds one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.serving import cpu_quota
from fairlead.serving.formats import base, datatypes
from fairlead.serving.formats.row_forms import RowForm
from fairlead.serving.settings import ENV_PREFIX

DEVICE = f"{ENV_PREFIX}DEVICE"
"""The variable with the setting `device`."""
logger = logging.getLogger(__name__)


def library(name: str) -> Any:
    """PyTorch, for the format `name`, with the threads of the CPU quota. Raises Unavailable."""
    torch = base.library_of(name, "torch")
    torch.set_num_threads(cpu_quota.compute_threads(os.environ))
    return torch


def device(torch: Any) -> str:
    """`cpu` or `cuda`, as the setting `device` says. Raises Unavailable if it says `cuda` and there is no GPU."""
    wanted = os.environ.get(DEVICE) or "auto"
    if wanted == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise errors.Unavailable(
            f"the setting device is 'cuda', and PyTorch {torch.__version__} finds no GPU here",
            hint="Give the pod a GPU and a PyTorch that was built for it, or set device to 'cpu' or 'auto'.",
        )
    logger.info("the model runs on the CPU", extra={"reason": "device is 'auto', and PyTorch finds no GPU"})
    return "cpu"


class Module:
    """A module that is called with tensors and returns one, a sequence of them, or a dictionary of them by name.

    `arguments` are the names of its arguments, if they are known; several inputs are given by name. A sequence has the
    outputs in the order of the manifest.
    """

    unstated: frozenset[str] = frozenset()

    def __init__(
        self,
        torch: Any,
        call: Callable[..., Any],
        where: str,
        inputs: tuple[Tensor, ...] | None = None,
        *,
        by_name: bool = False,
        row_form: RowForm = RowForm.OF_A_BATCH,
    ) -> None:
        self.inputs = inputs
        self.row_form = row_form
        self.outputs: tuple[Tensor, ...] | None = None
        self.call, self.by_name = call, by_name
        self._torch, self._where = torch, where

    def run(self, arrays: Mapping[str, np.ndarray], wanted: Sequence[str]) -> Sequence[Any]:
        """The wanted outputs. Raises ModelFailed if the module returns something else."""
        torch = self._torch
        names = list(arrays) if self.inputs is None else [one.name for one in self.inputs]
        given = {name: self._tensor(arrays[name]) for name in names}
        with torch.inference_mode():
            found = self.call(**given) if self.by_name else self.call(*given.values())
        return [self._array(one) for one in _chosen(found, wanted)]

    def _tensor(self, array: np.ndarray) -> Any:
        torch = self._torch
        if array.dtype == datatypes.BF16:
            return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16).to(self._where)
        return torch.from_numpy(array).to(self._where)

    def _array(self, value: Any) -> np.ndarray:
        torch = self._torch
        if not isinstance(value, torch.Tensor):
            raise errors.ModelFailed(f"the module returned a {type(value).__name__} where an output is a tensor")
        if value.dtype == torch.bfloat16:
            value = value.float()  # numpy lacks it, and float32 has all of its values
        array: np.ndarray = value.cpu().numpy()
        return array


def _chosen(found: Any, wanted: Sequence[str]) -> Sequence[Any]:
    if isinstance(found, Mapping):
        if missing := [name for name in wanted if name not in found]:
            has = ", ".join(map(str, found))
            raise errors.ModelFailed(f"the module returned a dictionary with {has}, and without {', '.join(missing)}")
        return [found[name] for name in wanted]
    several: Sequence[Any] = found if isinstance(found, list | tuple) else (found,)
    if len(several) != len(wanted):
        raise errors.ModelFailed(
            f"the module returned {len(several)} tensors, and the manifest has {len(wanted)} outputs",
            hint="Return a dictionary with a tensor for each output, or declare all outputs in the module's order.",
        )
    return several
