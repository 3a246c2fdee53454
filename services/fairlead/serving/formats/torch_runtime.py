"""Calls a PyTorch module as a network: its threads, its arguments, and its answers as arrays.

On a GPU each thread that calls the module has a stream of its own, with one batch at a time in it. Arrays are copied
to it from pinned memory, without waiting for each other.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from fairlead import errors
from fairlead.contracts.manifest import Tensor
from fairlead.serving import cpu_quota
from fairlead.serving.formats import base, datatypes
from fairlead.serving.formats.row_forms import RowForm


def library(name: str) -> Any:
    """PyTorch, for the format `name`, with the threads of the CPU quota. Raises Unavailable."""
    torch = base.library_of(name, "torch")
    torch.set_num_threads(cpu_quota.compute_threads(os.environ))
    return torch


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
        self._own = threading.local()

    def run(self, arrays: Mapping[str, np.ndarray], wanted: Sequence[str]) -> Sequence[Any]:
        """The wanted outputs. Raises ModelFailed if the module returns something else."""
        torch = self._torch
        names = list(arrays) if self.inputs is None else [one.name for one in self.inputs]
        with torch.inference_mode(), self._stream():
            given = {name: self._tensor(arrays[name]) for name in names}
            found = self.call(**given) if self.by_name else self.call(*given.values())
            return [self._array(one) for one in _chosen(found, wanted)]

    def _stream(self) -> AbstractContextManager[Any]:
        """The stream of this thread, in which all is done in order; reading an answer waits for it."""
        if self._where == "cpu":
            return nullcontext()
        if not hasattr(self._own, "stream"):
            self._own.stream = self._torch.cuda.Stream(self._where)
        found: AbstractContextManager[Any] = self._torch.cuda.stream(self._own.stream)
        return found

    def _tensor(self, array: np.ndarray) -> Any:
        torch = self._torch
        if array.dtype == datatypes.BF16:
            tensor = torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
        else:
            tensor = torch.from_numpy(array)
        return tensor if self._where == "cpu" else tensor.pin_memory().to(self._where, non_blocking=True)

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
