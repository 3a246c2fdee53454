"""A rehearsal in virtual time: a scenario and a seed in, a result out."""

from __future__ import annotations

from fairlead.contracts.scenario import Scenario
from fairlead.rehearsal.result import Result, judged
from fairlead.rehearsal.virtual.simulation import play


def rehearse(scenario: Scenario, *, seed: int) -> Result:
    """Play the scenario and judge it. The same seed always says the same."""
    return judged(play(scenario, seed=seed))
