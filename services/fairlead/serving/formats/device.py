"""The device that a network runs on: `cpu`, `cuda`, `cuda:N`, or `auto` for a GPU where the library finds one."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from fairlead import errors
from fairlead.serving.settings import ENV_PREFIX

DEVICE = f"{ENV_PREFIX}DEVICE"
"""The variable with the setting `device`."""
_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
logger = logging.getLogger(__name__)


def of_torch(torch: Any) -> str:
    """`cpu`, `cuda` or `cuda:N` for PyTorch. Raises Unavailable for a GPU that is not there."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return _chosen(f"PyTorch {torch.__version__}", count)


def providers(runtime: Any) -> Sequence[Any]:
    """The execution providers of onnxruntime. Raises Unavailable for a GPU that it was not built for."""
    has_cuda = _CUDA in runtime.get_available_providers()
    # onnxruntime does not tell how many there are: creating the session fails for one that is not there.
    chosen = _chosen(f"onnxruntime {runtime.__version__}", None if has_cuda else 0)
    if chosen == "cpu":
        return [_CPU]
    number = chosen.partition(":")[2]
    return [(_CUDA, {"device_id": number or "0"}), _CPU]


def _chosen(library: str, count: int | None) -> str:
    """The device that the setting names. `count` is how many GPUs the library finds; None: some."""
    wanted = os.environ.get(DEVICE) or "auto"
    if wanted == "cpu":
        return "cpu"
    number = int(wanted.partition(":")[2] or 0)
    if count is None or number < count:
        return "cuda" if wanted == "auto" else wanted
    if wanted == "auto":
        reason = f"device is 'auto', and {library} finds no GPU"
        logger.info("the model runs on the CPU", extra={"reason": reason})
        return "cpu"
    found = "finds no GPU" if not count else f"finds {count}, the last of them cuda:{count - 1}"
    raise errors.Unavailable(
        f"the setting device is {wanted!r}, and {library} {found} here",
        hint="Give the pod a GPU and a library that was built for it, or set device to 'cpu' or 'auto'.",
    )
