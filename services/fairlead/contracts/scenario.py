"""Scenario files of `fairlead rehearse`: strategy, traffic, faults, and the expected course of the rollout.

Times are relative to the release. Weights are in 1/10,000, as in the strategy of the same file.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from fairlead.contracts.action import ActionType
from fairlead.contracts.base import Document, Duration, format_duration
from fairlead.contracts.gates import MEASURED, GateName
from fairlead.contracts.route import TOTAL_WEIGHT, Strategy, Timeouts, parse_share

MAX_DURATION_S = 86_400.0
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[int, Field(ge=0, le=TOTAL_WEIGHT), BeforeValidator(parse_share)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]


class Outcome(StrEnum):
    """The states of a rollout."""

    ADVANCING = "advancing"
    """In progress; the weight rises when the step's minimum duration is over."""
    HELD = "held"
    """In progress, but a gate, a pause or a missing approval keeps the weight from rising."""
    PROMOTED = "promoted"
    """The candidate serves all requests."""
    ROLLED_BACK = "rolled-back"
    """The candidate serves no requests, and the engine does not try it again by itself."""


class Latency(Document):
    """The latency distribution: lognormal."""

    median: Annotated[Duration, Field(gt=0, le=60)] = 0.01
    """The median."""
    sigma: Annotated[float, Field(ge=0, le=3)] = 0.5
    """The standard deviation of the logarithm. With 0.5, 1 % of the responses take longer than 3.2 medians."""


class Behaviour(Document):
    """How a version responds. In an event, fields that are not given keep their values."""

    errors: Share = 0.0
    """The share of attempts answered with 5xx."""
    rejections: Share = 0.0
    """The share of requests answered with 4xx, as after a field was renamed."""
    latency: Latency = Latency()
    """The latency distribution."""
    instances: Annotated[int, Field(ge=0, le=64)] = 1
    """How many instances become ready; 0 for a version that never becomes ready."""
    startup: Duration = 5.0
    """How long after the release the candidate's instances become ready. Those of stable are ready from the start."""
    golden: bool = True
    """Whether the golden rows get the expected answers."""


class Load(Document):
    """A request rate from a given time on. Requests arrive at random, independently of each other."""

    since: Annotated[Duration, Field(alias="from")] = 0.0
    """When this rate begins."""
    rate: Annotated[float, Field(ge=0, le=100_000)]
    """Requests per second."""


def _as_steps(value: Any) -> Any:
    """`load: 50` is short for one rate from the beginning."""
    return [{"rate": value}] if isinstance(value, int | float) and not isinstance(value, bool) else value


class Event(Document):
    """A change at a given time. It lasts until `until`, or to the end."""

    at: Duration
    """When it begins."""
    until: Duration | None = None
    """When it ends."""
    fault: Literal["metrics-outage", "gateway-silent", "gateway-restart", "control-plane-outage"] | None = None
    """A fault. metrics-outage: no counters are reported. gateway-silent: one gateway does not respond at all.
    gateway-restart: one gateway restarts with its counters at 0. control-plane-outage: the control plane stops, and
    restarts with only the contents of its store."""
    candidate: Behaviour | None = None
    """The candidate's behaviour changes."""
    stable: Behaviour | None = None
    """Stable's behaviour changes."""
    both: Behaviour | None = None
    """The behaviour of both changes, as in an incident of a shared dependency."""
    action: ActionType | None = None
    """A user requests an action."""

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        named = [name for name in ("fault", "candidate", "stable", "both", "action") if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(
                f"give exactly one of fault, candidate, stable, both, action; given: {', '.join(named) or 'none'}"
            )
        if self.until is None:
            return self
        if self.action is not None or self.fault == "gateway-restart":
            raise ValueError(f"{self.action or self.fault} has no duration: leave out until")
        if self.until <= self.at:
            raise ValueError("until must be after at")
        return self

    def lasts_at(self, moment: float) -> bool:
        """Whether the event is in effect at this time."""
        return self.at <= moment and (self.until is None or moment < self.until)


class Expectation(Document):
    """One condition on weight or outcome, at a given time or over an interval. Without a time: at the end."""

    at: Duration | None = None
    """The condition is true at this time."""
    by: Duration | None = None
    """The condition becomes true at this time or earlier."""
    since: Annotated[Duration | None, Field(alias="from")] = None
    """The condition is true from this time on, until `until` or the end."""
    until: Duration | None = None
    """The end of the interval that begins at `from`."""
    weight: Weight | None = None
    """The candidate's weight equals this."""
    weight_at_least: Weight | None = None
    """The candidate's weight is at least this. After promotion it is 10,000."""
    weight_at_most: Weight | None = None
    """The candidate's weight is at most this."""
    outcome: Outcome | None = None
    """The rollout is in this state."""
    never: Outcome | None = None
    """The rollout is never in this state."""
    gate: GateName | None = None
    """With `outcome: held` or `rolled-back`: the gate that held or rolled back."""
    reason: str | None = None
    """With `outcome`: a part of the reason in the status or the ledger."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        given = [
            name
            for name in ("weight", "weight_at_least", "weight_at_most", "outcome", "never")
            if getattr(self, name) is not None
        ]
        if len(given) != 1:
            raise ValueError("give exactly one of weight, weightAtLeast, weightAtMost, outcome, never")
        if self.outcome is None and (self.gate or self.reason):
            raise ValueError("gate and reason need an outcome")
        if self.gate is not None and self.outcome not in (Outcome.HELD, Outcome.ROLLED_BACK):
            raise ValueError("gate needs outcome held or rolled-back")
        return self

    @model_validator(mode="after")
    def _at_one_time(self) -> Self:
        times = [one for one in (self.at, self.by, self.since) if one is not None]
        if len(times) > 1:
            raise ValueError("give only one of at, by, from")
        if self.until is not None and (self.since is None or self.until <= self.since):
            raise ValueError("until needs an earlier from")
        if self.never is not None and (self.at is not None or self.by is not None):
            raise ValueError("never needs an interval: give from and until, or no time for the whole rehearsal")
        if self.by is not None and (self.weight == 0 or self.weight_at_most is not None):
            raise ValueError("the weight is 0 at the release, so this is true at once: use from instead of by")
        return self

    @property
    def last(self) -> float:
        """The latest time that it names."""
        return max(one for one in (self.at, self.by, self.since, self.until, 0.0) if one is not None)

    def __str__(self) -> str:
        return f"{self._when()}: {self._what()}"

    def _when(self) -> str:
        if self.at is not None:
            return f"at {format_duration(self.at)}"
        if self.by is not None:
            return f"by {format_duration(self.by)}"
        if self.since is not None:
            until = f" until {format_duration(self.until)}" if self.until is not None else " on"
            return f"from {format_duration(self.since)}{until}"
        return "always" if self.never is not None else "at the end"

    def _what(self) -> str:
        if self.never is not None:
            return f"not {self.never}"
        if self.outcome is not None:
            by = f" by {self.gate}" if self.gate else ""
            return f"{self.outcome}{by}" + (f', saying "{self.reason}"' if self.reason else "")
        word, weight = next(
            (word, weight)
            for word, weight in (
                ("", self.weight),
                ("at least ", self.weight_at_least),
                ("at most ", self.weight_at_most),
            )
            if weight is not None
        )
        return f"weight {word}{weight * 100 / TOTAL_WEIGHT:g} %"


class Scenario(Document):
    """A whole scenario file of `fairlead rehearse`."""

    name: Name
    """The scenario's name in reports."""
    description: str = ""
    """What the scenario shows, in one sentence."""
    duration: Annotated[Duration, Field(gt=0, le=MAX_DURATION_S)]
    """How long the rehearsal runs, in virtual time."""
    seed: Annotated[int, Field(ge=0)] = 1
    """The random seed: the same seed gives the same run."""
    strategy: Strategy = Strategy()
    """The same section as in a route."""
    timeouts: Timeouts = Timeouts()
    """The same section as in a route. After `perTry` stable is asked too, and has the rest of `request`."""
    gateways: Annotated[int, Field(ge=1, le=16)] = 1
    """How many gateways share the load."""
    load: Annotated[tuple[Load, ...], BeforeValidator(_as_steps), Field(min_length=1, max_length=64)]
    """Requests per second: one number, or a list of rates with the times at which they begin."""
    stable: Behaviour = Behaviour()
    """The behaviour of the stable version."""
    candidate: Behaviour = Behaviour()
    """The behaviour of the candidate."""
    events: Annotated[tuple[Event, ...], Field(max_length=64)] = ()
    """Faults, changes of behaviour and actions."""
    expect: Annotated[tuple[Expectation, ...], Field(min_length=1, max_length=64)]
    """The conditions that the rehearsal checks."""

    @field_validator("strategy")
    @classmethod
    def _is_played(cls, strategy: Strategy) -> Strategy:
        if strategy.shadow is not None:
            raise ValueError("shadow: answers in a rehearsal have no content to compare; leave it out")
        if any(gate.name == "classes" for gate in strategy.gates):
            raise ValueError("gates: answers in a rehearsal have no classes; leave 'classes' out")
        if told := next((gate.name for gate in strategy.gates if gate.name in MEASURED and gate.role != "off"), None):
            raise ValueError(f"gates: versions in a rehearsal count nothing of themselves; leave {told!r} out")
        return strategy

    @model_validator(mode="after")
    def _fits_the_time(self) -> Self:
        moments = [one.since for one in self.load]
        if moments[0] != 0 or moments != sorted(set(moments)):
            raise ValueError("load must begin at 0s, and its times must be in ascending order")
        if self.stable.instances == 0:
            raise ValueError("stable must have an instance at the release; an event may remove it later")
        late = next((f"events.{at}" for at, one in enumerate(self.events) if one.at > self.duration), None)
        late = late or next((f"expect.{at}" for at, one in enumerate(self.expect) if one.last > self.duration), None)
        if late is not None:
            raise ValueError(f"{late} is after the end: the duration is {format_duration(self.duration)}")
        return self
