"""The state of a scenario at a given time: how both versions behave, and how many requests arrive. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import exp

from fairlead.contracts.scenario import Behaviour, Latency, Scenario


class VersionRole(StrEnum):
    """The two versions, by their names in reasons."""

    STABLE = "stable"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True)
class Behaviours:
    """How both versions behave at one time."""

    stable: Behaviour
    candidate: Behaviour

    def of(self, role: VersionRole) -> Behaviour:
        """The behaviour of one version."""
        return self.candidate if role is VersionRole.CANDIDATE else self.stable


def behaviours_at(scenario: Scenario, at_s: float) -> Behaviours:
    """How both versions behave at this time. The candidate has no instance before its startup is over."""
    candidate = _changed(scenario, scenario.candidate, VersionRole.CANDIDATE, at_s)
    if at_s < candidate.startup:
        candidate = candidate.model_copy(update={"instances": 0})
    return Behaviours(_changed(scenario, scenario.stable, VersionRole.STABLE, at_s), candidate)


def rate_at(scenario: Scenario, at_s: float) -> float:
    """Requests per second at this time; before the release, the first rate of the scenario."""
    return [one.rate for one in scenario.load if one.since <= max(0.0, at_s)][-1]


def has_fault(scenario: Scenario, name: str, at_s: float) -> bool:
    """True while the fault lasts."""
    return any(event.fault == name and event.lasts_at(at_s) for event in scenario.events)


def max_instances(scenario: Scenario, role: VersionRole) -> int:
    """The largest number of instances that a version has at any time in the scenario; at least 1."""
    events = scenario.events
    behaviours = (one.both or (one.candidate if role is VersionRole.CANDIDATE else one.stable) for one in events)
    changes = [one.instances for one in behaviours if one is not None and "instances" in one.model_fields_set]
    own = scenario.candidate if role is VersionRole.CANDIDATE else scenario.stable
    return max(1, own.instances, *changes)


def mean_latency(latency: Latency) -> float:
    """The mean of the lognormal distribution, in seconds."""
    return latency.median * exp(latency.sigma**2 / 2)


def _changed(scenario: Scenario, behaviour: Behaviour, role: VersionRole, at_s: float) -> Behaviour:
    for event in sorted(scenario.events, key=lambda one: one.at):
        change = event.both or (event.candidate if role is VersionRole.CANDIDATE else event.stable)
        if change is not None and event.lasts_at(at_s):
            behaviour = behaviour.model_copy(update={name: getattr(change, name) for name in change.model_fields_set})
    return behaviour
