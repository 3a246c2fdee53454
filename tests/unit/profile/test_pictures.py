"""What is measured of images: each number sees its own change, and pictures that are as before are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fairlead.contracts.images import SENT, Image
from fairlead.contracts.profile import IMAGE_LOOKS
from fairlead.profile import bins
from fairlead.profile.bins import Floats
from fairlead.profile.pictures import LATTICE, looks, with_looks
from fairlead.profile.statistics import psi, psi_critical
from fairlead.serving.inputs.pictures import Pictures
from support.photos import CHANGES, Picture, photo, png

SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))


def of(image: np.ndarray) -> dict[str, float]:
    return dict(zip(IMAGE_LOOKS, looks([image])[0].tolist(), strict=True))


@given(arrays.arrays(np.uint8, SHAPES))
def test_every_image_has_numbers_in_their_ranges(image: np.ndarray) -> None:
    found = of(image)
    assert 0 <= found["brightness"] <= 1
    assert 0 <= found["contrast"] <= 0.5
    assert found["sharpness"] >= 0
    assert np.isnan([found["aspect"], found["pixels"]]).all()


def test_no_image_has_no_numbers() -> None:
    assert np.isnan(looks([None])).all()
    assert looks([]).shape == (0, len(IMAGE_LOOKS))


def test_the_looks_of_an_image_stand_for_it() -> None:
    images = [np.random.default_rng(1).integers(0, 255, (8, 9, 3)).astype(np.uint8), None]
    rows = with_looks([{"photo": one, "age": 3} for one in images], ["photo"])
    assert [row["age"] for row in rows] == [3, 3]
    assert np.array_equal(looks([row["photo"] for row in rows]), looks(images), equal_nan=True)


def test_the_size_is_that_of_the_file() -> None:
    image = np.zeros((8, 8, 3), np.uint8).view(np.dtype(np.uint8, metadata={SENT: (640, 480)}))
    found = of(image)
    assert found["aspect"] == pytest.approx(4 / 3)
    assert found["pixels"] == 640 * 480


@pytest.mark.parametrize("colour", [(254, 0, 1), (85, 85, 85)])
def test_an_image_of_one_colour_has_no_contrast(colour: tuple[int, int, int]) -> None:
    found = of(np.full((50, 70, 3), colour, np.uint8))
    assert found["brightness"] == pytest.approx(85 / 255)
    assert (found["contrast"], found["sharpness"]) == (0, 0)


def test_a_darker_image_is_as_sharp() -> None:
    image = np.random.default_rng(1).integers(0, 200, (60, 50, 3)).astype(np.uint8) & 0xFE
    darker = image // 2
    assert of(darker)["sharpness"] == pytest.approx(of(image)["sharpness"])
    assert of(darker)["brightness"] == pytest.approx(of(image)["brightness"] / 2)
    assert of(darker)["contrast"] == pytest.approx(of(image)["contrast"] / 2)


def test_a_large_image_is_looked_at_in_a_lattice_of_pixels_and_their_neighbours() -> None:
    image = np.zeros((4 * LATTICE, 4 * LATTICE, 1), np.uint8)
    image[1::4], image[:, 1::4] = 255, 255  # the neighbours of the pixels at 0, 4, 8
    assert of(image)["brightness"] == 0
    image[::8, ::8] = 255
    assert of(image)["sharpness"] > 0


def descriptors(pictures: Sequence[Picture]) -> Floats:
    """What is measured of the files of these pictures, decoded for a model that gets 32 x 32 pixels."""
    decoder = Pictures(Image(), (-1, 3, 32, 32))
    return looks([decoder.pixels(png(one)) for one in pictures])


def moved(before: Floats, after: Floats) -> set[str]:
    """The descriptors that drift by the limits of the alerts."""
    found = set()
    for at, name in enumerate(IMAGE_LOOKS):
        edges = bins.number_edges(before[:, at])
        feature = bins.number_feature(name, "photo", edges, before[:, at])
        distance = psi(bins.count_numbers(edges, after[:, at]), feature.counts)
        if distance > max(0.2, 2 * psi_critical(feature.critical, len(after), len(before))):
            found.add(name)
    return found


@pytest.fixture(scope="module")
def reference() -> Floats:
    random = np.random.default_rng(2026)
    return descriptors([photo(random) for _ in range(600)])


@pytest.fixture(scope="module")
def later() -> list[Picture]:
    random = np.random.default_rng(2027)
    return [photo(random) for _ in range(600)]


def test_pictures_of_the_same_kind_are_as_the_reference(reference: Floats, later: list[Picture]) -> None:
    assert moved(reference, descriptors(later)) == set()


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_of_all_pictures_is_found_by_its_descriptors(
    reference: Floats, later: list[Picture], change: str
) -> None:
    changed, found_by = CHANGES[change]
    assert moved(reference, descriptors([changed(one) for one in later])) == found_by
