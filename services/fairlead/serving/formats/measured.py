"""Which fields of a row type drift can be measured of, and how; and whether a profile fits the type."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import annotated_types
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from fairlead import errors
from fairlead.contracts import profile
from fairlead.contracts.manifest import Manifest
from fairlead.contracts.profile import IMAGE_LOOKS, PIXEL_LOOKS, REBUILD, CategoryFeature, Feature, Profile
from fairlead.contracts.slices import Condition
from fairlead.contracts.vectors import VectorFeature
from fairlead.serving.formats import artifact, field_kinds
from fairlead.serving.inputs.image_field import pixels_of


@dataclass(frozen=True)
class Measured:
    """How one field is measured. A text is a category if it repeats, else its length is measured."""

    kind: Literal["number", "numbers", "category", "text", "image"]
    choices: tuple[Any, ...] = ()
    """All values of a category."""
    size: int = 0
    """How many numbers the field has, if it is a list of always as many."""
    is_whole: bool = False
    """Whether numbers are integers."""
    pixels: str = ""
    """How the pixels of an image are made of its file."""


def measured(row_type: type[BaseModel]) -> dict[str, Measured]:
    """The fields that can be measured: numbers, booleans, texts, images, those of few values, number lists.

    No dates, objects or lists of any length: what a change of their distribution is depends on the model.
    """
    found = {name: _measured(field) for name, field in row_type.model_fields.items()}
    return {name: how for name, how in found.items() if how is not None}


def measurable(row_type: type[BaseModel]) -> dict[str, Measured]:
    """The same. Raises Invalid if there is none: then there is nothing to build a profile of."""
    found = measured(row_type)
    if not found:
        raise errors.Invalid(
            "no profile can be built of this model: the types of its fields are not measured",
            hint="Numbers, texts, booleans, images and values of a list of choices can be measured.",
        )
    return found


def _measured(field: FieldInfo) -> Measured | None:
    if pixels := pixels_of(field):
        return Measured("image", pixels=pixels)
    kinds = set(field_kinds.kinds(field.annotation)) - {type(None)}
    if choices := field_kinds.choices(field.annotation):
        return Measured("category", tuple(getattr(one, "value", one) for one in choices))
    if kinds == {bool}:
        return Measured("category", (False, True))
    if kinds == {str}:
        return Measured("text")
    if kinds and kinds <= field_kinds.NUMBERS:
        return Measured("number", is_whole=kinds == {int})
    if len(kinds) == 1 and (size := _size(next(iter(kinds)), field)):
        return Measured("numbers", size=size)
    return None


def _size(kind: Any, field: FieldInfo) -> int:
    """The length of a list of numbers that is always as long and never null; 0 for any other field."""
    if typing.get_origin(kind) is not list or len(field_kinds.kinds(field.annotation)) != 1:
        return 0
    if not set(field_kinds.kinds(typing.get_args(kind)[0])) <= field_kinds.NUMBERS:
        return 0
    least = [one.min_length for one in field.metadata if isinstance(one, annotated_types.MinLen)]
    most = [one.max_length for one in field.metadata if isinstance(one, annotated_types.MaxLen)]
    return least[0] if least and least == most else 0


def read_profile(folder: Path, manifest: Manifest, row_type: type[BaseModel]) -> Profile | None:
    """The profile that the manifest names; None if it names none.

    Raises NotFound without the file, and Invalid if it is no profile, is that of another version or artifact, or does
    not fit the row type.
    """
    if manifest.profile is None:
        return None
    file = artifact.inside(folder, manifest.profile, field="profile")
    found = profile.read(file, manifest.profile)
    check_fits(found, manifest, row_type)
    return found


def check_fits(found: Profile, manifest: Manifest, row_type: type[BaseModel]) -> None:
    """Raise Invalid unless the profile is that of this version, and its features are fields of the row type."""
    where = manifest.profile or profile.NAME
    if (found.model, found.version) != (manifest.name, manifest.version):
        raise errors.Invalid(
            f"{where} is the profile of {found.model} {found.version}, not of {manifest.name} {manifest.version}",
            hint=REBUILD,
        )
    stated = manifest.artifact.sha256 if manifest.artifact else ""
    if found.artifact != stated:
        raise errors.Invalid(
            f"{where} has the answers of another artifact, {found.artifact[:12] or 'none'}...; the manifest's is "
            f"{stated[:12] or 'none'}...",
            hint=REBUILD,
        )
    fields = measured(row_type)
    if wrong := [
        *_misfits(found.features, fields),
        *_vector_misfits(found.vectors, fields),
        *filter(None, [slice_problem(one, fields) for one in found.slices]),
    ]:
        raise errors.Invalid(f"{where}: {wrong[0]}", hint=REBUILD)


def slice_problem(one: Condition, fields: Mapping[str, Measured]) -> str | None:
    """Why rows with these fields cannot have this slice; None if they can."""
    how = fields.get(one.field)
    kinds = ("number",) if one.is_range else ("category", "text")
    if how is not None and how.kind in kinds:
        return None
    wanted = "a range is of a number" if one.is_range else "values are of a category or a text"
    return f"slice {one.name}: {one.field!r} is {_what(how)}, and {wanted}"


def _misfits(features: Sequence[Feature], fields: dict[str, Measured]) -> list[str]:
    return [
        f"feature {one.name}: {one.field!r} is {_what(fields.get(one.field))}, and the profile has {_form(one)} of it"
        for one in features
        if not _fits(one, fields.get(one.field))
    ]


def _vector_misfits(vectors: Sequence[VectorFeature], fields: Mapping[str, Measured]) -> Iterator[str]:
    for one in vectors:
        how = fields.get(one.field)
        if how is None or (how.kind, how.size) != ("numbers", one.size):
            yield f"vector {one.name}: {one.field!r} is {_what(how)}, and the profile has a list of {one.size} numbers"


def _fits(one: Feature, how: Measured | None) -> bool:
    if how is None:
        return False
    if isinstance(one, CategoryFeature):
        return how.kind in ("category", "text")
    if one.of in IMAGE_LOOKS:
        return how.kind == "image" and one.pixels == (how.pixels if one.of in PIXEL_LOOKS else "")
    if one.of != "value":
        return how.kind == "text"
    if one.place is not None:
        return how.kind == "numbers" and one.place < how.size
    return how.kind == "number"


def _what(how: Measured | None) -> str:
    if how is None:
        return "no field that can be measured"
    if how.kind == "numbers":
        return f"a list of {how.size} numbers"
    if how.kind == "image":
        return f"an image of {how.pixels}"
    return f"a {how.kind}"


def _form(one: Feature) -> str:
    if isinstance(one, CategoryFeature):
        return "categories"
    if one.of != "value":
        return f"the {one.of}{f' of {one.pixels}' if one.pixels else ''}"
    return "a number" if one.place is None else f"place {one.place}"
