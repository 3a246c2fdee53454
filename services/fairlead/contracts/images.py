"""How a model gets its pictures, and how its scores become labels: parts of the manifest (docs/images.md)."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["JPEG", "PNG", "WEBP"]
MEDIA_TYPES: dict[str, str] = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
SENT = "fairlead_sent"
"""The key of the metadata of a pixel array's datatype with the width and the height of the file, as it is seen."""
_COLOURS = (1, 3)
_Positive = Annotated[float, Field(gt=0)]


class Frame(NamedTuple):
    """The pixels that a model gets of one image."""

    height: int
    width: int
    channels: int
    """1: grey; 3: red, green and blue."""
    channels_first: bool
    """Whether the channels are before the height and the width."""


def frame(shape: tuple[int, ...]) -> Frame:
    """The frame that a tensor of this shape holds. Raises ValueError if it cannot be that of an image."""
    if len(shape) != 4 or -1 in shape[1:]:
        raise ValueError("an image has the shape [-1, channels, height, width] or [-1, height, width, channels]")
    first, last = shape[1] in _COLOURS, shape[3] in _COLOURS
    if first == last:
        raise ValueError(
            "the channels, 1 or 3, must be the second or the last number of an image's shape, and not both"
        )
    if first:
        return Frame(shape[2], shape[3], shape[1], channels_first=True)
    return Frame(shape[1], shape[2], shape[3], channels_first=False)


def kind_of(data: bytes) -> str:
    """What kind of image file it is by its first bytes: JPEG, PNG or WEBP, or empty."""
    if data[:3] == b"\xff\xd8\xff":
        return "JPEG"
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return "PNG"
    return "WEBP" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else ""


class Image(BaseModel):
    """How an image file becomes the pixels of an input: cut, scaled, and then `(pixel / scale - mean) / std`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    resize: Literal["crop", "stretch"] = "crop"
    """crop: the shorter side becomes `shorter_side`, and the middle is cut out. stretch: both sides, each by itself."""
    shorter_side: int | None = Field(default=None, ge=1, le=16384)
    """Pixels of the shorter side before the cut. None: the image covers the cut and no more."""
    interpolation: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "bilinear"
    colors: Literal["RGB", "BGR"] = "RGB"
    """The order of the channels."""
    scale: _Positive | None = None
    """What the pixels, 0 to 255, are divided by. None: 255; integers stay as they are."""
    mean: tuple[float, ...] = ()
    """What is subtracted then: one number, or one for each channel."""
    std: tuple[_Positive, ...] = ()
    """What is divided by then."""
    formats: tuple[Kind, ...] = Field(default=("JPEG", "PNG", "WEBP"), min_length=1)
    max_pixels: int = Field(default=25_000_000, ge=1, le=89_000_000)
    """The most pixels of a file, before it is decoded. Decoding needs about 8 bytes for each."""
    max_bytes: int = Field(default=10 * 1024 * 1024, ge=1, le=512 * 1024 * 1024)
    """The most bytes of a file."""

    def check(self, datatype: str, shape: tuple[int, ...]) -> None:
        """Raise ValueError if an input of this datatype and shape cannot be an image."""
        size = frame(shape)
        if datatype not in ("FP32", "FP64", "UINT8"):
            raise ValueError("an image is an input of the datatype FP32, FP64 or UINT8")
        if datatype == "UINT8" and (self.scale is not None or self.mean or self.std):
            raise ValueError("`scale`, `mean` and `std` are for FP32 and FP64: pixels of UINT8 stay as they are")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (0, 1, size.channels):
                raise ValueError(f"`{name}` has {len(values)} numbers; give one, or {size.channels}")
        if self.shorter_side is not None and self.shorter_side < max(size.height, size.width):
            raise ValueError(f"`shorter_side` must be at least {max(size.height, size.width)}, or nothing is cut")

    @model_validator(mode="after")
    def _is_possible(self) -> Self:
        if self.resize == "stretch" and self.shorter_side is not None:
            raise ValueError("`shorter_side` is for `resize: crop`")
        return self
