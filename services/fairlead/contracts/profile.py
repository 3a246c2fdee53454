"""`profile.json`, the reference profile of a model folder: bins of its features and answers, and the rows in each.

The bins are fixed when the profile is built. Services count rows in the same bins, so counts of several instances add
up, and drift is computed from the sums.
"""

from __future__ import annotations

import re
from collections.abc import Sized
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, FiniteFloat, StringConstraints, field_validator, model_validator

from fairlead import errors
from fairlead.contracts import json_text
from fairlead.contracts.base import Document, canonical, digest
from fairlead.contracts.manifest import ModelName, Version
from fairlead.contracts.parsing import parse
from fairlead.contracts.quality import Quality
from fairlead.contracts.slices import MAX_SLICES, Slice
from fairlead.contracts.vectors import MAX_VECTORS, VectorFeature

NAME = "profile.json"
REBUILD = "Build it again from this folder: fairlead profile build DIR --data FILE."
MAX_FEATURES = 100
MAX_BYTES = 200_000
MAX_BINS = 5000
"""The most bins of all features, of all rows and of each slice: twice as many series are scraped of every instance."""
MAX_VALUE = 64
"""The characters of a category that count; the rest of a longer text is not looked at."""
TOP, TAIL = 20, 100
"""How many values of a category have a bin of their own, and how many more are known and share the bin `other`."""
PREDICTION, CONFIDENCE, ENTROPY = ANSWERS = ("prediction", "confidence", "entropy")
"""The features of answers."""
LABEL, SCORE = "label", "score"
"""The fields of an answer: what it says, and a number of it. Its entropy has the field ENTROPY."""
TEXT_SHAPES = ("words", "digits", "upper", "non_ascii", "odd")
"""What is measured of a free text beside its length."""
PIXEL_LOOKS = ("brightness", "contrast", "sharpness")
"""What is measured of the pixels that the model gets: another size or cut gives other numbers."""
IMAGE_LOOKS = (*PIXEL_LOOKS, "aspect", "pixels")
"""What is measured of an image."""
LOW, HIGH, MISSING, OTHER, NEW = "lo", "hi", "na", "other", "new"
_RESERVED = frozenset({LOW, HIGH, MISSING, OTHER, NEW})
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.+-]{0,39}")

MOST = 2**53
"""The most rows: a larger number cannot be a metric without being rounded."""
Count = Annotated[int, Field(ge=0, le=MOST)]
Value = Annotated[str, StringConstraints(max_length=MAX_VALUE)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=80)]


def is_plain(value: str) -> bool:
    """Whether a value can be the name of its own bin: short, of plain characters, and no name of another bin."""
    return value not in _RESERVED and _PLAIN.fullmatch(value) is not None


class _Feature(Document):
    """What numbers and categories share. `counts` has the rows of the reference in each bin, in the order of `bins`."""

    name: Name
    """The label `feature` of its metrics."""
    field: Name
    """The field of the row; of an answer `label` or `score`, as rollouts compare them."""
    counts: tuple[Count, ...]
    critical: Annotated[FiniteFloat, Field(gt=0)]
    """The quantile 0.999 of chi-squared with one degree of freedom less than there are bins."""
    halves: Annotated[FiniteFloat, Field(ge=0)] | None = None
    """The PSI of the first half of the reference against the second: what the data itself changes. None: not known."""


class NumberFeature(_Feature):
    """A number. Bin i from `edges[i]` up to, and without, `edges[i + 1]`; `lo` is below all, `hi` from the last on."""

    kind: Literal["number"] = "number"
    place: Annotated[int, Field(ge=0)] | None = None
    """The place in the field's list, if the field is a list of numbers."""
    of: (
        Literal["value"]
        | Literal["length", "words", "digits", "upper", "non_ascii", "odd"]
        | Literal["brightness", "contrast", "sharpness", "aspect", "pixels"]
    ) = "value"
    """Of a text: `length` is how many characters it has, `words` how many words, and the others are shares of them. Of
    an image: IMAGE_LOOKS."""
    pixels: Annotated[str, StringConstraints(max_length=100)] = ""
    """Of PIXEL_LOOKS: how the pixels are made of a file, such as "224x224x3 crop 256 bilinear"."""
    edges: Annotated[tuple[FiniteFloat, ...], Field(min_length=2, max_length=25)]

    @field_validator("edges")
    @classmethod
    def _ascend(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if any(one >= other for one, other in zip(edges, edges[1:], strict=False)):
            raise ValueError("edges must ascend")
        return edges

    @property
    def bins(self) -> tuple[str, ...]:
        """The names of the bins, in the order of `counts`."""
        return (LOW, *(f"{number:02}" for number in range(len(self.edges) - 1)), HIGH, MISSING)

    @property
    def edges_text(self) -> tuple[Any, ...]:
        """What two profiles must share for their counts to be comparable."""
        return (self.name, self.of, *([self.pixels] if self.pixels else []), *self.edges)


class CategoryFeature(_Feature):
    """A text, a boolean or another value of few. `values` have bins of their own, those of `tail` share `other`."""

    kind: Literal["category"] = "category"
    values: Annotated[tuple[Value, ...], Field(max_length=TOP)]
    tail: Annotated[tuple[Value, ...], Field(max_length=TAIL)] = ()
    named: bool = False
    """Whether bins have the names of their values: only where the type of the field says all of them."""

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if len({*self.values, *self.tail}) < len(self.values) + len(self.tail):
            raise ValueError("values and tail name a value twice")
        if self.named and not all(map(is_plain, self.values)):
            raise ValueError("a value cannot be the name of a bin: `named` must be false")
        return self

    @property
    def bins(self) -> tuple[str, ...]:
        """The names of the bins, in the order of `counts`."""
        own = self.values if self.named else tuple(f"v{number:02}" for number in range(len(self.values)))
        return (*own, OTHER, NEW, MISSING)

    @property
    def edges_text(self) -> tuple[Any, ...]:
        """What two profiles must share for their counts to be comparable."""
        return (self.name, self.named, *self.values, OTHER, *self.tail)


Feature = NumberFeature | CategoryFeature


class Profile(Document):
    """The reference of one model version: what its inputs and its answers were on data that it was not trained on."""

    schema_number: Annotated[Literal[1], Field(alias="schema")] = 1
    model: ModelName
    version: Version
    artifact: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{64})?$")] = ""
    """The digest of the artifact whose answers these are; empty for a model that is code only."""
    data: Annotated[str, StringConstraints(max_length=200)] = ""
    """The name of the file with the rows."""
    recorded: bool = False
    """Whether the rows are recorded requests: a baseline of what was served, and nobody knows that it was right."""
    rows: Annotated[int, Field(ge=1, le=MOST)]
    features: Annotated[tuple[Annotated[Feature, Field(discriminator="kind")], ...], Field(max_length=MAX_FEATURES)]
    answers: Annotated[tuple[Annotated[Feature, Field(discriminator="kind")], ...], Field(max_length=3)] = ()
    """`prediction`, `confidence` and `entropy`, where answers have them."""
    quality: Annotated[Quality, Field(discriminator="kind")] | None = None
    """How well the rows were answered; None if their truth was not given."""
    slices: Annotated[tuple[Slice, ...], Field(max_length=MAX_SLICES)] = ()
    """The rows that are counted by themselves too."""
    vectors: Annotated[tuple[VectorFeature, ...], Field(max_length=MAX_VECTORS)] = ()
    """The fields that are long lists of numbers."""

    def to_json(self) -> dict[str, Any]:
        """As any document; without what it does not have, as releases wrote it that did not know of it."""
        later = {"recorded": self.recorded, "quality": self.quality, "slices": self.slices, "vectors": self.vectors}
        found = {name: value for name, value in super().to_json().items() if later.get(name, True)}
        for one in (*found["features"], *found["answers"]):
            if not one.get("pixels", True):
                del one["pixels"]
        return found

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        for one in self.every:
            if len(one.counts) != len(one.bins):
                raise ValueError(f"{one.name}: {len(one.counts)} counts for {len(one.bins)} bins")
            if sum(one.counts) != self.rows:
                raise ValueError(f"{one.name}: the counts add up to {sum(one.counts)}, not to {self.rows} rows")
        if not self.features and not self.vectors:
            raise ValueError("features: there is neither a feature nor a vector")
        names = [one.name for one in (*self.every, *self.vectors)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"there are two features {twice[0]!r}")
        if wrong := [one.name for one in self.answers if one.name not in ANSWERS]:
            raise ValueError(f"{wrong[0]!r} is none of {', '.join(ANSWERS)}")
        for one in self.answers:
            if one.field != (LABEL if one.kind == "category" else ENTROPY if one.name == ENTROPY else SCORE):
                raise ValueError(f"{one.name}: an answer has a {LABEL}, a category, and a {SCORE}, a number")
        return self

    @model_validator(mode="after")
    def _slices_fit(self) -> Self:
        sizes = [len(one.bins) for one in self.every]
        for one in self.slices:
            if [len(counts) for counts in one.counts] != sizes:
                raise ValueError(f"slice {one.name}: its counts have other bins than the features")
            if any(sum(counts) != one.rows for counts in one.counts):
                raise ValueError(f"slice {one.name}: the counts of a feature do not add up to its {one.rows} rows")
        names = [one.name for one in self.slices]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"there are two slices {twice[0]!r}")
        if (bins := sum(sizes) * (1 + len(names))) > MAX_BINS:
            raise ValueError(f"its features and slices have {bins} bins together, more than {MAX_BINS}")
        return self

    def halves_chance(self, one: Feature) -> float:
        """What `halves` of a feature exceeds by chance in one of 1,000 profiles."""
        return one.critical * 4 / self.rows

    @property
    def every(self) -> tuple[Feature, ...]:
        """The features of rows and those of answers."""
        return (*self.features, *self.answers)

    @property
    def described(self) -> str:
        """What it has, in words: `4 features, prediction, from 5000 rows`."""
        features = _counted(self.features, "feature") or ["no features"]
        quality = [self.quality.described] if self.quality else []
        parts = [
            *_counted(self.vectors, "vector"),
            *(one.name for one in self.answers),
            *_counted(self.slices, "slice"),
        ]
        return ", ".join([*features, *parts, f"from {self.rows} {'recorded ' if self.recorded else ''}rows", *quality])

    @property
    def edges_digest(self) -> str:
        """The digest of all bins: counts of two versions can be compared where it is the same."""
        slices = {"slices": [[one.name, one.text] for one in self.slices]} if self.slices else {}
        directions = [[one.name, one.size, one.scale, one.seed] for one in self.vectors]
        vectors = {"vectors": directions} if directions else {}
        return digest(canonical({"bins": [list(one.edges_text) for one in self.every], **slices, **vectors}))


def _counted(found: Sized, what: str) -> list[str]:
    return [f"{len(found)} {what}{'' if len(found) == 1 else 's'}"] if found else []


def to_text(profile: Profile) -> str:
    """The content of the file: canonical JSON, so the same profile gives the same bytes. Raises Invalid over 200 KB."""
    text = canonical(profile.to_json()) + "\n"
    if len(text.encode()) > MAX_BYTES:
        raise errors.Invalid(
            f"the profile has {len(text.encode())} bytes, more than {MAX_BYTES}",
            hint="Measure fewer features: name them with --feature.",
        )
    return text


def read(file: Path, source: str, hint: str = REBUILD) -> Profile:
    """The profile in a file, of which no more is read than a profile may have. `source` is its name in errors.

    Raises NotFound or Invalid; `hint` says what to do.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise errors.Invalid(f"{source}: more than {MAX_BYTES} bytes", hint=hint)
        return of_text(content.decode(), source, hint)
    except FileNotFoundError:
        raise errors.NotFound(f"{source}: there is no such file", hint=hint) from None
    except OSError as cause:
        raise errors.Invalid(f"{source}: the profile cannot be read: {cause.strerror}", hint=hint) from cause
    except UnicodeDecodeError as cause:
        raise errors.Invalid(f"{source}: the profile cannot be read: it is not UTF-8 text", hint=hint) from cause


def of_text(text: str, source: str, hint: str = REBUILD) -> Profile:
    """The profile in a file's content. Raises Invalid, which names `source` and the first wrong field."""
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise errors.Invalid(f"{source}: more than {MAX_BYTES} bytes", hint=hint)
    try:
        data = json_text.read(text)
    except ValueError as cause:
        raise errors.Invalid(f"{source}: not JSON: {cause}", hint=hint) from cause
    if isinstance(data, dict) and data.get("schema", 1) != 1:
        raise errors.Invalid(
            f"{source}: schema {data['schema']!r} is not known to this release, which reads schema 1",
            hint=f"Use the release that wrote the profile. {hint}",
        )
    return parse(Profile, data, source, hint=hint)
