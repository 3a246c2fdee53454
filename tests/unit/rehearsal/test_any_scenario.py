"""Any valid scenario can be played, and the engine keeps its guarantees in it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.contracts.action import ActionType
from fairlead.contracts.route import Step, Strategy
from fairlead.contracts.scenario import Behaviour, Event, Expectation, Load, Outcome, Scenario
from fairlead.rehearsal.frames import Run
from fairlead.rehearsal.virtual.run import rehearse
from fairlead.rehearsal.virtual.simulation import play

DURATION_S = 90.0
WEIGHTS = (500, 2500, 5000)
shares = st.sampled_from((0.0, 0.02, 0.5, 1.0))
behaviours = st.builds(
    Behaviour,
    errors=shares,
    rejections=shares,
    instances=st.integers(0, 3),
    golden=st.sampled_from((True, True, False)),
)
moments = st.integers(0, int(DURATION_S)).map(float)
faults = st.sampled_from(("metrics-outage", "gateway-silent", "gateway-restart", "control-plane-outage"))
events = st.one_of(
    st.builds(Event, at=moments, fault=faults),
    st.builds(Event, at=moments, action=st.sampled_from(ActionType)),
    st.builds(Event, at=moments, candidate=behaviours),
    st.builds(Event, at=moments, stable=behaviours),
)
scenarios = st.builds(
    Scenario,
    name=st.just("any"),
    duration=st.just(DURATION_S),
    gateways=st.integers(1, 3),
    load=st.sampled_from((0.0, 3.0, 200.0)).map(lambda rate: (Load(rate=rate),)),
    strategy=st.just(Strategy(steps=tuple(Step(weight=weight, min_duration=10) for weight in WEIGHTS))),
    candidate=behaviours,
    events=st.lists(events, max_size=4).map(tuple),
    expect=st.just((Expectation(never=Outcome.PROMOTED),)),
)


@settings(max_examples=15)
@given(scenario=scenarios, seed=st.integers(0, 1000))
def test_any_scenario_is_played_to_its_end_and_the_weight_rises_one_step_at_a_time(
    scenario: Scenario, seed: int
) -> None:
    found = play(scenario, seed=seed)
    assert [frame.at_s for frame in found.frames] == list(range(int(DURATION_S) + 1))
    ladder = (0, *WEIGHTS, 10_000)
    weights = [frame.weight for frame in found.frames]
    for before, after in zip(weights, weights[1:], strict=False):
        assert after <= before or ladder.index(after) == ladder.index(before) + 1
    assert_no_rollback_by_errors_without_a_failure(found)


def assert_no_rollback_by_errors_without_a_failure(found: Run) -> None:
    by_errors = any(frame.outcome is Outcome.ROLLED_BACK and frame.gate == "errors" for frame in found.frames)
    assert not by_errors or found.counts.candidate_failed


@settings(max_examples=5)
@given(scenario=scenarios, seed=st.integers(0, 1000))
def test_the_same_seed_gives_the_same_result(scenario: Scenario, seed: int) -> None:
    assert rehearse(scenario, seed=seed).to_json() == rehearse(scenario, seed=seed).to_json()
