"""The words for how a route serves: serving, degraded or down, why, since when, and the one command that helps.

`health_of` reads them from the route's conditions. Every view shows its result and decides nothing itself: `fairlead
status`, `fairlead wait`, `/models`, the API, the metrics and the cluster's events.
"""

from __future__ import annotations

from enum import StrEnum

from fairlead.contracts.base import Document, Moment
from fairlead.contracts.route import VersionRef
from fairlead.contracts.spelling import to_option
from fairlead.contracts.status import Condition, Reason, Status

STALE_AFTER_S = 15.0
"""Without a sign of the control plane for this long, what a view shows may be old, and the view says so. A running one
shows every 2 s that it is alive; in a cluster another replica leads after 15 s without."""


class Mark(StrEnum):
    """How a route serves, in one word."""

    SERVING = "serving"
    COLD = "cold"
    DEGRADED = "degraded"
    DOWN = "down"
    STARTING = "starting"
    UNKNOWN = "unknown"


class Health(Document):
    """How a route serves."""

    mark: Mark
    reason: str = ""
    """Why it does not serve fully, as a sentence; empty while it serves."""
    since: Moment | None = None
    """Since when the mark is as it is; None if that is not known."""
    command: str = ""
    """The one command that helps now; empty if none is needed. Views add the options that name the platform."""

    @property
    def serves(self) -> bool:
        """Whether stable answers requests, if need be after it was started for one."""
        return self.mark in (Mark.SERVING, Mark.COLD, Mark.DEGRADED)

    @property
    def is_down(self) -> bool:
        """Whether the route served, and its users get errors now."""
        return self.mark is Mark.DOWN


def health_of(status: Status | None) -> Health:
    """The health of a route by its conditions. Without a status, or without the condition Ready, it is unknown."""
    ready = status.condition("Ready") if status is not None else None
    if status is None or ready is None:
        return Health(mark=Mark.UNKNOWN, reason=status.waiting if status is not None else "")
    degraded = status.condition("Degraded")
    if not ready.status:
        mark = Mark.STARTING if ready.reason == Reason.NOTHING_RELEASED else Mark.DOWN
        return Health(mark=mark, reason=ready.message, since=ready.since, command=_when_down(status, ready))
    if degraded is not None and degraded.status:
        command = _when_degraded(status, degraded)
        return Health(mark=Mark.DEGRADED, reason=degraded.message, since=degraded.since, command=command)
    if ready.reason == Reason.COLD:
        return Health(mark=Mark.COLD, reason=ready.message, since=ready.since, command=_when_serving(status))
    since = max((one.since for one in (ready, degraded) if one is not None and one.since is not None), default=None)
    return Health(mark=Mark.SERVING, since=since, command=_when_serving(status))


def _when_down(status: Status, ready: Condition) -> str:
    if ready.reason == Reason.NO_GATEWAY:
        return ""  # no command of a model helps; the reason says where to look
    if status.candidate is not None and status.ready.get("candidate", 0):
        return f"fairlead promote {status.route}"
    if status.previous is not None and status.previous != status.stable and status.ready.get("previous", 0):
        return f"fairlead rollback {status.route} --to {to_option(status.previous.version)}"
    if status.returnable:
        return f"fairlead rollback {status.route} --to {to_option(status.returnable[0])}"
    if status.candidate is None and _is_rejected(status) and status.ready.get("target", 0):
        # It was never stable, so that no rollback leads to it. The new attempt begins without weight.
        return f"fairlead retry {status.route}"
    return _logs(status, status.stable or status.target)


def _is_rejected(status: Status) -> bool:
    accepted = status.condition("TargetAccepted")
    return accepted is not None and not accepted.status


def _when_degraded(status: Status, degraded: Condition) -> str:
    is_candidate = degraded.reason == Reason.CANDIDATE_DOWN
    return _logs(status, (status.candidate if is_candidate else status.stable) or status.target)


def _when_serving(status: Status) -> str:
    progressing = status.condition("Progressing")
    if _is_rejected(status) and status.candidate is None:
        # Why it was rejected, and not `retry`: pasted without a thought, that gives users the bad version again.
        return f"fairlead history {status.route} --evidence"
    if status.paused:
        return f"fairlead resume {status.route}"
    if progressing is not None and progressing.reason == Reason.AWAITING_APPROVAL:
        return f"fairlead approve {status.route}"
    if progressing is not None and progressing.reason == Reason.BREAKING_TYPES:
        return f"fairlead release {status.route} {status.candidate} --accept-breaking"
    return ""


def _logs(status: Status, version: VersionRef | None) -> str:
    return f"fairlead logs {status.route}" + (f" --version {version}" if version is not None else "")
