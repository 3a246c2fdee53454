"""The code of a model folder with ResNet-18, whose service may be given a small share of a GPU's memory."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

_SHARE = '''

def network() -> torch.nn.Module:
    """The network, after PyTorch was told how much of the GPU's memory it may use."""
    import os

    if share := os.environ.get("SHARE_OF_GPU"):
        torch.cuda.set_per_process_memory_fraction(float(share))
    return ResNet18()
'''


def with_share_of_gpu() -> str:
    """The module `net` of the folder, with the factory `network`."""
    return Path(__file__).with_name("resnet.py").read_text() + _SHARE


def network() -> Any:
    """The network with random weights. Needs torch."""
    return importlib.import_module("support.formats.resnet").ResNet18().eval()
