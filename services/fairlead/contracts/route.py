"""`ModelRoute`: what the user wants of a model's public path. The spec is the user's alone."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, ValidationInfo, field_validator, model_validator

from fairlead.contracts.base import Document, Duration, Moment, digest
from fairlead.contracts.gates import GateName as GateName
from fairlead.contracts.gates import GateSpec as GateSpec
from fairlead.contracts.gates import OnInconclusive, OnMetricsUnavailable
from fairlead.contracts.manifest import ModelName, Version

HeaderName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
TOTAL_WEIGHT = 10_000
"""Weights are shares of this; it never changes, or every sticky user would move."""


class VersionRef(Document):
    """One version as the platform knows it: its name and the identity of what is behind the name."""

    version: Version
    identity: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{10}$")]

    def __str__(self) -> str:
        return self.version


class VersionSpec(Document):
    """One immutable version. On a laptop `source` is the model folder; in a cluster `image` is pinned by digest."""

    source: str | None = None
    """The model folder, on a laptop only."""
    image: str = ""
    """The container image, pinned by digest: `registry/name@sha256:...`."""
    artifact: str = ""
    """SHA-256 of the model's artifact."""
    instances: Annotated[int, Field(ge=1, le=64)] = 1
    """How many run where nothing scales them."""

    def ref(self, version: str) -> VersionRef:
        """The identity: a changed image or artifact under the same name is another version."""
        return VersionRef(version=version, identity=digest("\n".join((version, self.image, self.artifact)))[:10])


class Target(Document):
    """Which version the route should serve. A release changes only this."""

    version: Version
    """One of the keys of `versions`."""


class Sticky(Document):
    """Requests with the same value of this header get the same version for as long as an attempt lasts."""

    header: HeaderName = "x-user-id"
    """The request header that names the user; lower case."""


class Timeouts(Document):
    """`request` bounds the whole answer; `perTry` only the candidate's share, and must exceed stable's p99.9."""

    request: Duration = 10.0
    """How long a whole answer may take."""
    per_try: Duration = 2.0
    """How long the candidate may take before stable answers instead; above 0 and at most `request`."""

    @model_validator(mode="after")
    def _try_fits(self) -> Self:
        if not 0 < self.per_try <= self.request:
            raise ValueError("perTry must be above 0 and at most request")
        return self


class MirrorSpec(Document):
    """A version that gets copies of requests; its answers reach nobody. `share` is in 1/10,000 of the traffic."""

    version: Version
    """One of the keys of `versions`."""
    share: Annotated[int, Field(ge=1, le=TOTAL_WEIGHT)] = TOTAL_WEIGHT
    """How much of the traffic is copied, in 1/10,000."""


class Step(Document):
    """One weight of the candidate, in 1/10,000, and how long it holds at least; `approval` waits for a person."""

    weight: Annotated[int, Field(ge=1, le=TOTAL_WEIGHT)]
    """The candidate's share of the requests, in 1/10,000."""
    min_duration: Duration = 30.0
    """How long this weight holds at least."""
    approval: bool = False
    """Whether a person must approve before the next step."""


class WarmUp(Document):
    """What a candidate must do before any weight: become ready in time, then answer its golden rows."""

    deadline: Duration = 600.0
    """How long it may take to become ready."""
    soak: Duration = 0.0
    """How long it must have stayed ready before its first weight."""
    restart: Duration = 60.0
    """How long a candidate that has weight may have no ready instance: a restart is not yet a failure."""
    smoke: bool = True
    """Whether the golden rows are asked through the gateway before the first weight."""
    exclude: Duration = 30.0
    """For how long after another instance became ready latency is not judged: it is cold."""


class ShadowSpec(Document):
    """A step before the first weight: the candidate answers copies of requests, and nobody gets its answers."""

    share: Annotated[int, Field(ge=1, le=TOTAL_WEIGHT)] = TOTAL_WEIGHT
    """How much of the traffic is copied, in 1/10,000."""
    min_duration: Duration = 60.0
    """How long it lasts at least."""
    min_pairs: Annotated[int, Field(ge=1, le=10**9)] = 200
    """How many requests both versions must have answered."""


class Strategy(Document):
    """How a release goes from nothing to everything."""

    warm_up: WarmUp = WarmUp()
    """What comes before any weight."""
    shadow: ShadowSpec | None = None
    """Copies of requests before the first weight, judged by the gate `agreement`; null for none."""
    steps: Annotated[tuple[Step, ...], Field(max_length=32)] = (
        Step(weight=500),
        Step(weight=2500),
        Step(weight=5000),
    )
    """The weights on the way to everything, rising. An empty list promotes at once."""
    gates: Annotated[tuple[GateSpec, ...], Field(max_length=16)] = (
        GateSpec(name="ready"),
        GateSpec(name="smoke"),
        GateSpec(name="acknowledged", role="signal"),
        GateSpec(name="capacity", role="signal"),
        GateSpec(name="errors"),
        GateSpec(name="starved"),
        GateSpec(name="rejections"),
    )
    """Changes to how gates are asked: one that is not named is asked as it is here, and `latency` only when named."""
    preset: Literal["quick", "strict"] = "quick"
    """When a step may end: `quick` when nothing speaks for harm, `strict` when safety is shown."""
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    """The chance that evidence rolls back a candidate that is no worse, over the whole release."""
    beta: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """The chance that a candidate that is unacceptably worse is called safe (preset strict)."""
    min_requests: Annotated[int, Field(ge=0, le=10**9)] = 20
    """How many requests the candidate must have answered in each step."""
    min_windows: Annotated[int, Field(ge=1, le=240)] = 10
    """In how many windows of a step both versions must have answered (preset strict)."""
    on_inconclusive: OnInconclusive = OnInconclusive()
    """What happens when a step stays undecided."""
    on_metrics_unavailable: OnMetricsUnavailable = OnMetricsUnavailable()
    """What happens when nothing can be counted."""
    rollback_window: Duration = 3600.0
    """How long the version before stays running after a promotion, ready for one command back."""

    @field_validator("gates")
    @classmethod
    def _has_something_to_judge(cls, gates: tuple[GateSpec, ...], info: ValidationInfo) -> tuple[GateSpec, ...]:
        if "shadow" in info.data and info.data["shadow"] is None and any(one.name == "agreement" for one in gates):
            raise ValueError("gate 'agreement' judges mirrored answers, and nothing is mirrored: set strategy.shadow")
        return gates

    @model_validator(mode="after")
    def _steps_rise(self) -> Self:
        weights = [step.weight for step in self.steps]
        if weights != sorted(set(weights)):
            raise ValueError("steps must rise: each weight above the one before")
        names = [gate.name for gate in self.gates]
        if len(names) != len(set(names)):
            raise ValueError("each gate may be named once")
        return self


class RouteSpec(Document):
    """The whole wish: which versions exist, which one is the target, and how to get there."""

    model: ModelName
    """The model's name, a part of its public path. Of two routes for one model the oldest serves it."""
    versions: Annotated[dict[Version, VersionSpec], Field(min_length=1, max_length=64)]
    """The versions there are, by name. Editing one under its name makes another version of it."""
    target: Target
    sticky: Sticky | None = Sticky()
    """How a user keeps a version; null draws every request anew."""
    timeouts: Timeouts = Timeouts()
    idempotent: bool = True
    """Whether asking twice is the same as asking once; false switches the gateway's retries off."""
    mirrors: Annotated[tuple[MirrorSpec, ...], Field(max_length=8)] = ()
    """Versions that get copies of requests."""
    strategy: Strategy = Strategy()

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        if self.target.version not in self.versions:
            raise ValueError(f"target {self.target.version!r} is not one of versions: {', '.join(self.versions)}")
        for mirror in self.mirrors:
            if mirror.version not in self.versions:
                raise ValueError(f"mirror {mirror.version!r} is not one of versions: {', '.join(self.versions)}")
        return self

    @property
    def wanted(self) -> VersionRef:
        """The target's identity."""
        return self.versions[self.target.version].ref(self.target.version)


class Route(Document):
    """A stored `ModelRoute`. `generation` counts spec changes, `resource_version` every write."""

    namespace: str = "default"
    name: ModelName
    generation: int = 1
    resource_version: int = 0
    created_at: Moment
    actor: str = ""
    """Who last changed the spec, and why: they become the actor and reason of the revision it causes."""
    reason: str = ""
    annotations: dict[str, str] = {}
    spec: RouteSpec
