"""Runs a rehearsal in virtual time: takes a scenario and a seed, returns the result."""

from __future__ import annotations

from fairlead.contracts.scenario import Scenario
from fairlead.rehearsal.result import Result, result_of
from fairlead.rehearsal.virtual.simulation import play


def rehearse(scenario: Scenario, *, seed: int) -> Result:
    """Play the scenario and judge it. The same seed always gives the same result."""
    return result_of(play(scenario, seed=seed))
