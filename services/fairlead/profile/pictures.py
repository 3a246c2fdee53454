"""What drift is measured of in an image: how bright, rich in contrast and sharp it is, and which file was sent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fairlead.contracts.images import SENT
from fairlead.contracts.profile import IMAGE_LOOKS
from fairlead.profile.bins import Floats

LATTICE = 32
"""So many rows and columns of pixels are looked at, evenly spread, with the neighbours of each pixel, in any
image."""
_WHITE = 255


def looks(images: Sequence[npt.NDArray[Any] | None]) -> Floats:
    """IMAGE_LOOKS of each image, uint8 [height, width, channels]: shape (images, looks). NaN where there is none.

    In place of an image may be its looks, as `with_looks` puts them there.

    `brightness` is the mean of the pixels from 0 to 1, `contrast` their standard deviation, and `sharpness` how far
    neighbours are apart, in standard deviations: a darker image is as sharp. `aspect` is the width of the file by its
    height and `pixels` their product, before it was cut and scaled; they are NaN for pixels that came without a file.
    """
    found = np.full((len(images), len(IMAGE_LOOKS)), np.nan)
    for place, image in enumerate(images):
        if image is not None and image.ndim == 1:
            found[place] = image
        elif image is not None:
            found[place, :3] = _seen(image)
            found[place, 3:] = _sent(image)
    return found


def with_looks(rows: Sequence[Mapping[str, Any]], fields: Sequence[str]) -> list[Mapping[str, Any]]:
    """The rows with the looks of these fields in place of the images, so that no pixels are needed any more."""
    found = [looks([row[name] for row in rows]) for name in fields]
    return [{**row, **dict(zip(fields, mine, strict=True))} for row, *mine in zip(rows, *found, strict=True)]


def _seen(image: npt.NDArray[np.uint8]) -> tuple[float, float, float]:
    """Brightness, contrast and sharpness."""
    step, white = max(1, math.ceil(max(image.shape[:2]) / LATTICE)), _WHITE * image.shape[2]
    if min(image.shape[:2]) < 2:  # noqa: PLR2004 - without neighbours
        grey = _sums(image)
        return float(grey.mean()) / white, float(grey.std()) / white, 0.0
    grey, right, below = map(_sums, (image[:-1:step, :-1:step], image[:-1:step, 1::step], image[1::step, :-1:step]))
    spread = float(grey.std())
    apart = float(np.abs(right - grey).mean() + np.abs(below - grey).mean()) / 2
    return float(grey.mean()) / white, spread / white, apart / spread if spread else 0.0


def _sums(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int32]:
    """Of the channels. Integers: an image of one shade has no contrast at all."""
    return np.asarray(pixels.sum(axis=2, dtype=np.int32))


def _sent(image: npt.NDArray[Any]) -> tuple[float, float]:
    known: Mapping[str, tuple[int, int]] = image.dtype.metadata or {}
    size = known.get(SENT)
    return (size[0] / size[1], size[0] * size[1]) if size else (math.nan, math.nan)
