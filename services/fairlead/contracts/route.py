"""`ModelRoute`: the desired state of a model's public path. Only the user writes the spec."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from fairlead.contracts.base import Document, Duration, Moment, digest
from fairlead.contracts.gates import GateName as GateName
from fairlead.contracts.gates import GateSpec as GateSpec
from fairlead.contracts.gates import OnInconclusive, OnMetricsUnavailable
from fairlead.contracts.manifest import ModelName, Version

HeaderName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,63}$")]
TOTAL_WEIGHT = 10_000
"""Weights are fractions of this. It must never change, because every sticky user could get another version."""

LONGEST_WAIT_S = 600.0
"""The longest time that a request may wait for a cold version."""
MOST_WAITING = 512
"""The most requests that may wait for one cold version. It is also what a gateway holds of all models."""

PERCENT = r"^\d{1,3}(\.\d{1,2})? ?%$"
"""A share as people may write it: 10% or 2.5%. Two decimals are 1/10,000."""


def parse_share(value: object) -> object:
    """A share written in percent as a number of 1/10,000; anything else is left to pydantic. Raises ValueError."""
    if not isinstance(value, str):
        return value
    if not re.fullmatch(PERCENT, value):
        raise ValueError(
            f"{value!r} is not a share; write a percentage, such as 10% or 2.5%, or 1/10,000 as a number: 1000"
        )
    return int(Decimal(value.rstrip(" %")) * (TOTAL_WEIGHT // 100))


Share = Annotated[int, Field(ge=1, le=TOTAL_WEIGHT), BeforeValidator(parse_share)]
"""A share of the requests in 1/10,000; files may say 10% instead of 1000. Stored and sent as the number."""


def _only_zero(value: int) -> int:
    if value:
        raise ValueError(
            f"{value} is not possible, only 0: the version may stop while nobody uses it; leave it out if it may not"
        )
    return value


MinInstances = Annotated[
    int, AfterValidator(_only_zero), WithJsonSchema({"type": "integer", "minimum": 0, "maximum": 0})
]
"""0: a version may be cold. No other number says anything: `instances` of them run, or none."""


class VersionRef(Document):
    """A version: its name, and a hash that identifies the image and artifact behind the name."""

    version: Version
    identity: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{10}$")]

    def __str__(self) -> str:
        return self.version


class VersionSpec(Document):
    """One immutable version. Locally `source` is the model folder; in a cluster `image` is pinned by digest."""

    source: str | None = None
    """The model folder, or the platform's own copy of it; only without a cluster."""
    folder: str = ""
    """SHA-256 of the model folder's listing; only without a cluster. Empty: an earlier Fairlead did not compute it."""
    image: str = ""
    """The container image, pinned by digest: `registry/name@sha256:...`."""
    artifact: str = ""
    """SHA-256 of the model's artifact."""
    instances: Annotated[int, Field(ge=1, le=64)] = 1
    """How many instances run without an autoscaler."""
    min_instances: MinInstances | None = None
    """0: none of them runs while nobody uses the version; in a cluster only where nothing else scales it. Null: all
    of them always run."""

    def ref(self, version: str) -> VersionRef:
        """The name with its identity. A changed image, artifact or folder under the same name has another identity."""
        return _ref(version, self.image, self.artifact, self.folder)


# Every tick asks for that of every version many times: it was a tenth of the leader's time with idle routes.
@lru_cache(maxsize=4096)
def _ref(version: str, image: str, artifact: str, folder: str) -> VersionRef:
    # Without a folder's digest the identity is that of every earlier Fairlead, and of every chart.
    parts = (version, image, artifact, *([folder] if folder else []))
    return VersionRef(version=version, identity=digest("\n".join(parts))[:10])


class Target(Document):
    """The version that the route should serve. A release changes only this."""

    version: Version
    """One of the keys of `versions`."""


class Sticky(Document):
    """Requests with the same value of this header get the same version during one attempt."""

    header: HeaderName = "x-user-id"
    """The request header with the user's id; lower case."""


class Timeouts(Document):
    """`request` limits the whole request, `perTry` how long stable waits for the candidate."""

    request: Duration = 10.0
    """Timeout of the whole request."""
    per_try: Duration | None = None
    """After this time stable is asked too. Above 0, at most `request`; null: chosen by stable's latency."""

    @model_validator(mode="after")
    def _try_fits(self) -> Self:
        if self.per_try is not None and not 0 < self.per_try <= self.request:
            raise ValueError("perTry must be above 0 and at most request")
        return self


class ScaleToZero(Document):
    """When a version with `minInstances: 0` becomes cold, and how requests wait until it is started again."""

    after: Annotated[Duration, Field(ge=1)] = 300.0
    """How long nobody must have used the version. At least 1s."""
    wait: Annotated[Duration, Field(gt=0, le=LONGEST_WAIT_S)] = 60.0
    """How long a request waits for it at most; 503 after that. At most 10m."""
    requests: Annotated[int, Field(ge=1, le=MOST_WAITING)] = 100
    """How many requests for one version wait at a time; 503 for all others."""


class MirrorSpec(Document):
    """A version that gets mirrored requests; clients never get its answers. `share` is in 1/10,000 of the traffic."""

    version: Version
    """One of the keys of `versions`."""
    share: Share = TOTAL_WEIGHT
    """How much of the traffic is mirrored, in 1/10,000."""


class Step(Document):
    """One weight of the candidate, and how long it lasts at least."""

    weight: Share
    """The candidate's share of the requests, in 1/10,000."""
    min_duration: Duration = 30.0
    """The minimum duration of this step."""
    approval: bool = False
    """Whether a person must approve the next step."""


class WarmUp(Document):
    """Conditions before the candidate gets weight: it must become ready in time and answer its golden rows."""

    deadline: Duration = 600.0
    """How long it may take to become ready."""
    soak: Duration = 0.0
    """How long it must stay ready before its first weight."""
    restart: Duration = 60.0
    """How long a candidate with weight may have no ready instance, for example during a restart."""
    smoke: bool = True
    """Whether golden rows are sent through the gateway before the first weight."""
    exclude: Duration = 30.0
    """How long latency is not judged after another instance became ready, because that instance is cold."""


class ShadowSpec(Document):
    """A step before the first weight: the candidate gets mirrored requests, and clients do not get its answers."""

    share: Share = TOTAL_WEIGHT
    """How much of the traffic is mirrored, in 1/10,000."""
    min_duration: Duration = 60.0
    """The minimum duration of this step."""
    min_pairs: Annotated[int, Field(ge=1, le=10**9)] = 200
    """How many requests both versions must have answered."""


class Strategy(Document):
    """The steps and checks of a release."""

    warm_up: WarmUp = WarmUp()
    """Conditions before the candidate gets weight."""
    shadow: ShadowSpec | None = None
    """Mirrored requests before the first weight, judged by the gate `agreement`; null for none."""
    steps: Annotated[tuple[Step, ...], Field(max_length=32)] = (
        Step(weight=500),
        Step(weight=2500),
        Step(weight=5000),
    )
    """The candidate's weights before promotion, ascending. An empty list promotes at once."""
    gates: Annotated[tuple[GateSpec, ...], Field(max_length=16)] = (
        GateSpec(name="ready"),
        GateSpec(name="smoke"),
        GateSpec(name="acknowledged", role="signal"),
        GateSpec(name="capacity", role="signal"),
        GateSpec(name="errors"),
        GateSpec(name="starved"),
        GateSpec(name="rejections"),
    )
    """Changes to the default gates. Gates that are not named keep their defaults."""
    preset: Literal["quick", "strict"] = "quick"
    """When a step may end: `quick` if there is no evidence of harm, `strict` once there is evidence of safety."""
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    """The probability of rolling back a candidate that is no worse, over the whole release."""
    beta: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """Preset strict: the probability of accepting an unacceptably worse candidate."""
    min_requests: Annotated[int, Field(ge=0, le=10**9)] = 20
    """How many requests the candidate must have answered in each step."""
    min_windows: Annotated[int, Field(ge=1, le=240)] = 10
    """Preset strict: in how many windows of a step both versions must have answered."""
    on_inconclusive: OnInconclusive = OnInconclusive()
    """What happens when a step stays undecided."""
    on_metrics_unavailable: OnMetricsUnavailable = OnMetricsUnavailable()
    """What happens when no counts are available."""
    rollback_window: Duration = 3600.0
    """How long the previous version keeps running after a promotion, for a rollback."""

    @field_validator("gates")
    @classmethod
    def _has_something_to_judge(cls, gates: tuple[GateSpec, ...], info: ValidationInfo) -> tuple[GateSpec, ...]:
        if "shadow" in info.data and info.data["shadow"] is None and any(one.name == "agreement" for one in gates):
            raise ValueError("gate 'agreement' needs mirrored requests, and nothing is mirrored: set strategy.shadow")
        return gates

    @model_validator(mode="after")
    def _steps_rise(self) -> Self:
        weights = [step.weight for step in self.steps]
        if weights != sorted(set(weights)):
            raise ValueError("steps must rise: each weight must be above the one before")
        names = [gate.name for gate in self.gates]
        if len(names) != len(set(names)):
            raise ValueError("each gate may be named once only")
        return self


class RouteSpec(Document):
    """The desired state: the versions, the target version, and the release strategy."""

    model: ModelName
    """The model's name, part of its public path. If two routes name one model, the oldest serves it."""
    versions: Annotated[dict[Version, VersionSpec], Field(min_length=1, max_length=64)]
    """All versions, by name. Editing a version makes it a different version with the same name."""
    target: Target
    sticky: Sticky | None = Sticky()
    """How a user keeps the same version; null assigns each request at random."""
    timeouts: Timeouts = Timeouts()
    scale_to_zero: ScaleToZero = ScaleToZero()
    """When versions with `minInstances: 0` become cold."""
    idempotent: bool = True
    """Whether repeating a request is safe; false turns off the gateway's retries."""
    mirrors: Annotated[tuple[MirrorSpec, ...], Field(max_length=8)] = ()
    """Versions that get mirrored requests."""
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
    def target_ref(self) -> VersionRef:
        """The target version with its identity."""
        return self.versions[self.target.version].ref(self.target.version)


class Route(Document):
    """A stored `ModelRoute`. `generation` counts spec changes, `resource_version` every write."""

    namespace: str = "default"
    name: ModelName
    generation: int = 1
    resource_version: int = 0
    created_at: Moment
    actor: str = ""
    """Who last changed the spec. Actor and reason are copied to the revision that the change causes."""
    actor_verified: bool = False
    """Whether `actor` was checked against the caller."""
    reason: str = ""
    annotations: dict[str, str] = {}
    spec: RouteSpec


class UnreadableRoute(Document):
    """A stored route whose spec this Fairlead cannot read, and never could since this process started."""

    namespace: str = "default"
    name: ModelName
    generation: int = 1
    message: str
    """What is wrong, beginning with the route."""
