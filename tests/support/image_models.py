"""Networks for tests that look at images: their answers are the mean brightness of an image's quarters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fairlead.contracts.manifest import Manifest
from fairlead.serving.formats import networks
from fairlead.serving.formats.row_forms import RowForm
from support.small_models import Served

LABELS = ("upper left", "upper right", "lower left", "lower right")


@dataclass
class Quarters:
    """A network that is its own format. `calls` has the number of images of each call."""

    calls: list[int]
    inputs: None = None
    outputs: None = None
    unstated: frozenset[str] = frozenset()
    row_form = RowForm.OF_A_BATCH

    def read(self, artifact: Path) -> Any:
        """Itself."""
        return self

    def write(self, value: Any, artifact: Path) -> None:
        """Nothing."""

    def run(self, arrays: Mapping[str, np.ndarray], wanted: Sequence[str]) -> Sequence[Any]:
        """The mean of each quarter of all channels, from 0 to 1, for each wanted output."""
        (images,) = arrays.values()
        self.calls.append(len(images))
        middle = images.shape[2] // 2
        upper, lower = images[:, :, :middle], images[:, :, middle:]
        quarters = [part[..., side] for part in (upper, lower) for side in (slice(0, middle), slice(middle, None))]
        means = np.stack([quarter.mean(axis=(1, 2, 3)) for quarter in quarters], axis=1).astype(np.float32)
        return [means for _ in wanted]


def manifest(labels: Mapping[str, Any] | None = None, **image: Any) -> Manifest:
    """The manifest of a model with one image of 8 x 8 pixels as its input."""
    photo = {"name": "image", "datatype": "FP32", "shape": [-1, 3, 8, 8], "image": image}
    scores: dict[str, Any] = {"name": "light", "datatype": "FP32", "shape": [-1, 4]}
    if labels is not None:
        scores["labels"] = {"file": "labels.txt"} | dict(labels)
    stated = {"name": "light", "version": "1", "format": "onnx", "artifact": {"path": "a", "sha256": "0" * 64}}
    return Manifest.model_validate(stated | {"inputs": [photo], "outputs": [scores]})


def served(stated: Manifest | None = None, golden: Sequence[Any] = (), calls: list[int] | None = None) -> Served:
    """The model with this manifest, without a folder."""
    stated = stated or manifest()
    network = Quarters([] if calls is None else calls)
    made = networks.model_class(stated, network, labels={"light": LABELS})

    def loaded() -> Any:
        model = made()
        model.load(Path())
        return model

    return Served(loaded, made.row_type, made.answer_type, golden, stated)
