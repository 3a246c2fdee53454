"""The manifest refuses an image or labels that no model could have."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from fairlead.contracts.images import Frame, frame
from fairlead.contracts.manifest import Manifest

PHOTO: dict[str, Any] = {"name": "photo", "datatype": "FP32", "shape": [-1, 3, 224, 224], "image": {}}
SCORES: dict[str, Any] = {"name": "scores", "datatype": "FP32", "shape": [-1, 10], "labels": {"file": "labels.txt"}}
STATED: dict[str, Any] = {"name": "m", "version": "1", "format": "onnx", "artifact": {"path": "a", "sha256": "0" * 64}}


def manifest(photo: dict[str, Any] = PHOTO, scores: dict[str, Any] = SCORES, **more: Any) -> Manifest:
    return Manifest.model_validate(STATED | {"inputs": [photo], "outputs": [scores]} | more)


def test_the_shape_says_the_size_and_the_layout() -> None:
    assert frame((-1, 3, 200, 100)) == Frame(200, 100, 3, channels_first=True)
    assert frame((-1, 200, 100, 1)) == Frame(200, 100, 1, channels_first=False)
    assert manifest().inputs[0].image is not None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"shape": [-1, 224, 224]}, r"an image has the shape"),
        ({"shape": [-1, 3, -1, 224]}, r"an image has the shape"),
        ({"shape": [-1, 4, 224, 224]}, "the channels, 1 or 3"),
        ({"shape": [-1, 3, 224, 3]}, "the channels, 1 or 3"),
        ({"datatype": "INT64"}, "FP32, FP64 or UINT8"),
        ({"datatype": "UINT8", "image": {"mean": [1]}}, "pixels of UINT8 stay as they are"),
        ({"image": {"mean": [1, 2]}}, "`mean` has 2 numbers; give one, or 3"),
        ({"image": {"std": [0]}}, "greater than 0"),
        ({"image": {"shorter_side": 100}}, "must be at least 224"),
        ({"image": {"shorter_side": 256, "resize": "stretch"}}, "is for `resize: crop`"),
        ({"image": {"formats": ["GIF"]}}, "'JPEG', 'PNG' or 'WEBP'"),
        ({"image": {"max_pixels": 10**9}}, "less than or equal to"),
        ({"image": {"size": 224}}, "not permitted"),
        ({"labels": {"file": "x"}}, "shape"),
    ],
)
def test_an_image_that_cannot_be_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        manifest(PHOTO | wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"datatype": "INT64"}, "`labels` are for scores"),
        ({"shape": [-1, -1]}, "`labels` are for scores"),
        ({"labels": {"file": "labels.txt", "top": 11}}, "fewer than the top 11"),
        ({"labels": {"file": "../labels.txt"}}, "inside the model folder"),
        ({"image": {}, "shape": [-1, 3, 8, 8], "labels": None}, "are for inputs"),
    ],
)
def test_labels_that_cannot_be_are_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        manifest(scores=SCORES | wrong)


def test_images_are_for_networks_without_a_class() -> None:
    cases: list[dict[str, Any]] = [{"format": "sklearn"}, {"entry": "model:Class"}]
    for others in cases:
        with pytest.raises(ValidationError, match="for the formats of networks, without a class"):
            manifest(**others)
