"""Instances in a cluster, read from EndpointSlices and pods. They are read-only.

A version's headless Service and its EndpointSlices carry the version's labels, so readiness is read from the same
objects as the DNS records. The pods say why an instance is not ready.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from pydantic import ValidationError

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.instance import Instance
from fairlead.contracts.route import VersionRef
from fairlead.store.kubernetes.kinds import PODS, SLICES, Object, label, name_of
from fairlead.store.kubernetes.session import Session

CRASHES = "CrashLoopBackOff"
RESTARTS = 3
"""So often Kubernetes must have restarted a container in vain until it counts as failed."""
FIRST_WRITTEN = timedelta(seconds=5)
"""How long after a pod's start the kubelet has written all its conditions."""


class KubernetesInstances:
    """The part of `store.base.InstanceStore` for reported instances."""

    _session: Session
    _seen: tuple[tuple[Object, ...], tuple[Object, ...], tuple[Instance, ...]]

    def instances(self) -> list[Instance]:
        """All instances, by id."""
        slices, pods = self._session.objects.list(SLICES), self._session.objects.list(PODS)
        if self._seen[0] is not slices or self._seen[1] is not pods:
            found = read(slices, pods, self._session.namespace, self._session.clock())
            self._seen = (slices, pods, tuple(found))
        return list(self._seen[2])

    def report(self, instance: Instance) -> None:
        """Raises Refused: in a cluster, instances are read from EndpointSlices."""
        raise errors.Refused(f"{instance.id}: in a cluster, instances are read from EndpointSlices, not reported")

    def remove_instance(self, instance_id: str) -> None:
        """Raises Refused, like `report`."""
        raise errors.Refused(f"{instance_id}: in a cluster, instances are read from EndpointSlices, not removed")


def read(slices: tuple[Object, ...], pods: tuple[Object, ...], namespace: str, now: datetime) -> list[Instance]:
    """The instances in these objects, by id. A pod counts as one even before it has an endpoint."""
    found: dict[str, Instance] = {}
    by_name = {name_of(pod): pod for pod in pods}
    for one in slices:
        for instance in _of_slice(one, by_name, namespace, now):
            known = found.get(instance.id)
            # While slices are being rewritten, an endpoint may be in two of them.
            if known is None or instance.ready:
                found[instance.id] = instance
    for pod in pods:
        ref, name = ref_of(pod), name_of(pod)
        if ref is not None and (key := _id(pod, ref, namespace, name)) not in found and not _is_over(pod):
            host = str(pod["status"].get("podIP") or name)
            found[key] = _instance(key, pod, ref, namespace, host, labels.SERVICE_PORT, False, pod, now)
    return [found[key] for key in sorted(found)]


def _of_slice(one: Object, pods: dict[str, Object], namespace: str, now: datetime) -> Iterator[Instance]:
    ref, port = ref_of(one), _port(one)
    for endpoint in (one.get("endpoints") or ()) if ref is not None else ():
        addresses = endpoint.get("addresses") or ()
        if ref is None or not addresses:
            continue
        name = str((endpoint.get("targetRef") or {}).get("name") or addresses[0])
        conditions = endpoint.get("conditions") or {}
        # A missing `ready` means ready. A terminating endpoint is never ready for us.
        ready = conditions.get("ready") is not False and not conditions.get("terminating")
        key = _id(one, ref, namespace, name)
        yield _instance(key, one, ref, namespace, str(addresses[0]), port, ready, pods.get(name), now)


def _instance(
    key: str,
    labelled: Object,
    ref: VersionRef,
    namespace: str,
    host: str,
    port: int,
    ready: bool,
    pod: Object | None,
    now: datetime,
) -> Instance:
    return Instance(
        id=key,
        namespace=namespace,
        model=label(labelled, labels.MODEL),
        ref=ref,
        host=host,
        port=port,
        ready=ready,
        reason="" if ready else _why(pod),
        restarts=sum(int(one.get("restartCount") or 0) for one in _containers(pod)),
        failed_at=None if ready else _failed_at(pod),
        observed_at=now,
    )


def _id(labelled: Object, ref: VersionRef, namespace: str, name: str) -> str:
    return f"{namespace}/{label(labelled, labels.MODEL)}/{ref.version}/{ref.identity}/{name}"


def ref_of(labelled: Object) -> VersionRef | None:
    """The version from the labels; None if the labels are missing or invalid."""
    try:
        return VersionRef(version=label(labelled, labels.VERSION), identity=label(labelled, labels.IDENTITY))
    except ValidationError:
        return None


def _port(one: Object) -> int:
    ports = one.get("ports") or ()
    named = next((port for port in ports if port.get("name") == labels.PORT_NAME), ports[0] if ports else {})
    return int(named.get("port") or labels.SERVICE_PORT)


def _why(pod: Object | None) -> str:
    """Why a pod is not ready, in Kubernetes' words: a container's waiting reason, else a condition of the pod."""
    if pod is None:
        return "not ready"
    if "deletionTimestamp" in pod["metadata"]:
        return "terminating"
    for container in _containers(pod):
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            return ": ".join(filter(None, (waiting["reason"], waiting.get("message"))))
    for condition in pod["status"].get("conditions") or ():
        if condition.get("status") == "False" and condition.get("message"):
            return str(condition["message"])
    return str(pod["status"].get("phase") or "not ready")


def _failed_at(pod: Object | None) -> datetime | None:
    """When a container ended last that Kubernetes restarts again and again, in a pod that was never ready.

    Nothing else is a failure for good: an image, a Secret or a node may still come.
    """
    if pod is None or _was_ready(pod):
        return None
    for one in _containers(pod):
        waiting = (one.get("state") or {}).get("waiting") or {}
        ended = ((one.get("lastState") or {}).get("terminated") or {}).get("finishedAt")
        if waiting.get("reason") == CRASHES and int(one.get("restartCount") or 0) >= RESTARTS and ended:
            return _moment(ended)
    return None


def _was_ready(pod: Object) -> bool:
    """Whether it may have been ready: its condition Ready has changed since the kubelet first wrote it."""
    started = pod["status"].get("startTime")
    conditions = pod["status"].get("conditions") or ()
    changed = next((one.get("lastTransitionTime") for one in conditions if one.get("type") == "Ready"), None)
    return not started or not changed or _moment(changed) - _moment(started) > FIRST_WRITTEN


def _moment(text: object) -> datetime:
    return datetime.fromisoformat(str(text))


def _containers(pod: Object | None) -> list[Object]:
    return list((pod or {}).get("status", {}).get("containerStatuses") or ())


def _is_over(pod: Object) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")
