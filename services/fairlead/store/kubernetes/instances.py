"""Instances in a cluster, read from EndpointSlices, pods and Deployments. They are read-only.

A version's headless Service and its EndpointSlices carry the version's labels, so readiness is read from the same
objects as the DNS records. The pods say why an instance is not ready, and a Deployment why it has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import zip_longest

from pydantic import ValidationError

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.instance import Instance
from fairlead.contracts.route import VersionRef
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, PODS, SLICES, Object, label, name_of
from fairlead.store.kubernetes.pods import failed_at, restarts, why_no_pods, why_unready
from fairlead.store.kubernetes.session import Session


class KubernetesInstances:
    """The part of `store.base.InstanceStore` for reported instances."""

    _session: Session
    _seen: tuple[tuple[tuple[Object, ...], ...], tuple[Instance, ...]]

    def instances(self) -> list[Instance]:
        """All instances, by id."""
        objects = self._session.objects
        read_now = (objects.list(SLICES), objects.list(PODS), objects.list(DEPLOYMENTS))
        if any(one is not other for one, other in zip_longest(read_now, self._seen[0])):
            self._seen = (read_now, tuple(read(*read_now, self._session.namespace, self._session.clock())))
        return list(self._seen[1])

    def report(self, instance: Instance) -> None:
        """Raises Refused: in a cluster, instances are read from EndpointSlices."""
        raise errors.Refused(f"{instance.id}: in a cluster, instances are read from EndpointSlices, not reported")

    def remove_instance(self, instance_id: str) -> None:
        """Raises Refused, like `report`."""
        raise errors.Refused(f"{instance_id}: in a cluster, instances are read from EndpointSlices, not removed")


def read(
    slices: tuple[Object, ...],
    pods: tuple[Object, ...],
    deployments: tuple[Object, ...],
    namespace: str,
    now: datetime,
) -> list[Instance]:
    """The instances in these objects, by id.

    A pod counts as one even before it has an endpoint, and so does the pod that a Deployment cannot create.
    """
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
    for one in deployments:
        ref = ref_of(one)
        if ref is not None and (why := why_no_pods(one)):
            made = _instance(
                _id(one, ref, namespace, name_of(one)),
                one, ref, namespace, name_of(one), labels.SERVICE_PORT, False, None, now,
            )  # fmt: skip
            found[made.id] = made.model_copy(update={"reason": why})
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
    ending = pod is not None and "deletionTimestamp" in pod["metadata"]
    ready = ready and not ending
    return Instance(
        id=key,
        namespace=namespace,
        model=label(labelled, labels.MODEL),
        ref=ref,
        host=host,
        port=port,
        ready=ready,
        reason="" if ready else why_unready(pod),
        ending=ending,
        restarts=restarts(pod),
        failed_at=None if ready else failed_at(pod),
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


def _is_over(pod: Object) -> bool:
    return pod["status"].get("phase") in ("Succeeded", "Failed")
