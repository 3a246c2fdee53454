"""What a scenario says of a moment: how both versions answer, and how many requests come. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fairlead.contracts.scenario import Behaviour, Scenario


class Arm(StrEnum):
    """The two versions, by the names that reasons call them."""

    STABLE = "stable"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True)
class Behaving:
    """How both versions answer just now."""

    stable: Behaviour
    candidate: Behaviour

    def of(self, arm: Arm) -> Behaviour:
        """One of the two."""
        return self.candidate if arm is Arm.CANDIDATE else self.stable


def behaving_at(scenario: Scenario, at_s: float) -> Behaving:
    """Both versions at this moment; the candidate has no instance before its startup is over."""
    candidate = _changed(scenario, scenario.candidate, Arm.CANDIDATE, at_s)
    if at_s < candidate.startup:
        candidate = candidate.model_copy(update={"instances": 0})
    return Behaving(_changed(scenario, scenario.stable, Arm.STABLE, at_s), candidate)


def rate_at(scenario: Scenario, at_s: float) -> float:
    """Requests per second at this moment; before the release, those of its beginning."""
    return [one.rate for one in scenario.load if one.since <= max(0.0, at_s)][-1]


def has_fault(scenario: Scenario, name: str, at_s: float) -> bool:
    """True while it lasts."""
    return any(event.fault == name and event.lasts_at(at_s) for event in scenario.events)


def most_instances(scenario: Scenario, arm: Arm) -> int:
    """How many instances of a version must be there for everything that is said of it; one at least."""
    events = scenario.events
    said = (one.both or (one.candidate if arm is Arm.CANDIDATE else one.stable) for one in events)
    changes = [one.instances for one in said if one is not None and "instances" in one.model_fields_set]
    own = scenario.candidate if arm is Arm.CANDIDATE else scenario.stable
    return max(1, own.instances, *changes)


def _changed(scenario: Scenario, behaviour: Behaviour, arm: Arm, at_s: float) -> Behaviour:
    for event in sorted(scenario.events, key=lambda one: one.at):
        change = event.both or (event.candidate if arm is Arm.CANDIDATE else event.stable)
        if change is not None and event.lasts_at(at_s):
            behaviour = behaviour.model_copy(update={name: getattr(change, name) for name in change.model_fields_set})
    return behaviour
