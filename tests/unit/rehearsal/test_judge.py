"""Expectations are compared with the frames of a run; a judgement says what was seen."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.contracts.scenario import Expectation, Outcome
from fairlead.rehearsal.frames import Frame
from fairlead.rehearsal.judge import Judgement, judge

FRAMES = (
    Frame(0, 0, Outcome.HELD, "ready", "ready: candidate has no ready instance"),
    Frame(10, 500, Outcome.ADVANCING, None, "step 1 of 2 holds for 30s"),
    Frame(20, 2500, Outcome.ADVANCING),
    Frame(30, 0, Outcome.ROLLED_BACK, "errors", "errors: candidate fails more often"),
    Frame(40, 0, Outcome.ROLLED_BACK, "errors", "errors: candidate fails more often"),
)


def judged(**expectation: Any) -> Judgement:
    return judge([Expectation.model_validate(expectation)], FRAMES)[0]


@pytest.mark.parametrize(
    ("expectation", "held"),
    [
        ({"at": 10, "weight": 500}, True),
        ({"at": 19, "weight": 500}, True),
        ({"at": 20, "weight": 500}, False),
        ({"at": 0, "outcome": "held", "gate": "ready"}, True),
        ({"at": 0, "outcome": "held", "gate": "errors"}, False),
        ({"at": 0, "outcome": "held", "reason": "no ready instance"}, True),
        ({"at": 0, "outcome": "held", "reason": "no gateway"}, False),
        ({"by": 20, "weight": 2500}, True),
        ({"by": 40, "weightAtLeast": 2000}, True),
        ({"by": 19, "weightAtLeast": 2000}, False),
        ({"by": 30, "outcome": "rolled-back", "gate": "errors"}, True),
        ({"by": 29, "outcome": "rolled-back"}, False),
        ({"from": 30, "weight": 0}, True),
        ({"from": 20, "weight": 0}, False),
        ({"from": 10, "until": 20, "weightAtLeast": 500}, True),
        ({"from": 0, "weightAtMost": 2500}, True),
        ({"from": 0, "weightAtMost": 2499}, False),
        ({"never": "promoted"}, True),
        ({"never": "rolled-back"}, False),
        ({"never": "rolled-back", "from": 0, "until": 29}, True),
        ({"outcome": "rolled-back"}, True),
        ({"outcome": "promoted"}, False),
        ({"weight": 0}, True),
    ],
)
def test_a_statement_holds_or_not(expectation: dict[str, Any], held: bool) -> None:
    assert judged(**expectation).held is held


@pytest.mark.parametrize(
    ("expectation", "seen"),
    [
        ({"by": 29, "outcome": "promoted"}, "not once; at 20s weight 25 %, advancing"),
        ({"by": 40, "weight": 500}, "at 10s weight 5 %, advancing"),
        ({"outcome": "promoted"}, "weight 0 %, rolled-back: errors: candidate fails more often"),
        ({"from": 0, "weightAtMost": 500}, "at 20s weight 25 %, advancing"),
        ({"never": "promoted"}, "all the time; at 40s weight 0 %, rolled-back by errors"),
    ],
)
def test_a_judgement_shows_the_frame_that_decided_it(expectation: dict[str, Any], seen: str) -> None:
    assert judged(**expectation).seen == seen


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=30), st.integers(0, 10_000))
def test_weight_at_most_holds_exactly_when_no_frame_is_above(weights: list[int], most: int) -> None:
    frames = [Frame(at, weight, Outcome.ADVANCING) for at, weight in enumerate(weights)]
    (found,) = judge([Expectation(since=0, weight_at_most=most)], frames)
    assert found.held == (max(weights) <= most)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=30), st.integers(1, 10_000), st.integers(0, 29))
def test_by_holds_exactly_when_a_frame_until_then_fulfils_it(weights: list[int], least: int, by: int) -> None:
    frames = [Frame(at, weight, Outcome.ADVANCING) for at, weight in enumerate(weights)]
    (found,) = judge([Expectation(by=by, weight_at_least=least)], frames)
    assert found.held == (max(weights[: by + 1]) >= least)
