"""Instances: the processes of a version that the control plane wants, and those that are reported as running."""

from __future__ import annotations

from pydantic import Field

from fairlead.contracts.base import Document, Moment
from fairlead.contracts.manifest import ModelName
from fairlead.contracts.route import VersionRef


class Wanted(Document):
    """One process that should run. Only the engine writes these rows; the supervisor starts a process for each."""

    namespace: str = "default"
    model: ModelName
    ref: VersionRef
    index: int = Field(ge=0)
    source: str
    """The model folder, absolute."""
    folder: str = ""
    """SHA-256 of its listing; empty if it is not known."""

    @property
    def id(self) -> str:
        """The same after a restart, so that the instance can get its port back."""
        return f"{self.namespace}/{self.model}/{self.ref.version}/{self.ref.identity}/{self.index}"


class Instance(Document):
    """The reported state of one instance. `ready` is the last result of /readyz; `reason` says why it is not ready."""

    id: str
    namespace: str = "default"
    model: ModelName
    ref: VersionRef
    host: str
    port: int = Field(ge=1, le=65535)
    pid: int | None = None
    ready: bool = False
    reason: str = ""
    restarts: int = 0
    observed_at: Moment
