"""The facts about each artifact format: its libraries, its file, and whether reading it can run code.

Everything that depends on a format and needs none of its libraries follows from this table: the hint of a missing
library, the list of packages of a model's image (`requirements/image-EXTRA.txt`, which `ci/lock` writes), the name of
the file that `write_folder` writes, and the sentences about trust.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Kind(NamedTuple):
    """One format.

    `extra` is the extra of pyproject.toml with its libraries, `file` the name that `write_folder` gives the artifact.
    `pickles`: reading the artifact runs code, and its objects fit only the versions of the libraries that wrote it.
    `is_code`: the same, though it is no pickle. `library` is the one whose version `write_folder` notes in any case.
    `has_signature`: the artifact names its inputs and outputs, so the manifest need not. `is_network`: it computes in
    float32, where a batch may round otherwise than a row alone. `is_weights`: `entry` names a class or a function that
    makes what the artifact has the weights of. `is_booster`: it is trees over columns. `names_types`: it is no pickle,
    and names the classes of its objects. `trusts`: what `trusted` of the manifest may name. `maps`: its arrays can be
    mapped into memory, where several processes share them.
    """

    extra: str
    file: str
    pickles: bool = False
    is_code: bool = False
    library: str = ""
    is_weights: bool = False
    has_signature: bool = False
    is_network: bool = False
    is_booster: bool = False
    names_types: bool = False
    trusts: str = ""
    maps: bool = False


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "joblib": Kind("sklearn", "model.joblib", pickles=True, maps=True),
        "keras": Kind(
            "keras", "model.keras", library="keras", has_signature=True, is_network=True, trusts="Lambda layers"
        ),
        "keras-h5": Kind("keras", "model.h5", is_code=True, library="keras", is_network=True, trusts="Lambda layers"),
        "lightgbm": Kind("lightgbm", "model.txt", has_signature=True, is_booster=True),
        "onnx": Kind("onnx", "model.onnx", has_signature=True, is_network=True),
        "pickle": Kind("sklearn", "model.pkl", pickles=True),
        "python": Kind("sklearn", "model.bin"),
        "sklearn": Kind("sklearn", "model.joblib", pickles=True, maps=True),
        "skops": Kind("skops", "model.skops", names_types=True, trusts="types"),
        "torch-export": Kind("torch", "model.pt2", is_code=True, library="torch", is_network=True),
        "torch-state-dict": Kind("torch", "model.pt", library="torch", is_weights=True, is_network=True),
        "torchscript": Kind("torch", "model.pt", is_code=True, library="torch", is_network=True),
        "xgboost": Kind("xgboost", "model.ubj", has_signature=True, is_booster=True),
    }
)
"""Every format that a manifest may name."""
DEFAULT_EXTRA = "sklearn"
"""The extra whose list of packages is `image-model.txt`."""
NETWORK_ATOL = 1e-5
"""How far numbers near zero of a network may differ: that of torch.testing.assert_close for float32."""


def runs_code(name: str) -> bool:
    """Whether reading an artifact of this format can run code that is in it."""
    return KINDS[name].pickles or KINDS[name].is_code


def image_list(name: str) -> str:
    """The file in requirements/ with the packages of an image of this format."""
    extra = KINDS[name].extra
    return "image-model.txt" if extra == DEFAULT_EXTRA else f"image-{extra}.txt"
