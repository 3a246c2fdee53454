"""Which bins a profile gets from rows, and what is told of those that are not in it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fairlead import errors
from fairlead.contracts.profile import MAX_FEATURES, CategoryFeature, NumberFeature, Profile, to_text
from fairlead.contracts.quality import ClassQuality
from fairlead.profile import bins
from fairlead.serving.formats.folder import load_folder
from fairlead.serving.reference.build import Built, build, save, write_profile
from support import folders

CODE = """
from typing import Annotated, Literal
from pydantic import BaseModel, Field
import fairlead

class Row(BaseModel):
    age: float | None = None
    city: Literal["Ulm", "Bonn"]
    note: str = ""
    shape: Annotated[list[float], Field(min_length=2, max_length=2)] = [0.0, 0.0]
    prediction: int = 0
    empty: float | None = None
    tags: list[str] = []

class Answer(BaseModel):
    label: str
    probabilities: list[float]

class Doubler(fairlead.Model[Row, Answer]):
    def predict(self, rows: list[Row]) -> list[Answer]:
        if any(row.prediction == 13 for row in rows):
            raise ValueError("no thirteen")
        share = [(row.age or 0) / 100 for row in rows]
        return [Answer(label="old" if one > 0.5 else "young", probabilities=[one, 1 - one]) for one in share]
"""


def folder(path: Path, **changes: Any) -> Path:
    return folders.make(path / "m", code=CODE, artifact=None, golden=(), **changes)


def some(count: int = 200) -> list[dict[str, Any]]:
    return [
        {
            "age": None if number % 10 == 0 else number % 100,
            "city": "Ulm" if number % 4 else "Bonn",
            "note": f"note {number}",
            "shape": [number, -number],
            "prediction": number % 3,
        }
        for number in range(count)
    ]


def built(path: Path, rows: list[dict[str, Any]] | None = None, **options: Any) -> Built:
    return build(load_folder(folder(path)), some() if rows is None else rows, **options)


def test_every_kind_of_field_becomes_features_and_the_answers_too(tmp_path: Path) -> None:
    found = built(tmp_path)
    names = [one.name for one in found.profile.every]
    assert names == [
        "age", "city", "note.length", "note.words", "note.digits", "note.upper", "note.non_ascii", "note.odd",
        "shape[0]", "shape[1]", "row.prediction", "prediction", "confidence", "entropy"
    ]  # fmt: skip
    assert found.left_out == {
        "tags": "its type is not measured",
        "empty": "it is always missing in the data",
    }
    age, city, *_ = found.profile.features
    assert dict(zip(age.bins, age.counts, strict=True))["na"] == 20
    assert dict(zip(city.bins, city.counts, strict=True)) == {"Ulm": 150, "Bonn": 50, "other": 0, "new": 0, "na": 0}


def test_the_classes_and_the_confidence_are_those_of_the_models_answers(tmp_path: Path) -> None:
    prediction, confidence, entropy = built(tmp_path).profile.answers
    old = sum((row["age"] or 0) > 50 for row in some())
    assert isinstance(prediction, CategoryFeature)
    assert isinstance(confidence, NumberFeature)
    assert dict(zip(prediction.bins, prediction.counts, strict=True))["old"] == old
    sure = [max((row["age"] or 0) / 100, 1 - (row["age"] or 0) / 100) for row in some()]
    assert confidence.counts == tuple(bins.count_numbers(confidence.edges, np.array(sure)))
    assert isinstance(entropy, NumberFeature)
    bits = [0 if one == 1 else -one * math.log2(one) - (1 - one) * math.log2(1 - one) for one in sure]
    assert entropy.counts == tuple(bins.count_numbers(entropy.edges, np.array(bits).round(9)))


def test_a_number_that_is_predicted_has_deciles_or_equal_bins_if_it_is_a_share(tmp_path: Path) -> None:
    doubler = load_folder(folders.make(tmp_path / "m"))
    for rows, edges in (([0.1, 0.3], bins.UNIT_EDGES), ([1.0, 2.0], (2.0, 4.0, 4.000000000000001))):
        (prediction,) = build(doubler, [{"value": value} for value in rows]).profile.answers
        assert isinstance(prediction, NumberFeature)
        assert prediction.edges == edges


def test_the_bins_of_another_version_are_kept_for_what_both_have(tmp_path: Path) -> None:
    first = built(tmp_path / "1").profile
    moved = [row | {"age": (row["age"] or 0) / 2 + 20, "note": "short"} for row in some()]
    second = built(tmp_path / "2", moved, edges_from=first).profile
    assert [one.bins for one in second.answers] == [one.bins for one in first.answers]
    theirs = {one.name: one for one in first.every}
    same = [one.name for one in second.every if one.name in theirs and one.edges_text == theirs[one.name].edges_text]
    assert same == [one.name for one in second.every if one.field != "note"]
    assert second.features[0].counts != first.features[0].counts
    assert sum(second.features[0].counts) == len(moved)


def test_a_field_that_was_not_asked_for_is_not_reported_as_one_that_cannot_be_measured(tmp_path: Path) -> None:
    assert built(tmp_path, only=["city", "empty"]).left_out == {"empty": "it is always missing in the data"}


def test_only_the_named_fields_are_measured(tmp_path: Path) -> None:
    assert [one.name for one in built(tmp_path, only=["city"]).profile.features] == ["city"]
    with pytest.raises(errors.Invalid, match="--feature: 'tags' is no field of a row that can be measured"):
        build(load_folder(tmp_path / "m"), some(), only=["tags"])


def test_rows_that_the_type_or_the_model_refuses_are_not_in_it(tmp_path: Path) -> None:
    rows = [*some(), {"city": "Paris"}, {"city": "Ulm", "prediction": 13}]
    found = built(tmp_path, rows)
    assert (found.profile.rows, found.refused) == (200, 2)
    assert found.why.startswith("city: Input should be 'Ulm' or 'Bonn'")


def test_data_that_the_model_mostly_refuses_is_not_what_clients_send(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match=r"the model answers 200 of 300 rows: city: Input should be"):
        built(tmp_path, [*some(), *[{"city": "Paris"}] * 100])


def test_a_wide_row_is_measured_up_to_the_limit_and_the_rest_is_named(tmp_path: Path) -> None:
    wide = CODE.replace("age: float | None = None", "age: float = 1\n" + "".join(
        f"    f{number}: float = {number}\n" for number in range(MAX_FEATURES)
    ))  # fmt: skip
    found = build(load_folder(folders.make(tmp_path / "m", code=wide, artifact=None, golden=())), some(20))
    assert len(found.profile.features) == MAX_FEATURES
    assert "name others with --feature" in found.left_out["note"]


def test_the_profile_becomes_a_part_of_the_folder_and_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    path = folder(tmp_path)
    first = write_profile(path, some(), data="held-out rows")
    before = (path / "profile.json").read_bytes()
    assert load_folder(path).profile == first
    write_profile(path, some(), data="held-out rows")
    assert (path / "profile.json").read_bytes() == before
    assert (path / "fairlead.yaml").read_text().count("profile:") == 1


def test_the_profile_of_another_artifact_can_be_replaced(tmp_path: Path) -> None:
    path = folder(tmp_path)
    stale = write_profile(path, some()).model_copy(update={"version": "9.9.9"})
    save(path, stale)
    with pytest.raises(errors.Invalid, match=r"the profile of doubler 9\.9\.9"):
        load_folder(path)
    assert isinstance(write_profile(path, some()), Profile)
    load_folder(path)


def test_the_quality_is_that_of_the_rows_that_are_answered_and_have_a_label(tmp_path: Path) -> None:
    rows = some(100)
    rows[3] = {**rows[3], "prediction": 13}
    truth: list[Any] = ["old" if number > 60 else "young" for number in range(100)]
    truth[70] = None
    found = built(tmp_path, rows, truth=truth).profile
    assert isinstance(found.quality, ClassQuality)
    assert found.quality.classes == ("young", "old", "other")
    assert found.quality.outcomes == (51, 2, 0, 9, 36, 0, 0, 0, 0, 0)
    assert found.described.endswith("from 99 rows, 88.8% right")
    assert Profile.model_validate_json(to_text(found)) == found


def test_without_labels_a_profile_is_written_as_releases_read_it_that_know_of_none(tmp_path: Path) -> None:
    assert "quality" not in built(tmp_path).profile.to_json()


@pytest.mark.parametrize(
    ("truth", "why"),
    [
        (["old"], "there are 1 truths for 200 rows"),
        ([None] * 200, "no row has a label"),
        ([[]] * 200, "a label must be a class"),
    ],
)
def test_labels_that_do_not_fit_are_refused(truth: list[Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match=why):
        built(tmp_path, truth=truth)


def test_a_slice_has_its_rows_of_the_reference_in_the_bins_of_all_features(tmp_path: Path) -> None:
    found = built(tmp_path, slices=["old: age=60..", "bonn: city=Bonn"]).profile
    old, bonn = found.slices
    assert (old.rows, bonn.rows) == (sum((row["age"] or 0) >= 60 for row in some()), 50)
    assert dict(zip(found.features[1].bins, bonn.counts[1], strict=True))["Bonn"] == 50
    assert sum(old.counts[-1]) == old.rows
    assert Profile.model_validate_json(to_text(found)) == found
    next_one = built(tmp_path / "2", edges_from=found).profile
    assert next_one.slices == found.slices
    assert next_one.edges_digest == found.edges_digest


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: gone=1..", "slice a: 'gone' is no field that can be measured, and a range is of a number"),
        ("a: age=30", "slice a: 'age' is a number, and values are of a category or a text"),
        ("a: city=1..2", "slice a: 'city' is a category, and a range is of a number"),
        ("a: age=500..", r"no row of the data is in slice a \(age=500..\)"),
    ],
)
def test_a_slice_that_the_rows_do_not_have_is_refused(text: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match=f"--slice: {why}"):
        built(tmp_path, slices=[text])


def test_the_service_refuses_a_profile_whose_slice_is_of_a_field_that_rows_do_not_have(tmp_path: Path) -> None:
    path = folder(tmp_path)
    found = write_profile(path, some(), slices=["old: age=60.."])
    save(path, found.model_copy(update={"slices": (found.slices[0].model_copy(update={"field": "years"}),)}))
    with pytest.raises(errors.Invalid, match=r"slice old: 'years' is no field that can be measured"):
        load_folder(path)


def test_more_features_and_slices_than_a_service_should_count_are_refused(tmp_path: Path) -> None:
    wide = CODE.replace("age: float | None = None", "age: float = 1\n" + "".join(
        f"    f{number}: float = {number}\n" for number in range(MAX_FEATURES)
    ))  # fmt: skip
    loaded = load_folder(folders.make(tmp_path / "m", code=wide, artifact=None, golden=()))
    rows = [
        {**row, **{f"f{at}": number * at for at in range(MAX_FEATURES)}, "age": 1}
        for number, row in enumerate(some(40))
    ]
    parts = [f"s{number}: f1={number}.." for number in range(8)]
    with pytest.raises(errors.Invalid, match="bins together, more than 5000") as refused:
        build(loaded, rows, slices=parts)
    assert refused.value.hint == "Name fewer features with --feature, or declare fewer slices."


WIDE_CODE = CODE.replace(
    'note: str = ""',
    'note: str = ""\n    text: Annotated[list[float], Field(min_length=40, max_length=40)] = [0.0] * 40',
)


def test_a_long_list_of_numbers_is_a_vector_and_the_next_version_has_its_directions(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    rows = [{**row, "text": random.standard_normal(40).tolist()} for row in some()]
    path = folders.make(tmp_path / "m", code=WIDE_CODE, artifact=None, golden=())
    first = write_profile(path, rows)
    (vector,) = first.vectors
    assert (vector.name, vector.size, vector.rows) == ("text", 40, 200)
    assert first.described.startswith("11 features, 1 vector, prediction")
    assert not any(one.field == "text" for one in first.features)
    assert Profile.model_validate_json(to_text(first)) == first
    moved = [{**row, "text": [2 * one for one in row["text"]]} for row in rows]
    second = build(load_folder(path), moved, edges_from=first).profile
    assert (second.vectors[0].scale, second.edges_digest) == (vector.scale, first.edges_digest)
    save(path, first.model_copy(update={"vectors": (vector.model_copy(update={"size": 41}),)}))
    with pytest.raises(
        errors.Invalid, match="vector text: 'text' is a list of 40 numbers, and the profile has a list of"
    ):
        load_folder(path)


def test_a_model_that_gets_only_a_vector_has_a_profile(tmp_path: Path) -> None:
    code = CODE.replace("age: float | None = None", "age: Annotated[list[float], Field(min_length=40, max_length=40)]")
    path = folders.make(tmp_path / "m", code=code.replace("row.age or 0", "row.age[0]"), artifact=None, golden=())
    rows = [{"age": [float(number)] * 40, "city": "Ulm"} for number in range(50)]
    found = build(load_folder(path), rows, only=["age"]).profile
    assert (found.features, found.vectors[0].rows) == ((), 50)
    assert found.described.startswith("no features, 1 vector")
