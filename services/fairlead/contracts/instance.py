"""*Instance*: one running copy of a version, wanted by the control plane and reported by whoever runs it."""

from __future__ import annotations

from pydantic import Field

from fairlead.contracts.base import Document, Moment
from fairlead.contracts.manifest import ModelName
from fairlead.contracts.route import VersionRef


class Wanted(Document):
    """One process that should run: a row that the supervisor turns into a process, and only the engine writes."""

    namespace: str = "default"
    model: ModelName
    ref: VersionRef
    index: int = Field(ge=0)
    source: str
    """The model folder, absolute."""

    @property
    def id(self) -> str:
        """Stable over restarts: the same id gets the same port back."""
        return f"{self.namespace}/{self.model}/{self.ref.version}/{self.ref.identity}/{self.index}"


class Instance(Document):
    """What is known of one instance. `ready` is what its /readyz last said; `reason` why not."""

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
