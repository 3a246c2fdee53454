"""Calibration: how often a class is right, by the score of its answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.profile.bins import Floats
from fairlead.profile.quality import calibrated, read

ROWS = 20_000


def drawn(chance_of: Floats, seed: int = 1) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray(np.random.default_rng(seed).random(len(chance_of)) < chance_of)


def scores(seed: int = 0) -> Floats:
    return np.random.default_rng(seed).random(ROWS)


def test_probabilities_that_are_calibrated_already_are_taken_as_they_are() -> None:
    given_ = scores()
    curve = calibrated(given_, drawn(given_))
    assert (curve.scores, curve.right) == ((0.0, 1.0), (0.0, 1.0))


def test_the_probability_of_another_class_is_turned_round() -> None:
    given_ = scores()
    curve = calibrated(given_, drawn(1 - given_))
    assert (curve.scores, curve.right) == ((0.0, 1.0), (1.0, 0.0))


@pytest.mark.parametrize("falls", [False, True])
def test_a_model_that_is_too_sure_of_itself_is_calibrated(falls: bool) -> None:
    given_ = scores()
    really = 0.5 + (given_ - 0.5) / 3
    really = 1 - really if falls else really
    curve = calibrated(given_, drawn(really))
    assert np.abs(read(curve, given_) - really).max() < 0.06
    assert np.abs(read(curve, given_) - really).mean() < 0.02


def test_scores_that_are_no_probabilities_are_calibrated() -> None:
    given_ = 10 * scores() - 5
    really = 1 / (1 + np.exp(-given_))
    assert np.abs(read(calibrated(given_, drawn(really)), given_) - really).mean() < 0.02


@given(st.lists(st.tuples(st.floats(-5, 5), st.booleans()), min_size=1, max_size=200))
def test_a_curve_is_monotone_and_has_shares(pairs: list[tuple[float, bool]]) -> None:
    curve = calibrated(np.array([one for one, _ in pairs]), np.array([one for _, one in pairs]))
    steps = np.diff(curve.right)
    assert (steps >= 0).all() or (steps <= 0).all()
    assert all(0 <= one <= 1 for one in curve.right)
