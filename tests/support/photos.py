"""Pictures that differ as photos do, and what a broken camera or another sender makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import PIL.Image
import PIL.ImageFilter

from support.image_files import file

SIDE = 48
"""Pixels of the shorter side."""
Picture = PIL.Image.Image


def photo(random: np.random.Generator) -> Picture:
    """Large shapes and fine ones, of any colours, upright or wide."""
    long = SIDE * int(random.integers(4, 7)) // 4
    size = (SIDE, long) if random.random() < 0.5 else (long, SIDE)
    layers = np.zeros((size[1], size[0], 3))
    for cells, depth in ((4, 40.0), (12, 25.0), (SIDE, 12.0)):
        drawn = random.normal(0, depth * random.uniform(0.7, 1.3), (cells, cells, 3)) + 128
        small = PIL.Image.fromarray(drawn.clip(0, 255).astype(np.uint8))
        layers += np.asarray(small.resize(size, PIL.Image.Resampling.BICUBIC), dtype=np.float64) - 128
    shade = random.normal(125, 25)
    return PIL.Image.fromarray((layers + shade).clip(0, 255).astype(np.uint8))


CHANGES: Mapping[str, tuple[Callable[[Picture], Picture], frozenset[str]]] = {
    "darker": (lambda one: one.point(lambda value: value * 0.55), frozenset({"brightness", "contrast"})),
    "blurred": (lambda one: one.filter(PIL.ImageFilter.GaussianBlur(2)), frozenset({"sharpness", "contrast"})),
    "smaller": (lambda one: one.resize((one.width // 2, one.height // 2)), frozenset({"sharpness", "pixels"})),
}
"""What was done to pictures, and the descriptors that must find it. A blur takes the contrast of fine shapes too."""


def png(picture: Picture) -> bytes:
    """The picture as a file."""
    return file(picture, "PNG")
