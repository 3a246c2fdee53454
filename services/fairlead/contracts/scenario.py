"""*Scenario*: a rollout to rehearse: its strategy, the traffic, what goes wrong, and what is expected of it.

Times count from the moment of the release. Weights are in 1/10,000, as in the strategy of the same file.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, field_validator, model_validator

from fairlead.contracts.action import ActionType
from fairlead.contracts.base import Document, Duration, format_duration
from fairlead.contracts.gates import GateName
from fairlead.contracts.route import TOTAL_WEIGHT, Strategy, Timeouts

LONGEST_S = 86_400.0
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[int, Field(ge=0, le=TOTAL_WEIGHT)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$")]


class Outcome(StrEnum):
    """Where a rollout can stand."""

    ADVANCING = "advancing"
    """Under way, and nothing but a step's time keeps the weight from rising."""
    HELD = "held"
    """Under way, and a gate, a pause or an approval keeps the weight from rising."""
    PROMOTED = "promoted"
    """The candidate serves everything."""
    ROLLED_BACK = "rolled-back"
    """The candidate serves nothing, and is not tried again of the engine's own accord."""


class Latency(Document):
    """How long answers take: lognormal."""

    median: Annotated[Duration, Field(gt=0, le=60)] = 0.01
    """Half of the answers are faster."""
    sigma: Annotated[float, Field(ge=0, le=3)] = 0.5
    """The standard deviation of its logarithm: 0.5 puts one answer of a hundred beyond 3.2 medians."""


class Behaviour(Document):
    """How a version answers. In an event, what is not named stays as it was."""

    errors: Share = 0.0
    """The share of attempts that it answers with 5xx."""
    rejections: Share = 0.0
    """The share of requests that it answers with 4xx, as it would a renamed field."""
    latency: Latency = Latency()
    """How long it takes."""
    instances: Annotated[int, Field(ge=0, le=64)] = 1
    """How many of its instances are ready; 0 for one that never gets ready."""
    startup: Duration = 5.0
    """How long after the release the candidate's instances become ready; stable's are there before."""
    golden: bool = True
    """Whether its golden rows are answered as expected."""


class Load(Document):
    """So many requests per second from a moment on; they arrive at random, independently of each other."""

    since: Annotated[Duration, Field(alias="from")] = 0.0
    """The moment."""
    rate: Annotated[float, Field(ge=0, le=100_000)]
    """Requests per second."""


def _as_steps(value: Any) -> Any:
    """`load: 50` is short for one rate from the beginning."""
    return [{"rate": value}] if isinstance(value, int | float) and not isinstance(value, bool) else value


class Event(Document):
    """Something that happens at a moment, or lasts until another (without `until`: to the end)."""

    at: Duration
    """When it begins."""
    until: Duration | None = None
    """When it is over again."""
    fault: Literal["metrics-outage", "gateway-silent", "gateway-restart", "control-plane-outage"] | None = None
    """Something breaks: no counters are told, one gateway does not answer at all, one gateway begins anew with its
    counters at 0, or the control plane is away and comes back with nothing but its store."""
    candidate: Behaviour | None = None
    """The candidate behaves otherwise."""
    stable: Behaviour | None = None
    """Stable behaves otherwise."""
    both: Behaviour | None = None
    """Both do: an incident of what they share."""
    action: ActionType | None = None
    """A person asks for something."""

    @model_validator(mode="after")
    def _one_thing(self) -> Self:
        named = [name for name in ("fault", "candidate", "stable", "both", "action") if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(f"name one of fault, candidate, stable, both, action; here: {', '.join(named) or 'none'}")
        if self.until is None:
            return self
        if self.action is not None or self.fault == "gateway-restart":
            raise ValueError(f"{self.action or self.fault} is over at once: leave out until")
        if self.until <= self.at:
            raise ValueError("until must be after at")
        return self

    def lasts_at(self, moment: float) -> bool:
        """True while it lasts."""
        return self.at <= moment and (self.until is None or moment < self.until)


class Expectation(Document):
    """One statement about weight or outcome, at a moment or over a time. Without a time: about the end."""

    at: Duration | None = None
    """It is so at this moment."""
    by: Duration | None = None
    """It becomes so at this moment or before."""
    since: Annotated[Duration | None, Field(alias="from")] = None
    """It is so from this moment on, until `until` or the end."""
    until: Duration | None = None
    """The end of `from`."""
    weight: Weight | None = None
    """The candidate's share is this."""
    weight_at_least: Weight | None = None
    """The candidate's share is not below this. A promoted one has everything."""
    weight_at_most: Weight | None = None
    """The candidate's share is not above this."""
    outcome: Outcome | None = None
    """The rollout stands here."""
    never: Outcome | None = None
    """The rollout stands here at no moment."""
    gate: GateName | None = None
    """With `outcome: held` or `rolled-back`: the gate that holds or has rolled back."""
    reason: str | None = None
    """With `outcome`: a part of the reason that status or ledger gives."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        said = [
            name
            for name in ("weight", "weight_at_least", "weight_at_most", "outcome", "never")
            if getattr(self, name) is not None
        ]
        if len(said) != 1:
            raise ValueError("say one of weight, weightAtLeast, weightAtMost, outcome, never")
        if self.outcome is None and (self.gate or self.reason):
            raise ValueError("gate and reason belong to an outcome")
        if self.gate is not None and self.outcome not in (Outcome.HELD, Outcome.ROLLED_BACK):
            raise ValueError("a gate belongs to outcome held or rolled-back")
        return self

    @model_validator(mode="after")
    def _at_one_time(self) -> Self:
        times = [one for one in (self.at, self.by, self.since) if one is not None]
        if len(times) > 1:
            raise ValueError("name one of at, by, from")
        if self.until is not None and (self.since is None or self.until <= self.since):
            raise ValueError("until ends a time that begins with from")
        if self.never is not None and (self.at is not None or self.by is not None):
            raise ValueError("never is about a time: name from and until, or nothing")
        if self.by is not None and (self.weight == 0 or self.weight_at_most is not None):
            raise ValueError("at the release the weight is 0, so this is true at once: name from instead of by")
        return self

    @property
    def last(self) -> float:
        """The latest moment that it names."""
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
    """The whole of it, as `fairlead rehearse` reads it."""

    name: Name
    """What it is called in output."""
    description: str = ""
    """What it shows, in a sentence."""
    duration: Annotated[Duration, Field(gt=0, le=LONGEST_S)]
    """How long is played, in virtual time."""
    seed: Annotated[int, Field(ge=0)] = 1
    """What chance begins with: the same seed plays the same."""
    strategy: Strategy = Strategy()
    """The very section of a route."""
    timeouts: Timeouts = Timeouts()
    """The same: an attempt of the candidate that takes longer than `perTry` is answered by stable."""
    gateways: Annotated[int, Field(ge=1, le=16)] = 1
    """How many gateways share the load."""
    load: Annotated[tuple[Load, ...], BeforeValidator(_as_steps), Field(min_length=1, max_length=64)]
    """Requests per second: a number, or several with the moments from which they hold."""
    stable: Behaviour = Behaviour()
    """How the version that serves answers."""
    candidate: Behaviour = Behaviour()
    """How the version that is released answers."""
    events: Annotated[tuple[Event, ...], Field(max_length=64)] = ()
    """What happens meanwhile."""
    expect: Annotated[tuple[Expectation, ...], Field(min_length=1, max_length=64)]
    """What must hold."""

    @field_validator("strategy")
    @classmethod
    def _is_played(cls, strategy: Strategy) -> Strategy:
        if strategy.shadow is not None:
            raise ValueError("shadow: versions in a rehearsal give no answers that could be compared; leave it out")
        if any(gate.name == "classes" for gate in strategy.gates):
            raise ValueError("gates: versions in a rehearsal answer no classes; leave 'classes' out")
        return strategy

    @model_validator(mode="after")
    def _fits_the_time(self) -> Self:
        moments = [one.since for one in self.load]
        if moments[0] != 0 or moments != sorted(set(moments)):
            raise ValueError("load must begin at 0s, and its moments must rise")
        if self.stable.instances == 0:
            raise ValueError("stable must have an instance at the release; an event may take it away")
        late = next((f"events.{at}" for at, one in enumerate(self.events) if one.at > self.duration), None)
        late = late or next((f"expect.{at}" for at, one in enumerate(self.expect) if one.last > self.duration), None)
        if late is not None:
            raise ValueError(f"{late} is about a time after the end: duration is {format_duration(self.duration)}")
        return self
