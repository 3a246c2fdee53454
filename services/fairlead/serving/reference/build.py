"""Builds a profile from rows: asks the model for its answers, chooses bins, counts, and writes the file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from fairlead import errors
from fairlead.contracts import manifest_file, profile
from fairlead.contracts.profile import (
    ANSWERS,
    CONFIDENCE,
    ENTROPY,
    IMAGE_LOOKS,
    LABEL,
    MAX_FEATURES,
    PIXEL_LOOKS,
    PREDICTION,
    SCORE,
    TEXT_SHAPES,
    TOP,
    Feature,
    Profile,
)
from fairlead.contracts.slices import Condition, Slice, declared
from fairlead.contracts.vectors import MAX_SIZE, MAX_VECTORS, WIDE, VectorFeature
from fairlead.model import Model
from fairlead.profile import bins
from fairlead.profile.bins import Floats
from fairlead.profile.counting import RowCount, is_read_like
from fairlead.profile.pictures import looks, with_looks
from fairlead.profile.slicing import SlicedCount
from fairlead.profile.statistics import psi
from fairlead.profile.texts import lengths, shapes
from fairlead.profile.vectors import vector_feature
from fairlead.serving.formats import golden, rows
from fairlead.serving.formats.folder import ModelFolder, load_folder
from fairlead.serving.formats.measured import Measured, measurable, slice_problem
from fairlead.serving.observe.compared_fields import Reader
from fairlead.serving.reference.held_out import quality_of

FEW_ROWS = 1000
"""With fewer rows only a large drift can be told from chance."""
REFUSED_SHARE = 0.1
"""More rows that the model does not answer than this, and the data is not what clients send."""
_FREE_TEXT = 50
"""With more different texts than this, most of them in one row only, the length of a text is measured."""


@dataclass(frozen=True)
class Built:
    """A profile, and what it does not have."""

    profile: Profile
    left_out: Mapping[str, str]
    """The fields that are not measured, and why."""
    refused: int
    """How many rows the model does not answer."""
    why: str
    """Why the first of them is refused."""


def write_profile(
    folder: str | Path,
    given: Sequence[Mapping[str, Any]],
    *,
    data: str = "",
    edges_from: Profile | None = None,
    truth: Sequence[Any] = (),
    slices: Sequence[str] = (),
) -> Profile:
    """Write the profile of a model folder from rows, as clients send them. For training scripts.

    `data` is a name for the rows; `edges_from`, `truth` and `slices` are as for `build`. Raises Invalid if rows do not
    fit the model.
    """
    loaded = load_folder(Path(folder), profiled=False)
    built = build(loaded, given, data=data, edges_from=edges_from, truth=truth, slices=slices)
    save(Path(folder), built.profile)
    return built.profile


def build(
    folder: ModelFolder,
    given: Sequence[Mapping[str, Any]],
    *,
    data: str = "",
    only: Sequence[str] = (),
    edges_from: Profile | None = None,
    truth: Sequence[Any] = (),
    slices: Sequence[str] = (),
    recorded: bool = False,
    advance: Callable[[int], object] = lambda _: None,
    source: Callable[[int], str] = lambda _: "",
) -> Built:
    """The profile of a folder's model on these rows, which are JSON objects.

    `only` names the fields to measure; without it, the first that can be. `edges_from` is a profile whose bins are kept
    for what both have, so that counts of the two versions can be compared. `truth` has the true class or number of each
    row, None where it is not known; without it the profile has no quality. `slices` declare rows to be counted by
    themselves too, such as "old: built=..1950"; without them, those of `edges_from` are kept. `recorded`: the rows are
    recorded requests. `advance` is told of each batch of rows. `source` names the file that the row of a
    place is from. Raises Invalid if rows or fields do not fit the model, and what loading the model raises.
    """
    fields = _chosen(folder, only)
    conditions = _conditions(folder, slices, edges_from)
    answered = _Answered(folder, advance, source)
    for start in range(0, len(given), folder.manifest.batching.max_rows):
        answered.ask(given[start : start + folder.manifest.batching.max_rows])
    if not answered.rows or answered.refused > REFUSED_SHARE * len(given):
        raise errors.Invalid(
            f"the model answers {len(answered.rows)} of {len(given)} rows: {answered.why or 'there is no row'}",
            hint="Give rows as clients send them: the inputs of the manifest, before any preprocessing.",
        )
    found = answered.rows
    features, vectors, refused = _of_fields(fields, found, edges_from)
    wanted = only or folder.row_type.model_fields
    left_out = {name: "its type is not measured" for name in wanted if name not in fields} | refused
    if not features and not vectors:
        raise errors.Invalid("no field of a row can be measured", hint="Numbers, texts and booleans can.")
    reader = Reader(folder.answer_type)
    said = [reader.measured(answer) for answer in answered.answers]
    answers = _answers(said)
    artifact = folder.manifest.artifact
    features, answers = (
        _with_halves(_with_edges(given_, rows_, edges_from), rows_)
        for given_, rows_ in ((features, found), (answers, said))
    )
    made_profile = _profile(
        model=folder.manifest.name,
        version=folder.manifest.version,
        artifact=artifact.sha256 if artifact else "",
        data=data[:200],
        recorded=recorded,
        rows=len(found),
        features=tuple(features),
        answers=tuple(answers),
        vectors=tuple(vectors),
        slices=tuple(_slices(SlicedCount(features, answers, conditions), conditions, found, said)),
    )
    if len(truth):
        if len(truth) != len(given):
            raise errors.Invalid(f"there are {len(truth)} truths for {len(given)} rows", hint="Give one for each row.")
        true = [truth[place] for place in answered.places]
        made_profile = made_profile.model_copy(
            update={"quality": quality_of(folder.answer_type, made_profile, answered.answers, true)}
        )
    return Built(made_profile, left_out, answered.refused, answered.why)


def _profile(**fields: Any) -> Profile:
    """Raises Invalid if it would have too much."""
    try:
        return Profile(**fields)
    except ValidationError as cause:
        raise errors.Invalid(
            f"the profile is refused: {cause.errors()[0]['msg'].removeprefix('Value error, ')}",
            hint="Name fewer features with --feature, or declare fewer slices.",
        ) from cause


def _conditions(folder: ModelFolder, slices: Sequence[str], other: Profile | None) -> list[Condition]:
    """The slices to count; those of the other profile where none are declared."""
    found = [declared(one) for one in slices]
    if not found and other is not None:
        found = [Condition(**one.model_dump(include=set(Condition.model_fields))) for one in other.slices]
    fields = measurable(folder.row_type)
    if wrong := [problem for one in found if (problem := slice_problem(one, fields))]:
        raise errors.Invalid(f"--slice: {wrong[0]}", hint=f"Those are fields of a row: {', '.join(fields)}.")
    return found


def _slices(
    count: SlicedCount, conditions: Sequence[Condition], rows: Sequence[Any], answers: Sequence[Any]
) -> Iterator[Slice]:
    """The slices with their rows in each bin of each feature."""
    members = count.members(rows)
    _, *counted = np.split(count(rows, answers, members), 1 + len(conditions))
    for one, counts, mine in zip(conditions, counted, members, strict=True):
        if not mine.any():
            raise errors.Invalid(
                f"--slice: no row of the data is in slice {one.name} ({one.text})",
                hint="Declare a slice that the data has: its rows are what live ones are compared with.",
            )
        each = tuple(tuple(found.tolist()) for found in count.of_each(counts))
        yield Slice(**one.model_dump(), rows=int(mine.sum()), counts=each)


def save(folder: Path, built: Profile) -> Path:
    """Write the profile into its folder, where the manifest says or as `profile.json`, which it then names."""
    text = profile.to_text(built)
    manifest = manifest_file.read(folder)
    file = folder / (manifest.profile or profile.NAME)
    file.write_text(text, encoding="utf-8")
    if manifest.profile is None:
        stated = folder / manifest_file.NAME
        before = stated.read_text(encoding="utf-8")
        line = f"profile: {profile.NAME}\n"
        stated.write_text(before + ("" if before.endswith("\n") else "\n") + line, encoding="utf-8")
    return file


def _chosen(folder: ModelFolder, only: Sequence[str]) -> dict[str, Measured]:
    fields = measurable(folder.row_type)
    if wrong := [name for name in only if name not in fields]:
        raise errors.Invalid(
            f"--feature: {wrong[0]!r} is no field of a row that can be measured; those are {', '.join(fields)}",
            hint="Name fields of the row type.",
        )
    return {name: how for name, how in fields.items() if not only or name in only}


class _Answered:
    """The rows that the model answers, and their answers. Of images only their looks are kept."""

    def __init__(self, folder: ModelFolder, advance: Callable[[int], object], source: Callable[[int], str]) -> None:
        self._folder = folder
        self._advance = advance
        self._source = source
        self._images = [name for name, how in measurable(folder.row_type).items() if how.kind == "image"]
        self._model: Model[Any, Any] = folder.start()
        self.rows: list[Mapping[str, Any]] = []
        self.answers: list[BaseModel] = []
        self.places: list[int] = []
        """Which of the given rows each of them is."""
        self._given = 0
        self.refused = 0
        self.why = ""

    def ask(self, given: Sequence[Mapping[str, Any]]) -> None:
        """Ask one batch. Rows that the type or the model refuses are counted."""
        batch = []
        for place, one in enumerate(given, self._given):
            try:
                batch.append((place, golden.parsed(one, self._folder.row_type)))
            except errors.Invalid as problem:
                self._refuse(place, problem)
        try:
            self._answer(batch)
        except errors.ModelFailed:
            for row in batch:  # one bad row fails its batch, as in the service only itself
                try:
                    self._answer([row])
                except errors.ModelFailed as problem:
                    self._refuse(row[0], problem)
        self._given += len(given)
        self._advance(len(given))

    def _answer(self, batch: list[tuple[int, BaseModel]]) -> None:
        if batch:
            asked = [row for _, row in batch]
            self.answers += rows.answer(self._model, asked)
            self.rows += with_looks([vars(row) for row in asked], self._images)
            self.places += [place for place, _ in batch]

    def _refuse(self, place: int, problem: errors.FairleadError) -> None:
        self.refused += 1
        self.why = self.why or ": ".join(filter(None, [self._source(place), problem.message]))


def _of_fields(
    fields: Mapping[str, Measured], rows: Sequence[Mapping[str, Any]], other: Profile | None
) -> tuple[list[Feature], list[VectorFeature], dict[str, str]]:
    """The features of all fields, the vectors, and why some fields have none."""
    features: list[Feature] = []
    vectors: list[VectorFeature] = []
    left_out = {}
    for name, how in fields.items():
        values = [row[name] for row in rows]
        made = _vector(name, how, values, other) if how.size > WIDE else _features(name, how, values)
        if isinstance(made, str):
            left_out[name] = made
        elif isinstance(made, VectorFeature):
            vectors.append(made)
        elif len(features) + len(made) > MAX_FEATURES:
            left_out[name] = f"a profile has at most {MAX_FEATURES} features; name others with --feature"
        else:
            features += made
    left_out |= {one.field: f"a profile has at most {MAX_VECTORS} vectors" for one in vectors[MAX_VECTORS:]}
    return features, vectors[:MAX_VECTORS], left_out


def _features(name: str, how: Measured, values: Sequence[Any]) -> list[Feature] | str:
    """The features of one field, or why there are none."""
    label = f"row.{name}" if name in ANSWERS else name
    if how.kind == "category":
        return [bins.category_feature(label, name, values, how.choices)]
    if how.kind == "text":
        different = {value for value in values if value is not None}
        if len(different) <= max(_FREE_TEXT, len(values) / 2):
            return [bins.category_feature(label, name, values)]
        return _described(label, name, {"length": lengths(values), **_named(TEXT_SHAPES, shapes(values))})
    if how.kind == "image":
        return _described(label, name, _named(IMAGE_LOOKS, looks(values)), how.pixels)
    numbers = bins.as_numbers(values)
    if not np.isfinite(numbers).any():
        return "it is always missing in the data"
    if how.kind == "number":
        return [bins.number_feature(label, name, bins.number_edges(numbers), numbers)]
    columns = [numbers[:, place] for place in range(how.size)]
    return [
        bins.number_feature(f"{label}[{place}]", name, bins.number_edges(column), column, place=place)
        for place, column in enumerate(columns)
    ]


def _named(names: Sequence[str], matrix: Floats) -> dict[str, Floats]:
    return dict(zip(names, matrix.T, strict=True))


def _described(label: str, name: str, found: Mapping[str, Floats], pixels: str = "") -> list[Feature] | str:
    """A feature for each descriptor of a text or an image that is known of the data."""
    made: list[Feature] = [
        bins.number_feature(
            f"{label}.{of}", name, bins.number_edges(column), column, of=of, pixels=pixels if of in PIXEL_LOOKS else ""
        )
        for of, column in found.items()
        if np.isfinite(column).any()
    ]
    return made or "it is always missing in the data"


def _vector(name: str, how: Measured, values: Sequence[Any], other: Profile | None) -> VectorFeature | str:
    """The feature of a field with a long list of numbers, or why there is none."""
    if how.size > MAX_SIZE:
        return f"it has more than {MAX_SIZE} numbers"
    like = next((one for one in (other.vectors if other else ()) if (one.field, one.size) == (name, how.size)), None)
    label = f"row.{name}" if name in ANSWERS else name
    made = vector_feature(label, name, bins.as_numbers(values), like)
    return "it is always missing in the data" if made is None else made


_SHARE_WITH_ENTROPY = 0.99
"""From which share of the answers on their numbers are taken for probabilities."""


def _answers(said: Sequence[Mapping[str, Any]]) -> list[Feature]:
    """The features of the answers: the class or the number that is predicted, and how sure of a class the model is."""
    scores, entropies = (bins.as_numbers([one[field] for one in said]) for field in (SCORE, ENTROPY))
    known = scores[np.isfinite(scores)]
    is_share = len(known) > 0 and bool(((known >= 0) & (known <= 1)).all())
    labels = [one[LABEL] for one in said]
    features: list[Feature] = []
    if any(label is not None for label in labels):
        different = sorted({label for label in labels if label is not None})
        choices = different if len(different) <= TOP else ()
        features.append(bins.category_feature(PREDICTION, LABEL, labels, choices))
        if is_share:
            features.append(bins.number_feature(CONFIDENCE, SCORE, bins.number_edges(scores), scores))
    elif len(known):
        edges = bins.UNIT_EDGES if is_share else bins.number_edges(scores)
        features.append(bins.number_feature(PREDICTION, SCORE, edges, scores))
    # Numbers that add up to 1 in a few answers only are no probabilities.
    if np.isfinite(entropies).mean() >= _SHARE_WITH_ENTROPY:
        features.append(bins.number_feature(ENTROPY, ENTROPY, bins.number_edges(entropies), entropies))
    return features


def _with_edges(
    features: Sequence[Feature], found: Sequence[Mapping[str, Any]], other: Profile | None
) -> list[Feature]:
    """The features with the bins that the other profile has for them, and these rows in those bins."""
    kept = [
        next((theirs for theirs in (other.every if other else ()) if is_read_like(theirs, one)), None)
        for one in features
    ]
    return [
        one if theirs is None else bins.recounted(theirs, RowCount([theirs])(found).tolist())
        for one, theirs in zip(features, kept, strict=True)
    ]


def _with_halves(features: Sequence[Feature], rows: Sequence[Mapping[str, Any]]) -> list[Feature]:
    """The features with how far the first half of these rows is from the second."""
    count, middle = RowCount(features), len(rows) // 2
    halves = [count.of_each(count(part)) for part in (rows[:middle], rows[middle:])]
    return [
        one.model_copy(update={"halves": round(psi(first, second), 6)})
        for one, first, second in zip(features, *halves, strict=True)
    ]
