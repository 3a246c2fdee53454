"""An image file becomes the pixels that the manifest says, whatever kind it is, or is refused with a sentence."""

from __future__ import annotations

import contextlib
import io
import tracemalloc
from collections.abc import Mapping
from typing import Any

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError

from fairlead.contracts.images import SENT, Image, kind_of
from fairlead.serving.inputs.pictures import Pictures
from support.image_files import LIMIT, file, halves, hostile

HOSTILE = hostile()


def pixels(data: bytes, height: int = 4, width: int = 4, channels: int = 3, **spec: Any) -> np.ndarray:
    shape = (-1, channels, height, width)
    return Pictures(Image.model_validate({"max_pixels": LIMIT} | spec), shape).pixels(data)


def refusal(data: bytes, **spec: Any) -> str:
    with pytest.raises(PydanticCustomError) as caught:
        pixels(data, **spec)
    return caught.value.message()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_file_becomes_rows_of_pixels_with_channels(kind: str) -> None:
    found = pixels(file(halves(8, 8), kind, **({} if kind == "PNG" else {"quality": 100})), 8, 8)
    assert (found.shape, found.dtype.name) == ((8, 8, 3), "uint8")
    assert found[:, :3].min() > 240
    assert found[:, 5:].max() < 15


def test_the_content_says_what_a_file_is() -> None:
    assert kind_of(file(halves(), "WEBP")) == "WEBP"
    assert refusal(file(halves(), "PNG"), formats=["JPEG"]) == "Input is a PNG file, and should be a JPEG file"


def test_the_middle_is_cut_out_after_the_shorter_side_has_its_length() -> None:
    picture = PIL.Image.new("RGB", (40, 20), "red")
    picture.paste("white", (10, 0, 30, 20))
    assert (pixels(file(picture), 8, 8, interpolation="nearest") == 255).all()
    stretched = pixels(file(picture), 8, 8, resize="stretch", interpolation="nearest")
    assert stretched[0, 0].tolist() == [255, 0, 0]


def test_what_is_cut_has_the_pixels_of_scaling_and_cutting_one_after_the_other() -> None:
    picture = PIL.Image.effect_noise((300, 210), 90).convert("RGB")
    for width, height in ((300, 210), (210, 300), (256, 256)):
        turned = picture.resize((width, height))
        scaled = (256, 256 * height // width) if width <= height else (256 * width // height, 256)
        left, top = round((scaled[0] - 224) / 2), round((scaled[1] - 224) / 2)
        apart = turned.resize(scaled, PIL.Image.Resampling.BILINEAR).crop((left, top, left + 224, top + 224))
        found = pixels(file(turned), 224, 224, shorter_side=256)
        assert np.abs(found.astype(int) - np.asarray(apart).astype(int)).max() <= 1, (width, height)


def test_a_line_of_a_million_pixels_needs_no_more_memory_than_it_has() -> None:
    data = file(PIL.Image.new("L", (LIMIT, 1)))
    tracemalloc.start()
    try:
        assert pixels(data, 224, 224, shorter_side=256).shape == (224, 224, 3)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_exif_is_applied(orientation: int) -> None:
    upright = PIL.Image.new("RGB", (16, 16), "black")
    upright.paste("white", (0, 0, 8, 8))
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the transposition that the orientation undoes
    stored = upright.transpose(PIL.Image.Transpose(undo[orientation])) if orientation in undo else upright
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    for kind in ("JPEG", "PNG", "WEBP"):
        found = pixels(file(stored, kind, exif=exif, quality=100), 16, 16)
        assert found[:6, :6].min() > 200, (orientation, kind)
        assert max(found[:6, 10:].max(), found[10:].max()) < 60, (orientation, kind)


def test_exif_that_cannot_be_read_is_as_if_there_were_none() -> None:
    broken = file(halves(8, 8), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xff" * 40)
    assert pixels(broken, 8, 8).shape == (8, 8, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_mode_of_png_becomes_the_channels_of_the_model(mode: str) -> None:
    if mode == "I;16":
        data = file(PIL.Image.fromarray(np.asarray(halves(8, 8, "L")).astype(np.uint16) * 257))
    else:
        data = file(halves(8, 8).convert(mode))
    for channels in (1, 3):
        found = pixels(data, 8, 8, channels)
        assert found.shape == (8, 8, channels)
        assert (found[:, :3].min(), found[:, 5:].max()) == (255, 0)


def test_a_jpeg_in_cmyk_becomes_rgb() -> None:
    found = pixels(file(halves(16, 16).convert("CMYK"), "JPEG", quality=100), 16, 16)
    assert found[:, :6].min() > 240
    assert found[:, 10:].max() < 15


def test_what_is_transparent_is_white() -> None:
    assert (pixels(file(PIL.Image.new("RGBA", (8, 8), (0, 0, 0, 0)))) == 255).all()
    palette = halves(8, 8).convert("P")
    assert (pixels(file(palette, transparency=palette.getpixel((7, 7)))) == 255).all()


def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    data = file(halves(1600, 1200), "JPEG")
    sizes: list[tuple[int, int]] = []
    resize = PIL.Image.Image.resize

    def noted(self: PIL.Image.Image, *given: Any, **options: Any) -> PIL.Image.Image:
        sizes.append(self.size)
        return resize(self, *given, **options)

    monkeypatch.setattr(PIL.Image.Image, "resize", noted)
    found = pixels(data, 64, 64, max_pixels=2_000_000)
    assert sizes == [(200, 150)]
    assert (found[:, :24].min() > 240, found[:, 40:].max() < 15) == (True, True)


def test_a_photo_with_a_second_picture_is_its_first_one() -> None:
    written = io.BytesIO()
    halves(16, 16).save(written, "MPO", save_all=True, append_images=[PIL.Image.new("RGB", (16, 16), "red")])
    assert pixels(written.getvalue(), 16, 16)[:, :6].min() > 240


def test_there_are_twenty_hostile_files() -> None:
    assert len(HOSTILE) >= 20


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_one_sentence_and_little_memory(name: str) -> None:
    tracemalloc.start()
    try:
        said = refusal(HOSTILE[name])
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
    finally:
        tracemalloc.stop()
    assert "\n" not in said
    assert "0x" not in said
    assert said.startswith("Input ")
    assert len(said) < 200


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nothing", "Input is empty, and should be a JPEG, PNG or WEBP file"),
        ("a GIF", "Input is a GIF file, and should be a JPEG, PNG or WEBP file"),
        ("a HEIC", "Input is a HEIC, AVIF or video file, and should be a JPEG, PNG or WEBP file"),
        ("a PNG that claims 4 gigapixels", "Input should have at most 1000000 pixels: send a smaller image"),
        ("a PNG of 16 megapixels in 16 kB", "Input should have at most 1000000 pixels: send a smaller image"),
        ("a JPEG with a thousand scans", "Input is not a valid JPEG file: it has more than 64 scans"),
        ("an animated WebP", "Input has several frames: send one of them as an image"),
    ],
)
def test_the_sentence_says_what_to_do(name: str, said: str) -> None:
    assert refusal(HOSTILE[name]) == said


def test_a_file_with_too_many_bytes_is_refused_before_it_is_looked_at() -> None:
    assert refusal(bytes(101), max_bytes=100) == "Input should have at most 100 bytes: send a smaller file"


WHOLE = {kind: file(PIL.Image.effect_noise((40, 30), 60).convert("RGB"), kind) for kind in ("JPEG", "PNG", "WEBP")}


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_a_file_with_any_bytes_changed_is_an_image_or_refused(kind: str, data: st.DataObject) -> None:
    changed = bytearray(WHOLE[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PydanticCustomError):
        assert pixels(bytes(changed)).shape == (4, 4, 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize(("orientation", "size"), [(1, (300, 200)), (6, (200, 300))])
def test_pixels_know_the_size_of_their_file_as_it_is_seen(kind: str, orientation: int, size: tuple[int, int]) -> None:
    turned = PIL.Image.Exif()
    turned[0x0112] = orientation
    found = pixels(file(halves(300, 200), kind, exif=turned))
    known: Mapping[str, tuple[int, int]] = found.dtype.metadata or {}
    assert known[SENT] == size
    assert np.stack([found, pixels(file(halves()))]).dtype == np.uint8
