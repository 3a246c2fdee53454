"""Why a pod is not ready, as one sentence, and whether it has failed for good: read from what the kubelet writes.

The model service ends when its model cannot be served, and writes why as its container's termination message. So the
sentence reaches us with the pod, like the reasons of Kubernetes itself: without a request to the pod and without a
further right, and `kubectl describe pod` shows it too.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from fairlead.contracts.exit_status import how_it_ended
from fairlead.contracts.instance import CANNOT_BE_CREATED, CANNOT_BE_SERVED
from fairlead.store.kubernetes.kinds import NO_PODS, Object

MAIN = "model"
"""The container of the model service."""
CRASHES = "CrashLoopBackOff"
RESTARTS = 3
"""So often Kubernetes must have restarted a container in vain until it counts as failed."""
FIRST_WRITTEN = timedelta(seconds=5)
"""How long after a pod's start the kubelet has written all its conditions."""
_QUOTA = re.compile(
    r"exceeded quota: (?P<quota>[^,]+), requested: (?P<asked>.+), used: (?P<used>.+), limited: (?P<limited>.+)"
)
"""What the API server says of a pod that a quota refuses. It names only what is used up."""
_AMOUNT = re.compile(r"([^,=]+)=([^,]+)")
_OUT_OF_MEMORY = "OOMKilled"
_WAITING = {
    "ContainerCreating": "is being created",
    "ImagePullBackOff": "has no image",
    "ErrImagePull": "has no image",
    "ErrImageNeverPull": "has no image",
    "InvalidImageName": "has no image",
    "CreateContainerConfigError": "cannot be created",
    "CreateContainerError": "cannot be created",
    "RunContainerError": "cannot be started",
}
"""What a container does that waits, by Kubernetes' reason, which follows it: people search for that word."""


def why_unready(pod: Object | None) -> str:
    """Why a pod is not ready. It has no final full stop, and no time that passes: an equal status is not written."""
    if pod is None:
        return "not ready"
    if "deletionTimestamp" in pod["metadata"]:
        return "it is being deleted"
    conditions = {one.get("type"): one for one in pod["status"].get("conditions") or () if one.get("status") == "False"}
    if why := (conditions.get("PodScheduled") or {}).get("message"):
        return f"no node runs it: {why}"
    for container in _unready(pod):
        if why := _why(container):
            return why
    if why := (conditions.get("Initialized") or {}).get("message"):
        return f"it is being prepared: {why}"
    return "its container runs and is not ready yet" if "Ready" in conditions else _phase(pod)


def used_up(message: str) -> str:
    """Which quota is used up and by how much, from the API server's message; empty if no quota is the cause."""
    found = _QUOTA.search(message)
    if found is None:
        return ""
    asked, used, limited = (dict(_AMOUNT.findall(found[part])) for part in ("asked", "used", "limited"))
    what = [
        f"{name}: {used.get(name, '0')} of {most} is used, and a pod asks for {asked.get(name, '?')} more"
        for name, most in limited.items()
    ]
    return f"the ResourceQuota {found['quota']} is used up ({'; '.join(what)})"


def why_no_pods(deployment: Object) -> str:
    """Why a Deployment cannot create pods; empty if it can."""
    for one in (deployment.get("status") or {}).get("conditions") or ():
        if one.get("type") == NO_PODS and one.get("status") == "True":
            message = str(one.get("message") or one.get("reason"))
            return f"{CANNOT_BE_CREATED}: {used_up(message) or message}"
    return ""


def failed_at(pod: Object | None) -> datetime | None:
    """When a container of a pod that was never ready ended last, if nothing that happens by itself heals it.

    Its model cannot be served, or Kubernetes restarts it again and again. Nothing else is a failure for good: an image,
    a Secret or a node may still come.
    """
    if pod is None or _was_ready(pod):
        return None
    for one in _unready(pod):
        ended = _ended(one)
        in_vain = _waiting(one).get("reason") == CRASHES and _restarts(one) >= RESTARTS
        if ended.get("finishedAt") and (in_vain or _message(ended).startswith(CANNOT_BE_SERVED)):
            return _moment(ended["finishedAt"])
    return None


def restarts(pod: Object | None) -> int:
    """How often Kubernetes has restarted its containers."""
    return sum(_restarts(one) for one in _statuses(pod, "containerStatuses"))


def _why(container: Object) -> str:
    """Why a container is not ready; empty if it runs and has not ended before."""
    waiting, ended, name = _waiting(container), _ended(container), _name(container)
    reason = waiting.get("reason")
    if reason and (reason != CRASHES or not ended):
        said = ": ".join(filter(None, (reason, waiting.get("message"))))
        return f"{name} {_WAITING.get(reason, 'waits')} ({said})"
    if not ended:
        return ""
    if (message := _message(ended)).startswith(CANNOT_BE_SERVED):
        return message
    times = _restarts(container)
    again = f"; restarts: {times}" if times else ""
    return f"{name} {_how(ended)}{f': {message}' if message else ''}{again}"


def _how(ended: Object) -> str:
    if ended.get("reason") == _OUT_OF_MEMORY:
        return f"needed more memory than its limit allows ({_OUT_OF_MEMORY})"
    code = int(ended.get("exitCode") or 0)
    return how_it_ended(128 - code if code > 128 else code)  # a container's code for signal 9 is 137


def _unready(pod: Object) -> list[Object]:
    """The containers that are not ready. While init containers run, the others only wait for them."""
    init = [one for one in _statuses(pod, "initContainerStatuses") if not one.get("ready")]
    return init[:1] or [one for one in _statuses(pod, "containerStatuses") if not one.get("ready")]


def _name(container: Object) -> str:
    name = container.get("name") or MAIN
    return "its container" if name == MAIN else f"its container {name}"


def _waiting(container: Object) -> Object:
    return (container.get("state") or {}).get("waiting") or {}


def _ended(container: Object) -> Object:
    """How the container ended last; empty if it has not ended. One that runs again may end the same way."""
    for state in ("state", "lastState"):
        if ended := (container.get(state) or {}).get("terminated"):
            return dict(ended)
    return {}


def _message(ended: Object) -> str:
    return " ".join(str(ended.get("message") or "").split())


def _restarts(container: Object) -> int:
    return int(container.get("restartCount") or 0)


def _statuses(pod: Object | None, kind: str) -> list[Object]:
    return list((pod or {}).get("status", {}).get(kind) or ())


def _phase(pod: Object) -> str:
    return str(pod["status"].get("phase") or "not ready")


def _was_ready(pod: Object) -> bool:
    """Whether it may have been ready: its condition Ready has changed since the kubelet first wrote it."""
    started = pod["status"].get("startTime")
    conditions = pod["status"].get("conditions") or ()
    changed = next((one.get("lastTransitionTime") for one in conditions if one.get("type") == "Ready"), None)
    return not started or not changed or _moment(changed) - _moment(started) > FIRST_WRITTEN


def _moment(text: object) -> datetime:
    return datetime.fromisoformat(str(text))
