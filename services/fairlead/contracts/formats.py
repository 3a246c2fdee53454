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
    `has_signature`: the artifact names its inputs and outputs, so the manifest need not. `is_network`: it computes in
    float32, where a batch may round otherwise than a row alone.
    """

    extra: str
    file: str
    pickles: bool = False
    has_signature: bool = False
    is_network: bool = False


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "joblib": Kind("sklearn", "model.joblib", pickles=True),
        "onnx": Kind("onnx", "model.onnx", has_signature=True, is_network=True),
        "pickle": Kind("sklearn", "model.pkl", pickles=True),
        "python": Kind("sklearn", "model.bin"),
        "sklearn": Kind("sklearn", "model.joblib", pickles=True),
    }
)
"""Every format that a manifest may name."""
DEFAULT_EXTRA = "sklearn"
"""The extra whose list of packages is `image-model.txt`."""
NETWORK_ATOL = 1e-5
"""How far numbers near zero of a network may differ: that of torch.testing.assert_close for float32."""


def image_list(name: str) -> str:
    """The file in requirements/ with the packages of an image of this format."""
    extra = KINDS[name].extra
    return "image-model.txt" if extra == DEFAULT_EXTRA else f"image-{extra}.txt"
