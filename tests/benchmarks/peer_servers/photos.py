"""How a photo becomes the pixels of the model, in every server but Fairlead, whose manifest says it."""

import io
from typing import Any

import numpy as np
import PIL.Image

SIDE = 64


def pixels(data: bytes) -> Any:
    """A file as uint8 [64, 64, 3]."""
    image = PIL.Image.open(io.BytesIO(data)).convert("RGB")
    return np.asarray(image.resize((SIDE, SIDE), PIL.Image.Resampling.BILINEAR))
