"""Recognizes that a call of a model found no memory, on a GPU or in the process, whichever library says so."""

from __future__ import annotations

import sys

from fairlead import errors

_CLASSES = frozenset({"MemoryError", "OutOfMemoryError"})
"""The classes of Python, numpy, cupy and PyTorch."""
_TEXTS = (
    "CUDA out of memory",
    "DefaultCPUAllocator",
    "Failed to allocate memory",
    "BFCArena",
    "RESOURCE_EXHAUSTED",
)
"""What errors without a class of their own say: those of PyTorch on a CPU, of onnxruntime and of XLA."""


def of(problem: Exception, rows: int) -> errors.OutOfMemory | None:
    """The error for a call with so many rows; None if `problem` is another one.

    Raise it outside of the `except` block: until that ends, the frames of the call keep its arrays in memory.
    """
    names = {kind.__name__ for kind in type(problem).__mro__}
    if not names & _CLASSES and not any(text in str(problem)[:2000] for text in _TEXTS):
        return None
    counted = f"{rows} row{'' if rows == 1 else 's'}"
    return errors.OutOfMemory(f"there is not enough memory to compute {counted} in one call of the model")


def give_back() -> None:
    """Give the GPU's memory that PyTorch keeps for later calls back, so that what is left is in one piece."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
