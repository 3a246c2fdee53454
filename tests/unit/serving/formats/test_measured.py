"""Which fields drift is measured of, and which profiles a folder is refused with."""

from __future__ import annotations

import enum
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from fairlead import errors
from fairlead.contracts import profile
from fairlead.contracts.profile import Profile
from fairlead.profile import bins
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.formats.measured import Measured, check_fits, measurable, measured
from fairlead.serving.formats.strict import strict
from support import folders
from support import image_models as images


class Colour(enum.Enum):
    RED = "red"


class Everything(BaseModel):
    number: float
    whole: int | None = None
    yes: bool
    kind: Literal["a", "b"] | None = None
    colour: Colour
    text: str
    four: Annotated[list[float], Field(min_length=4, max_length=4)]
    some: list[float]
    pair: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    day: date
    either: float | str


def test_numbers_texts_and_fields_of_few_values_are_measured() -> None:
    assert measured(strict(Everything)) == {
        "number": Measured("number"),
        "whole": Measured("number", is_whole=True),
        "yes": Measured("category", (False, True)),
        "kind": Measured("category", ("a", "b")),
        "colour": Measured("category", ("red",)),
        "text": Measured("text"),
        "four": Measured("numbers", size=4),
    }


class Day(BaseModel):
    day: date


def test_an_image_is_measured() -> None:
    assert measured(images.served().row_type) == {"image": Measured("image", pixels="8x8x3 crop bilinear")}


def test_what_was_measured_of_other_pixels_does_not_fit_the_image() -> None:
    stated = images.manifest()
    features = [
        bins.number_feature(f"image.{of}", "image", (0.0, 1.0), ROWS, of=of, pixels=pixels)
        for of, pixels in (("aspect", ""), ("sharpness", "8x8x3 crop bilinear"), ("sharpness", "9x9x3 crop bilinear"))
    ]
    found = Profile(model="light", version="1", artifact="0" * 64, rows=3, features=tuple(features[:2]))
    row_type = images.served().row_type
    check_fits(found, stated, row_type)
    with pytest.raises(errors.Invalid) as caught:
        check_fits(found.model_copy(update={"features": tuple(features[2:])}), stated, row_type)
    assert caught.value.message == (
        "profile.json: feature image.sharpness: 'image' is an image of 8x8x3 crop bilinear, and the profile has the "
        "sharpness of 9x9x3 crop bilinear of it"
    )


def test_a_model_of_which_nothing_can_be_measured_is_told_so() -> None:
    with pytest.raises(errors.Invalid, match="no profile can be built of this model: the types of its fields are not"):
        measurable(strict(Day))


ROWS = bins.as_numbers([1.0, 2.0, 3.0])


def of_doubler(folder: Path, **changes: Any) -> Profile:
    manifest = load_folder(folder).manifest
    assert manifest.artifact is not None
    found = Profile(
        model="doubler",
        version="1.0.0",
        artifact=manifest.artifact.sha256,
        rows=3,
        features=(bins.number_feature("value", "value", bins.number_edges(ROWS), ROWS),),
    )
    return found.model_copy(update=changes)


def given(folder: Path, text: str) -> Path:
    """The folder with a profile."""
    (folder / profile.NAME).write_text(text)
    with (folder / "fairlead.yaml").open("a") as manifest:
        manifest.write(f"profile: {profile.NAME}\n")
    return folder


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(errors.Invalid) as caught:
        load_folder(given(folder, text))
    assert "fairlead profile build" in (caught.value.hint or "")
    return caught.value.message


def test_a_folder_without_a_profile_has_none(tmp_path: Path) -> None:
    assert load_folder(folders.make(tmp_path / "m")).profile is None


def test_a_folder_is_read_with_its_profile(tmp_path: Path) -> None:
    folder = folders.make(tmp_path / "m")
    found = of_doubler(folder)
    assert load_folder(given(folder, profile.to_text(found))).profile == found


CATEGORY = bins.category_feature("value", "value", ["a"] * 3)
PLACE = bins.number_feature("value[0]", "value", (0.0, 1.0), ROWS, place=0)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"version": "2.0.0"}, "profile.json is the profile of doubler 2.0.0, not of doubler 1.0.0"),
        ({"artifact": "0" * 64}, "has the answers of another artifact, 000000000000..."),
        ({"features": (CATEGORY,)}, "feature value: 'value' is a number, and the profile has categories of it"),
        ({"features": (PLACE,)}, "feature value[0]: 'value' is a number, and the profile has place 0 of it"),
        (
            {"features": (CATEGORY.model_copy(update={"name": "old", "field": "old"}),)},
            "feature old: 'old' is no field that can be measured",
        ),
    ],
)
def test_a_profile_that_does_not_fit_refuses_the_folder(tmp_path: Path, changes: dict[str, Any], why: str) -> None:
    folder = folders.make(tmp_path / "m")
    assert why in refusal(folder, profile.to_text(of_doubler(folder, **changes)))


def test_a_damaged_profile_refuses_the_folder(tmp_path: Path) -> None:
    assert "not JSON" in refusal(folders.make(tmp_path / "m"), "{")


def test_a_profile_that_is_missing_refuses_the_folder(tmp_path: Path) -> None:
    folder = given(folders.make(tmp_path / "m"), "{}")
    (folder / profile.NAME).unlink()
    with pytest.raises(errors.Invalid, match="profile: there is no 'profile.json'"):
        load_folder(folder)
