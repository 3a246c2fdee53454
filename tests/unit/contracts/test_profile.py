from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fairlead import errors
from fairlead.contracts import profile
from fairlead.contracts.profile import CategoryFeature, NumberFeature, Profile

NUMBER = NumberFeature(name="age", field="age", edges=(0.0, 1.5, 3.0), counts=(0, 3, 6, 1, 0), critical=18.467)
CATEGORY = CategoryFeature(
    name="city", field="city", values=("Ulm", "Bonn"), named=True, counts=(6, 3, 0, 0, 1), critical=18.467
)
ONE = Profile(model="m", version="1", rows=10, features=(NUMBER, CATEGORY))
SLICE = {
    "name": "big", "field": "age", "values": [], "start": 2.0, "end": None, "rows": 2,
    "counts": [[0, 0, 2, 0, 0], [2, 0, 0, 0, 0]],
}  # fmt: skip


def refused(**changes: Any) -> str:
    data = ONE.to_json()
    data["features"][0] |= changes.pop("number", {})
    data["features"][1] |= changes.pop("category", {})
    with pytest.raises(errors.Invalid) as caught:
        profile.of_text(json.dumps(data | changes), "profile.json")
    return caught.value.message


def test_the_same_profile_gives_the_same_bytes_and_reads_back_equal() -> None:
    text = profile.to_text(ONE)
    assert profile.of_text(text, "profile.json") == ONE
    assert profile.to_text(profile.of_text(text, "profile.json")) == text
    assert list(json.loads(text)) == sorted(json.loads(text))


def test_bins_are_named_by_their_number_or_by_their_value() -> None:
    assert NUMBER.bins == ("lo", "00", "01", "hi", "na")
    assert CATEGORY.bins == ("Ulm", "Bonn", "other", "new", "na")
    assert CATEGORY.model_copy(update={"named": False}).bins == ("v00", "v01", "other", "new", "na")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"number": {"edges": [0, 3, 3]}}, "edges must ascend"),
        ({"number": {"critical": float("inf")}}, "critical"),
        ({"number": {"counts": [10**400, 0, 0, 0, 0]}}, "counts.0"),
        ({"rows": 2**53 + 1}, "rows"),
        ({"answers": [NUMBER.to_json() | {"name": "prediction"}]}, "an answer has a label, a category, and a score"),
        ({"number": {"edges": [0, 3]}}, "age: 5 counts for 4 bins"),
        ({"number": {"counts": [0, 3, 6, 1, 1]}}, "age: the counts add up to 11, not to 10 rows"),
        ({"number": {"counts": [-1, 4, 6, 1, 0]}}, "counts.0"),
        ({"number": {"name": "city"}}, "there are two features 'city'"),
        ({"category": {"values": ["Ulm", "Ulm"]}}, "name a value twice"),
        ({"category": {"values": ["Ulm", "new"]}}, "cannot be the name of a bin"),
        ({"schema": 2}, "schema 2 is not known to this release"),
        ({"features": []}, "features"),
        ({"rows": 0}, "rows"),
        ({"odd": 1}, "unknown field"),
        ({"slices": [SLICE | {"counts": [[0, 2, 0, 0, 0]]}]}, "slice big: its counts have other bins"),
        ({"slices": [SLICE | {"rows": 3}]}, "slice big: the counts of a feature do not add up to its 3 rows"),
        ({"slices": [SLICE, SLICE]}, "there are two slices 'big'"),
        ({"slices": [SLICE | {"values": ["Ulm"]}]}, "a slice has either values or a range"),
        ({"slices": [SLICE | {"end": 1}]}, "the range of a slice must ascend"),
        ({"slices": [SLICE | {"name": f"s{number}"} for number in range(9)]}, "slices"),
    ],
)
def test_a_profile_that_contradicts_itself_is_refused_with_a_sentence(changes: dict[str, Any], why: str) -> None:
    assert why in refused(**changes)


@pytest.mark.parametrize("field", ["prediction", "label"])
def test_a_number_of_an_answer_is_its_score(field: str) -> None:
    answer = NUMBER.to_json() | {"name": "prediction", "field": field}
    assert "an answer has a label, a category, and a score, a number" in refused(answers=[answer])


def test_text_that_is_no_profile_is_refused() -> None:
    for text, why in (("{", "not JSON"), ("x" * (profile.MAX_BYTES + 1), "more than 200000 bytes")):
        with pytest.raises(errors.Invalid, match=why):
            profile.of_text(text, "profile.json")


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_text_that_is_nested_too_deeply_is_refused(opening: str) -> None:
    with pytest.raises(errors.Invalid, match="nested too deeply"):
        profile.of_text(opening * 30_000, "profile.json")


def test_a_file_is_refused_by_its_size_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "profile.json"
    with file.open("wb") as opened:
        opened.truncate(1 << 40)  # sparse: to read it all would need a terabyte
    with pytest.raises(errors.Invalid, match="more than 200000 bytes"):
        profile.read(file, "profile.json")


@pytest.mark.parametrize(
    ("content", "kind", "why"),
    [
        (None, errors.NotFound, "there is no such file"),
        (b"{", errors.Invalid, "not JSON"),
        (b"\xff", errors.Invalid, "not UTF-8"),
        (b"[" * 30_000, errors.Invalid, "nested too deeply"),
        (b'{"schema": 2}', errors.Invalid, "schema 2 is not known"),
    ],
    ids=["none", "cut", "bytes", "deep", "newer"],
)
def test_a_file_that_is_no_profile_is_refused_with_the_hint_of_the_reader(
    content: bytes | None, kind: type[errors.FairleadError], why: str, tmp_path: Path
) -> None:
    file = tmp_path / "profile.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(kind, match=f"the reference.*{why}") as refused:
        profile.read(file, "the reference", "Build it: here.")
    assert str(refused.value.hint).endswith("Build it: here.")
    with pytest.raises(kind) as refused:
        profile.read(file, "profile.json")
    assert "fairlead profile build DIR --data FILE" in str(refused.value.hint)


def test_a_directory_is_no_profile(tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match="Is a directory"):
        profile.read(tmp_path, "profile.json")


def test_only_the_bins_decide_whether_counts_can_be_compared() -> None:
    other = ONE.model_copy(update={"version": "2", "rows": 20})
    moved = NUMBER.model_copy(update={"edges": (0.0, 1.6, 3.0)})
    assert other.edges_digest == ONE.edges_digest
    assert ONE.model_copy(update={"features": (moved, CATEGORY)}).edges_digest != ONE.edges_digest


def test_a_profile_that_is_too_large_is_not_written() -> None:
    tail = tuple(f"{number:064}" for number in range(100))
    wide = CATEGORY.model_copy(update={"tail": tail})
    features = tuple(wide.model_copy(update={"name": f"f{number}"}) for number in range(40))
    with pytest.raises(errors.Invalid, match="more than 200000"):
        profile.to_text(ONE.model_copy(update={"features": features}))


def test_a_profile_without_slices_is_written_as_releases_read_it_that_know_of_none() -> None:
    assert "slices" not in ONE.to_json()
    assert ONE.model_validate(ONE.to_json() | {"slices": [SLICE]}).to_json()["slices"] == [SLICE]


def test_counts_of_two_versions_can_be_compared_if_their_slices_are_the_same() -> None:
    def edges(**changes: Any) -> str:
        return ONE.model_validate(ONE.to_json() | {"slices": [SLICE | changes]}).edges_digest

    assert edges() == edges(rows=1, counts=[[0, 1, 0, 0, 0], [1, 0, 0, 0, 0]])
    assert len({ONE.edges_digest, edges(), edges(name="other"), edges(start=1.0)}) == 4


def test_more_bins_than_a_service_should_have_are_refused() -> None:
    many = [
        NUMBER.to_json() | {"name": f"n{at}", "edges": list(range(25)), "counts": [10] + [0] * 26} for at in range(100)
    ]
    part = SLICE | {"counts": [[2] + [0] * 26] * 100}
    with pytest.raises(errors.Invalid, match="have 5400 bins together, more than 5000"):
        profile.of_text(json.dumps(ONE.to_json() | {"features": many, "slices": [part]}), "profile.json")
