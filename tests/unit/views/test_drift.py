"""What is said about drift: by the limits of the alerts, with the bins that moved, and never a silent pass."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.contracts.profile import Profile
from fairlead.profile import bins as profile_bins
from fairlead.profile.counted import read
from fairlead.profile.statistics import psi, psi_critical
from fairlead.views import drift_bins
from fairlead.views.drift import Asked, State, Verdict, VersionDrift, version_drift
from support.drift_texts import a_text

CITIES = ["Ulm"] * 400 + ["Bonn"] * 400 + ["Kassel"] * 200
AGES = np.linspace(18, 90, 1000)
PROFILE = Profile(
    model="iris",
    version="1.0.0",
    rows=1000,
    features=(
        profile_bins.number_feature("age", "age", profile_bins.number_edges(AGES), AGES),
        profile_bins.category_feature("city", "city", CITIES, choices=["Ulm", "Bonn", "Kassel"]),
        profile_bins.category_feature("code", "code", CITIES),
    ),
)
AGE, CITY, CODE = PROFILE.every
LIKE = {one.name: [3 * count for count in one.counts] for one in PROFILE.every}


def told(live: dict[str, list[int]], requests: int | None = None, **more: object) -> VersionDrift:
    counted = read(a_text(PROFILE, {**LIKE, **live}, requests))
    return version_drift(Asked("1.0.0", "stable", 1, counted, **more))  # type: ignore[arg-type]


def moved_to_first(feature: str, rows: int) -> list[int]:
    """Two thirds of the rows as the reference, and a third in the first bin that has a value."""
    one = next(one for one in PROFILE.every if one.name == feature)
    counts = [round(count * rows * 2 / 3 / PROFILE.rows) for count in one.counts]
    counts[1 if feature == "age" else 0] += rows // 3
    return counts


def test_rows_like_the_reference_do_not_drift() -> None:
    found = told({})
    assert (found.state, found.summary) == (
        State.MEASURED, "as the reference: none of 3 features moved by more than chance explains"
    )  # fmt: skip
    assert {one.verdict for one in found.parts[0].features} == {Verdict.STEADY}


def test_a_feature_that_drifts_is_first_and_says_which_bin_moved_with_its_statistics() -> None:
    live = moved_to_first("age", 3000)
    (first, *_) = (found := told({"age": live})).parts[0].features
    assert (first.name, first.verdict) == ("age", Verdict.DRIFTS)
    assert first.distance == pytest.approx(psi(live, AGE.counts))
    assert first.chance == pytest.approx(psi_critical(AGE.critical, sum(live), 1000))
    assert first.words[0] == "age 18 to 25.14: 10 % in the reference, 40 % now"
    assert found.summary == "1 of 3 features drifts: age"


def test_with_few_independent_rows_nothing_is_said_to_be_as_the_reference() -> None:
    found = told({}, requests=199)
    assert found.state is State.FEW
    assert found.summary == "not enough rows yet: 199 independent rows, and a PSI needs 200"
    assert {one.verdict for one in found.parts[0].features} == {Verdict.FEW}


def test_with_too_few_rows_for_an_alert_a_feature_has_moved_and_does_not_drift() -> None:
    found = told({"age": moved_to_first("age", 3000)}, requests=500)
    assert found.parts[0].features[0].verdict is Verdict.MOVED
    assert told({"age": moved_to_first("age", 3000)}, requests=501).parts[0].features[0].verdict is Verdict.DRIFTS


def test_values_that_are_missing_or_new_drift_at_a_psi_below_the_floor() -> None:
    for name, at, words in (
        ("city", -1, "city missing"),
        ("city", -2, "city a value that the reference does not have"),
    ):
        live = list(LIKE[name])
        live[at] += 120
        (first, *_) = told({name: live}).parts[0].features
        assert first.verdict is Verdict.DRIFTS
        assert first.words[0] == f"{words}: 0 % in the reference, 4 % now"


def test_what_is_not_known_is_unavailable_and_says_why() -> None:
    known = (
        (Asked("1", "", 0), State.NO_INSTANCE, "no instance"),
        (Asked("1", "", 2), State.UNAVAILABLE, "are being asked"),
        (Asked("1", "", 1, None, ("instance 0: it did not answer",)), State.UNAVAILABLE, "instance 0: it did not"),
        (Asked("1", "", 1, read(a_text(None, {}))), State.NO_PROFILE, "fairlead profile build DIR"),
    )
    for asked, state, words in known:
        found = version_drift(asked)
        assert (found.state, found.parts) == (state, ())
        assert found.summary.startswith("drift unavailable: ")
        assert words in found.summary


def test_an_instance_that_does_not_answer_is_told_beside_the_numbers_of_the_others() -> None:
    counted = read(a_text(PROFILE, LIKE))
    found = version_drift(Asked("1.0.0", "", 3, counted, ("instance 2: it did not answer",)))
    assert found.notes[0] == "2 of 3 instances answered; not in the numbers: instance 2: it did not answer"


def test_bins_have_the_names_of_their_values_only_where_the_profile_names_them() -> None:
    assert [one.name for one in told({}).parts[0].features if one.name == "code"] == ["code"]
    names = {one.name: [each.name for each in one.bins] for one in told({}).parts[0].features}
    assert names["city"][:3] == ["Bonn", "Ulm", "Kassel"]
    assert names["code"][:3] == [f"value number {rank} of the reference" for rank in (1, 2, 3)]
    assert names["age"][0] == "below 18"
    assert names["age"][-2:] == ["above 89.93", "missing"]


def test_integers_are_written_whole_and_a_value_with_a_bin_of_its_own_is_that_value() -> None:
    years = np.array([1900.0] * 300 + [*range(1950, 2020)] * 10)
    one = profile_bins.number_feature("built", "built", profile_bins.number_edges(years), years)
    profile = PROFILE.model_copy(update={"rows": 1000, "features": (one,)})
    (binned,) = read(a_text(profile, {})).features
    names = [each.name for each in drift_bins.bins(binned)]
    assert names[:2] == ["below 1900", "1900"]
    assert names[3].startswith("1959 to 19")


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0 %"), (0.00001, "0.1 %"), (0.004, "0.4 %"), (0.19, "19 %"), (0.9999, "99.9 %"), (1, "100 %")],
)
def test_a_share_that_is_not_none_is_not_written_as_none(share: float, words: str) -> None:
    assert drift_bins.percent(share) == words
