"""Turns the pixels of a batch into the array of the network's input: scaled, normalized, and in its layout."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from pydantic import BaseModel

from fairlead.contracts.images import Image, frame
from fairlead.contracts.manifest import Tensor


def reader(tensor: Tensor, spec: Image) -> Callable[[Sequence[BaseModel]], np.ndarray]:
    """The function that makes the array of the rows' pixels, which the field of the tensor's name has."""
    values = operator.attrgetter(tensor.name)
    numbers = _normalized(tensor, spec)
    is_bgr, is_first = spec.colors == "BGR", frame(tensor.shape).channels_first

    def to_array(rows: Sequence[BaseModel]) -> np.ndarray:
        pixels = np.stack([values(row) for row in rows])
        array = numbers(pixels[..., ::-1] if is_bgr else pixels)
        return np.ascontiguousarray(array.transpose(0, 3, 1, 2) if is_first else array)

    return to_array


def _normalized(tensor: Tensor, spec: Image) -> Callable[[np.ndarray], np.ndarray]:
    if tensor.datatype == "UINT8":
        return lambda pixels: pixels
    dtype = np.float32 if tensor.datatype == "FP32" else np.float64
    scale = dtype(255 if spec.scale is None else spec.scale)
    mean, std = np.array(spec.mean or (0,), dtype), np.array(spec.std or (1,), dtype)

    def numbers(pixels: np.ndarray) -> Any:
        array: Any = pixels.astype(dtype)
        array /= scale
        array -= mean
        array /= std
        return array

    return numbers
