"""The routing table of one route: weights, pins and mirrors, from which the gateway's configuration is generated."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from fairlead.contracts.base import Document, canonical, digest
from fairlead.contracts.manifest import ModelName
from fairlead.contracts.route import TOTAL_WEIGHT, HeaderName, VersionRef


class Mirror(Document):
    """A version that gets `share`/10,000 of the requests mirrored to it."""

    version: VersionRef
    share: Annotated[int, Field(ge=1, le=TOTAL_WEIGHT)]


class Table(Document):
    """How one model's requests are split between versions.

    `weight` is the candidate's share of 10,000; stable has the rest. `attempt` salts the sticky hash, so that two
    attempts select independent users, and clears the candidate's ejections. `pins` are the versions that a request may
    select by name; stable and the candidate are always among them. Requests for a version in `cold` wait at the gateway
    until it is started.
    """

    namespace: str = "default"
    model: ModelName
    attempt: Annotated[int, Field(ge=0)] = 0
    stable: VersionRef
    candidate: VersionRef | None = None
    weight: Annotated[int, Field(ge=0, le=TOTAL_WEIGHT)] = 0
    pins: tuple[VersionRef, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    cold: tuple[VersionRef, ...] = ()
    sticky: HeaderName | None = "x-user-id"
    request_timeout_s: float = 10.0
    per_try_timeout_s: float = 2.0
    idempotent: bool = True

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        if self.candidate is None and self.weight:
            raise ValueError("the weight must be 0, because there is no candidate")
        if self.candidate == self.stable:
            raise ValueError("the candidate and stable must be different versions")
        serving = [ref for ref in (self.stable, self.candidate) if ref is not None]
        if any(ref not in self.pins for ref in serving):
            raise ValueError("stable and the candidate must be among the pins")
        if any(mirror.version not in self.pins for mirror in self.mirrors):
            raise ValueError("a mirrored version must be among the pins")
        if any(ref not in self.pins for ref in self.cold):
            raise ValueError("a cold version must be among the pins")
        if self.weight and any(ref in self.cold for ref in serving):
            raise ValueError("neither stable nor the candidate may be cold while the candidate has weight")
        return self

    @property
    def late_after_s(self) -> float | None:
        """How long the candidate is waited for, in seconds, before stable is asked too; None if it never is.

        A request that may be sent only once is never sent to both.
        """
        return self.per_try_timeout_s if self.idempotent and self.per_try_timeout_s < self.request_timeout_s else None

    @property
    def hash(self) -> str:
        """SHA-256 of the table's canonical JSON; equal tables have equal hashes."""
        return digest(canonical(self.to_json()))
