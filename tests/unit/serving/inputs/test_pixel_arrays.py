"""The network gets the pixels of a batch scaled, normalized, in its order of colours and in its layout."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from fairlead.contracts.manifest import Tensor
from fairlead.serving.inputs import pixel_arrays

BATCH = [SimpleNamespace(photo=np.full((2, 4, 3), (0, 51, 255), np.uint8)) for _ in range(4)]


def array(shape: list[int], datatype: str = "FP32", **image: Any) -> np.ndarray:
    tensor = Tensor.model_validate({"name": "photo", "datatype": datatype, "shape": shape, "image": image})
    assert tensor.image is not None
    rows: Any = BATCH
    return pixel_arrays.reader(tensor, tensor.image)(rows)


def test_channels_come_first_where_the_shape_says_so() -> None:
    found = array([-1, 3, 2, 4])
    assert (found.shape, found.dtype.name, found.flags.c_contiguous) == ((4, 3, 2, 4), "float32", True)
    assert found[0, :, 0, 0].tolist() == [0.0, np.float32(0.2), 1.0]


def test_channels_come_last_where_the_shape_says_so() -> None:
    found = array([-1, 2, 4, 3], colors="BGR")
    assert found.shape == (4, 2, 4, 3)
    assert found[3, 1, 2].tolist() == [1.0, np.float32(0.2), 0.0]


def test_the_mean_is_subtracted_before_the_deviation_divides() -> None:
    found = array([-1, 3, 2, 4], mean=[0.5, 0.2, 0.0], std=[0.5])
    assert np.allclose(found[0, :, 0, 0], [-1.0, 0.0, 2.0], atol=1e-6)
    assert np.allclose(array([-1, 3, 2, 4], scale=1)[0, :, 0, 0], [0, 51, 255])


def test_whole_pixels_stay_as_they_are() -> None:
    found = array([-1, 2, 4, 3], "UINT8")
    assert found.dtype == np.uint8
    assert found[0, 0, 0].tolist() == [0, 51, 255]
