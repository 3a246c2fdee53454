"""Small PyTorch modules of many shapes, each with rows and what PyTorch itself answers to them. Needs torch."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from support.formats.cases import Case, as_rows

ROWS = 6
CODE = """
import torch


class Dense(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.Linear(16, 64)
        self.drop = torch.nn.Dropout(0.5)
        self.out = torch.nn.Linear(64, 5)

    def forward(self, x):
        logits = self.out(self.drop(torch.relu(self.hidden(x))))
        return {"label": logits.argmax(1), "probabilities": torch.softmax(logits, 1)}


def image():
    layers = torch.nn.Conv2d(3, 4, 5, 2), torch.nn.BatchNorm2d(4), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    return torch.nn.Sequential(*layers)


class Sequence(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = torch.nn.GRU(2, 8, batch_first=True)

    def forward(self, steps):
        return self.gru(steps)[0][:, -1]


class Two(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(10, 4)

    def forward(self, token, scale):
        return self.embedding(token) * scale[:, None], token.to(torch.bfloat16)


class Half(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.line = torch.nn.Linear(4, 4, dtype=torch.bfloat16)

    def forward(self, x, z):
        return x * 3, self.line(z), x + 1
"""


def tensor(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    """A tensor of the manifest, whose first dimension is the rows."""
    return {"name": name, "datatype": datatype, "shape": [-1, *shape]}


HALF = (
    "Half",
    [tensor("x", "FP16", 4), tensor("z", "BF16", 4)],
    [tensor("tripled", "FP16", 4), tensor("line", "BF16", 4), tensor("wider", "FP32", 4)],
)
RNG = np.random.default_rng(0)
DENSE = ("Dense", [tensor("x", "FP32", 16)], [tensor("label", "INT64"), tensor("probabilities", "FP32", 5)])
KINDS: Mapping[str, tuple[str, list[dict[str, Any]], list[dict[str, Any]]]] = {
    "torch-dense": DENSE,
    "torch-safetensors": DENSE,
    "torch-export": DENSE,
    "torch-script": DENSE,
    "torch-half": HALF,
    "torch-export-half": HALF,
    "torch-image": ("image", [tensor("image", "FP32", 3, 24, 24)], [tensor("scores", "FP32", 4)]),
    "torch-sequence": ("Sequence", [tensor("steps", "FP32", -1, 2)], [tensor("state", "FP32", 8)]),
    "torch-two": (
        "Two",
        [tensor("scale", "FP32"), tensor("token", "INT64")],
        [tensor("scaled", "FP32", 4), tensor("half", "FP32")],
    ),
}


def values(name: str, shape: list[int], datatype: str = "FP32") -> np.ndarray:
    """Made-up rows: numbers of 0 to 9 for a token. Those of BF16 are in an array of float32."""
    sizes = [ROWS, *(7 if size == -1 else size for size in shape[1:])]
    if name == "token":
        return RNG.integers(0, 10, sizes)
    found = torch.from_numpy(RNG.normal(size=sizes).astype(np.float32))
    return numpy(found.to({"FP16": torch.float16, "BF16": torch.bfloat16}.get(datatype, torch.float32)))


def numpy(found: Any) -> np.ndarray:
    """A tensor as an array, which numpy does not have for BF16."""
    array: np.ndarray = (found.float() if found.dtype == torch.bfloat16 else found).numpy()
    return array


def code(folder: Path) -> Any:
    """Write net.py and import it."""
    path = folder / "net.py"
    path.write_text(CODE)
    spec = importlib.util.spec_from_file_location("net_of_the_test", path)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def case(name: str, folder: Path) -> Case:
    """A module, its rows as JSON, and PyTorch's own answers: to one row, and to all of them."""
    entry, inputs, outputs = KINDS[name]
    torch.manual_seed(0)
    module = getattr(code(folder), entry)().eval()
    arrays = {one["name"]: values(one["name"], one["shape"], one["datatype"]) for one in inputs}
    halves = {one["name"] for one in inputs if one["datatype"] == "BF16"}

    def argument(name: str, array: np.ndarray) -> Any:
        return torch.from_numpy(array).to(torch.bfloat16) if name in halves else torch.from_numpy(array)

    def own(given: dict[str, np.ndarray]) -> list[dict[str, Any]]:
        with torch.inference_mode():
            found = (
                module(**{name: argument(name, array) for name, array in given.items()})
                if len(given) > 1
                else (module(*map(torch.from_numpy, given.values())))
            )
        if not isinstance(found, dict):
            several = found if isinstance(found, tuple) else (found,)
            found = dict(zip([one["name"] for one in outputs], several, strict=True))
        return as_rows({name: numpy(part) for name, part in found.items()})

    stated: dict[str, Any] = {"inputs": inputs, "outputs": outputs}
    if name.startswith("torch-export"):
        rows = torch.export.Dim("rows")
        examples = tuple(argument(one, array[:3]) for one, array in arrays.items())
        program = torch.export.export(module, examples, dynamic_shapes={one: {0: rows} for one in arrays})
        return Case({"format": "torch-export", **stated}, program, as_rows(arrays), arrays, own)
    value: Any = module
    if name == "torch-script":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # it is deprecated
            traced = torch.jit.trace(module, torch.zeros(3, 16), strict=False)
        return Case({"format": "torchscript", **stated}, traced, as_rows(arrays), arrays, own)
    if name == "torch-safetensors":
        value = folder / "weights.safetensors"
        save_file(module.state_dict(), value)
    stated |= {"format": "torch-state-dict", "entry": f"net:{entry}"}
    return Case(stated, value, as_rows(arrays), arrays, own, [folder / "net.py"])
