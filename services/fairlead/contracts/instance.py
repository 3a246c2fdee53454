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
    stopped: bool = False
    """True for the one row of a version that exists in a cluster and whose Deployment says 0 pods."""
    attempt: int = Field(default=0, ge=0)
    """The last attempt that released it: a process that has failed for good is started again for a new one."""

    @property
    def id(self) -> str:
        """The same after a restart, so that the instance can get its port back."""
        return f"{self.namespace}/{self.model}/{self.ref.version}/{self.ref.identity}/{self.index}"


LOAD_FAILED = "load-failed"
"""The kind of problem that /readyz answers with when the model's service has failed for good."""
CANNOT_BE_SERVED = "the model cannot be served: "
"""What the reason of a service begins with whose model could not be loaded."""

CANNOT_BE_CREATED = "its pods cannot be created"
"""What the reason begins with of an instance that a quota or a policy of a cluster refuses."""


class Instance(Document):
    """The reported state of one instance. `ready` is the last result of /readyz; `reason` says why it is not ready.

    `failed_at` is set when it has failed for good, as `reason` says: nothing that the platform does heals it.
    """

    id: str
    namespace: str = "default"
    model: ModelName
    ref: VersionRef
    host: str
    port: int = Field(ge=1, le=65535)
    pid: int | None = None
    ready: bool = False
    reason: str = ""
    ending: bool = False
    """Whether it is being stopped. It is then never ready again."""
    restarts: int = 0
    failed_at: Moment | None = None
    observed_at: Moment
