"""How old the stored state is that a command shows: is the platform running, and does its control plane write?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from fairlead.cli import optional_modules
from fairlead.cli.options import PlatformLocation
from fairlead.cli.output import ago, moment
from fairlead.contracts.health import STALE_AFTER_S
from fairlead.local.state import StateFolder
from fairlead.store.base import Store


@dataclass(frozen=True)
class StateAge:
    """The time of the stored state, and the reason why it is old; `problem` is empty while it is current."""

    as_of: datetime | None = None
    problem: str = ""
    hint: str = ""
    is_stopped: bool = False
    """Whether no process will write a newer state before somebody starts the platform."""

    @property
    def notice(self) -> str:
        """What a view says before it shows an old state, in one or two lines; empty while the state is current."""
        if not self.problem:
            return ""
        shown = f"; what follows is as of {moment(self.as_of)}" if self.as_of is not None else "; what follows is old"
        return f"{self.problem}{shown}\n  {self.hint}"

    def to_json(self) -> dict[str, object]:
        """`asOf` is a time or null, `stale` the reason or null."""
        as_of = self.as_of.isoformat() if self.as_of is not None else None
        return {"asOf": as_of, "stale": self.problem or None}


def state_age(location: PlatformLocation, store: Store, now: datetime) -> StateAge:
    """Compare the last heartbeat with the clock of this machine. An unknown heartbeat is no reason to doubt."""
    last = store.last_beat()
    if not location.in_cluster and _is_stopped(location):
        start, stop = location.with_options("fairlead up FILE"), location.with_options("fairlead down")
        if left := StateFolder(location.state).orphans():
            problem = f"`fairlead up` was killed, and {len(left)} of its processes still run: nothing restarts them"
            return StateAge(last, problem, f"start it again: {start}; or stop them: {stop}")
        return StateAge(last, "the platform is not running", f"start it: {start}", is_stopped=True)
    supervised = None if location.in_cluster else StateFolder(location.state).supervised_at()
    if supervised is not None and (now - supervised).total_seconds() > STALE_AFTER_S:
        problem = f"`fairlead up` has not looked after its processes for {ago(supervised, now)}"
        return StateAge(min(filter(None, (last, supervised))), problem, "see whether it hangs: read its terminal")
    if last is None and location.in_cluster:
        return _of_namespace(cast(Any, store))
    if last is None or (now - last).total_seconds() <= STALE_AFTER_S:
        return StateAge(last)
    if location.in_cluster:
        cluster = optional_modules.load("fairlead.cli.cluster")
        location = replace(location, namespace=cluster.platform_namespace(location.context, location.namespace))
        pods = location.with_options("kubectl get pods --selector app.kubernetes.io/component=control-plane")
        hint = f"see whether its pods run: {pods}"
    else:
        hint = f"read {location.state / 'logs' / 'control-plane.log'}"
    return StateAge(last, f"the control plane has not written for {ago(last, now)}", hint)


def _of_namespace(store: Any) -> StateAge:
    """Of a namespace in which no heartbeat is known: is there a platform at all?"""
    cluster = optional_modules.load("fairlead.cli.cluster")
    return StateAge() if cluster.is_served(store) else StateAge(None, *cluster.not_served(store.namespace))


def _is_stopped(location: PlatformLocation) -> bool:
    try:
        return not StateFolder(location.state).is_running()
    except OSError:
        return False  # another user's folder: only the heartbeat tells
