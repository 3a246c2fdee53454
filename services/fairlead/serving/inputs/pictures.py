"""Decodes image files into the pixels that a model gets. Nothing in a file is believed before it is checked.

The content says what a file is, not its name or its content type. Size and frames are checked from the file's head,
before a pixel is decoded. What is done to every file, in this order: the orientation of EXIF, the cut and the size,
transparency over white, and the colours. Grey becomes three equal channels, 16 bits become 8, CMYK becomes RGB; colour
profiles are not used.
"""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from pydantic_core import PydanticCustomError

from fairlead.contracts.images import SENT, Frame, Image, frame, kind_of
from fairlead.serving.libraries import library

MAX_SCANS = 64
"""The most scans of a JPEG: each is a pass over all pixels, encoders write about ten, and a file can have thousands."""
_SHARPNESS = 2
"""A large JPEG is decoded at a half, a fourth or an eighth, if that is still so many times what the model needs."""
_ORIENTATION = 0x0112
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_ON_ITS_SIDE = (5, 6, 7, 8)
"""The orientations that exchange width and height."""
_OTHERS = {b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"%PDF": "PDF", b"<svg": "SVG"}
_SHOWN = 80


class Pictures:
    """Decodes the files of one input."""

    def __init__(self, spec: Image, shape: tuple[int, ...]) -> None:
        """`shape` is that of the input's tensor. Raises Unavailable if Pillow is not installed."""
        self.spec = spec
        self.frame: Frame = frame(shape)
        self._pillow = library("PIL.Image", extra="images", needed_for="an input that is an image")
        # What is wrong with a client's file is said to the client, and not in the log.
        warnings.filterwarnings("ignore", module=r"PIL\.")
        self._filter = getattr(self._pillow.Resampling, spec.interpolation.upper())
        self._largest = _SHARPNESS * max(self.frame.height, self.frame.width, spec.shorter_side or 0)

    def pixels(self, data: bytes) -> np.ndarray:
        """The pixels of a file: uint8 [height, width, channels]. Raises PydanticCustomError for what is no such file.

        Their datatype's metadata has the size of the file (`images.SENT`). Most of the time the interpreter is free for
        other threads.
        """
        kind = self._checked_kind(data)
        try:
            with self._opened(data, kind) as picture:
                width, height = picture.size  # a draft makes it smaller
                picture.draft(None, (self._largest, self._largest))
                picture.load()
                sent = (height, width) if _orientation(picture) in _ON_ITS_SIDE else (width, height)
                return self._finished(picture).view(np.dtype(np.uint8, metadata={SENT: sent}))
        except PydanticCustomError:
            raise
        except Exception as cause:  # a broken file makes Pillow raise almost anything
            raise _broken(kind, _reason(cause)) from None

    def _checked_kind(self, data: bytes) -> str:
        if len(data) > self.spec.max_bytes:
            raise too_many_bytes(self.spec)
        kind = kind_of(data)
        if kind in self.spec.formats:
            if kind == "JPEG" and data.count(b"\xff\xda") > MAX_SCANS:
                raise _broken(kind, f"it has more than {MAX_SCANS} scans")
            return kind
        found = f"a {kind} file" if kind else _other(data)
        raise PydanticCustomError(
            "image_kind", "Input is {found}, and should be {wanted}", {"found": found, "wanted": accepted(self.spec)}
        )

    def _opened(self, data: bytes, kind: str) -> Any:
        try:
            picture = self._pillow.open(io.BytesIO(data), formats=[kind])
        except self._pillow.DecompressionBombError:
            raise self._too_many_pixels() from None
        if picture.width * picture.height > self.spec.max_pixels:
            raise self._too_many_pixels()
        # A photo of a phone may have a second picture for its depth or its brightness; the first one is the photo.
        if kind != "JPEG" and getattr(picture, "is_animated", False):
            raise PydanticCustomError("image_animated", "Input has several frames: send one of them as an image")
        return picture

    def _too_many_pixels(self) -> PydanticCustomError:
        return PydanticCustomError(
            "image_pixels",
            "Input should have at most {limit} pixels: send a smaller image",
            {"limit": self.spec.max_pixels},
        )

    def _finished(self, picture: Any) -> np.ndarray:
        picture = _eight_bits(self._pillow, picture)
        if turn := _TURNS.get(_orientation(picture)):
            picture = picture.transpose(getattr(self._pillow.Transpose, turn))
        size = (self.frame.width, self.frame.height)
        picture = picture.resize(size, self._filter, self._box(picture.width, picture.height))
        if picture.mode == "RGBA":
            white = self._pillow.new("RGBA", size, "white")
            picture = self._pillow.alpha_composite(white, picture)
        array = np.asarray(picture.convert("L" if self.frame.channels == 1 else "RGB"))
        return array.reshape(self.frame.height, self.frame.width, self.frame.channels)

    def _box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of the image that the model sees: left, top, right and bottom, in pixels of the image.

        The same as scaling the whole image and cutting then, which could be larger than any memory for a narrow one.
        """
        if self.spec.resize == "stretch":
            return (0, 0, width, height)
        if self.spec.shorter_side is None:
            across = down = max(self.frame.width / width, self.frame.height / height)
            left, top = ((width * across - self.frame.width) / 2, (height * down - self.frame.height) / 2)
        else:  # whole pixels, as torchvision's Resize and CenterCrop count them
            side = self.spec.shorter_side
            scaled = (side, side * height // width) if width <= height else (side * width // height, side)
            across, down = scaled[0] / width, scaled[1] / height
            left, top = round((scaled[0] - self.frame.width) / 2), round((scaled[1] - self.frame.height) / 2)
        return (
            max(0, left / across),
            max(0, top / down),
            min(width, (left + self.frame.width) / across),
            min(height, (top + self.frame.height) / down),
        )


def accepted(spec: Image) -> str:
    """The accepted kinds of files, in words."""
    *others, last = spec.formats
    return f"a {', '.join(others)} or {last} file" if others else f"a {last} file"


def too_many_bytes(spec: Image) -> PydanticCustomError:
    """The error of a file with too many bytes."""
    return PydanticCustomError(
        "image_bytes", "Input should have at most {limit} bytes: send a smaller file", {"limit": spec.max_bytes}
    )


def _other(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        return "a HEIC, AVIF or video file"
    named = next((name for head, name in _OTHERS.items() if data.startswith(head)), "")
    return f"a {named} file" if named else "no image file" if data else "empty"


def _broken(kind: str, reason: str) -> PydanticCustomError:
    return PydanticCustomError(
        "image_broken", "Input is not a valid {kind} file: {reason}", {"kind": kind, "reason": reason}
    )


def _reason(cause: Exception) -> str:
    """What Pillow says, without its object's address."""
    text = " ".join(str(cause).split())
    if isinstance(cause, MemoryError):
        return "decoding it needs too much memory"
    return text[:_SHOWN] if text and "<_io" not in text else "its head cannot be read"


def _eight_bits(pillow: Any, picture: Any) -> Any:
    """The image in one of the modes L, RGB and RGBA."""
    if picture.mode.startswith("I") or picture.mode == "F":
        values = np.asarray(picture)
        return pillow.fromarray((np.clip(values, 0, 65535).astype(np.uint16) >> 8).astype(np.uint8))
    if picture.mode in ("LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        return picture.convert("RGBA")
    return picture if picture.mode in ("L", "RGB", "RGBA") else picture.convert("RGB")


def _orientation(picture: Any) -> int:
    """The orientation that EXIF gives, 1 to 8; 1 if there is none, or none that can be read, as browsers do it."""
    try:
        return int(picture.getexif().get(_ORIENTATION, 1))
    except Exception:  # EXIF is a format of its own, and hostile files have their own
        return 1
