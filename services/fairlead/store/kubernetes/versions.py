"""Wanted instances in a cluster: which versions have objects, and removal of versions that are no longer needed.

The charts create a version's objects, and its Deployment says how many pods there should be: Helm writes the number, or
an autoscaler. So `wanted()` lists the versions that exist, with that number, and `want()` deletes those that are not in
its list: versions that left the spec and get no more requests. `rollout.policy.desired_instances` decides this. The
route is checked again here, because a deletion cannot be undone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.instance import Wanted
from fairlead.contracts.route import VersionRef
from fairlead.store.kubernetes.instances import ref_of
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, ROUTES, SCALED_OBJECTS, Kind, Object, label, name_of
from fairlead.store.kubernetes.ledger import KubernetesLedger, owned_by
from fairlead.store.kubernetes.leftovers import Leftovers, is_abandoned
from fairlead.store.kubernetes.routes import KubernetesRoutes

OWN_OBJECTS = (
    DEPLOYMENTS,
    Kind("/api/v1", "services", "Service", metadata_only=True),
    Kind("/api/v1", "configmaps", "ConfigMap", metadata_only=True),
    Kind("/api/v1", "serviceaccounts", "ServiceAccount", metadata_only=True),
    Kind("/apis/policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", metadata_only=True),
    Kind("/apis/autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", metadata_only=True),
    Kind("/apis/networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", metadata_only=True),
    SCALED_OBJECTS,
)
"""The kinds of objects that a version may have. The Deployment is deleted last."""
VERSIONS_AT_ONCE = 50
"""How many versions' objects are listed by one request of each kind."""
SOON, LATER = timedelta(seconds=20), timedelta(minutes=10)
"""When the objects of a version are looked at again, after the first time and after that. Helm creates objects of kinds
that it does not know by their names: a ScaledObject after the route. It may also come with a later upgrade."""


class KubernetesVersions(KubernetesLedger, KubernetesRoutes):
    """The part of `store.base.InstanceStore` for wanted instances."""

    _adopted: dict[tuple[str, str], datetime]
    """When the objects of a version are looked at again, by its route and identity."""
    _leftovers: Leftovers

    def wanted(self) -> list[Wanted]:
        """One row per pod that a version's Deployment should have, and at least one per Deployment, by id."""
        found = [
            row.model_copy(update={"index": index, "stopped": not replicas_of(deployment)})
            for deployment, row in self._existing()
            for index in range(max(1, replicas_of(deployment)))
        ]
        return sorted(found, key=lambda row: row.id)

    def want(self, wanted: Sequence[Wanted]) -> None:
        """Delete versions that are not wanted any more, and make routes the owners of the others. Creates nothing.

        Only versions that already have an owner are deleted: Helm creates a version's Deployment before it writes the
        spec that names it, so a version without an owner may still be new. Raises Conflict if this process does not
        lead.
        """
        self._session.fence.token()
        ids = {row.id for row in wanted}
        now = self._session.clock()
        due: list[tuple[Object, VersionRef]] = []
        for deployment, row in self._existing():
            route = self._session.objects.get(ROUTES, label(deployment, labels.ROUTE))
            if route is None:
                continue  # the route was deleted: Kubernetes deletes everything that it owns
            if not _is_owned(deployment, route):
                if self._is_named(route, row.ref) or is_abandoned(deployment, now):
                    due.append((route, row.ref))
            elif row.id not in ids and self._may_go(route, row.ref):
                self._remove(deployment, row.ref)
            elif self._adopted.get((name_of(route), row.ref.identity), now) <= now:
                due.append((route, row.ref))
        self._adopt(due, now)
        self.delete_leftovers()

    def delete_leftovers(self) -> None:
        """Delete what an uninstall left. Raises Conflict if this process does not lead."""
        self._leftovers.delete()

    def _existing(self) -> Iterator[tuple[Object, Wanted]]:
        for one in self._session.objects.list(DEPLOYMENTS):
            ref, model = ref_of(one), label(one, labels.MODEL)
            if ref is not None and model and "deletionTimestamp" not in one["metadata"]:
                source = f"deployment/{name_of(one)}"
                yield one, Wanted(namespace=self._session.namespace, model=model, ref=ref, index=0, source=source)

    def _may_go(self, route: Object, ref: VersionRef) -> bool:
        """False for a version that the spec names or the last table sends requests to: it must never be deleted."""
        fresh = self._session.refreshed(ROUTES, name_of(route))  # not from the cache: a deletion cannot be undone
        if fresh is None or self._is_named(fresh, ref):
            return False
        found = self._parse(fresh)
        head = self.head(found.name)
        return head is not None and head.generation >= found.generation

    def _is_named(self, route: Object, ref: VersionRef) -> bool:
        """Whether the spec names this version, or the last table sends requests to it."""
        found = self._parse(route)
        if any(spec.ref(version) == ref for version, spec in found.spec.versions.items()):
            return True
        head = self.head(found.name)
        if head is None:
            return False
        table = head.table
        return ref in (table.stable, table.candidate, *(mirror.version for mirror in table.mirrors))

    def _remove(self, deployment: Object, ref: VersionRef) -> None:
        session, route = self._session, label(deployment, labels.ROUTE)
        for kind, one in self._objects_of([route]).get((route, ref.identity), ()):
            with suppress(errors.NotFound):  # it was deleted together with its owner
                session.api.delete(kind, session.namespace, name_of(one))
            if kind is DEPLOYMENTS:
                session.objects.note_deleted(DEPLOYMENTS, name_of(one))
        self._adopted.pop((route, ref.identity), None)

    def _adopt(self, versions: Sequence[tuple[Object, VersionRef]], now: datetime) -> None:
        """Make routes the owners of their versions' objects. Helm keeps them, so an uninstall deletes them by owner.

        The objects of many versions are listed together: after an install there are hundreds of versions at once.
        """
        for start in range(0, len(versions), VERSIONS_AT_ONCE):
            some = versions[start : start + VERSIONS_AT_ONCE]
            found = self._objects_of(sorted({name_of(route) for route, _ in some}))
            for route, ref in some:
                version = name_of(route), ref.identity
                loose = [(kind, one) for kind, one in found.get(version, ()) if not _is_owned(one, route)]
                for kind, one in loose:
                    if not self._own(kind, one, route):
                        break  # before the Deployment, which is the last one: so the next tick tries again
                else:
                    self._adopted[version] = now + (SOON if loose else LATER)

    def _own(self, kind: Kind, one: Object, route: Object) -> bool:
        """Whether the object is the route's now, or is gone. KEDA and others may write it at the same time."""
        session = self._session
        owners = [*(one["metadata"].get("ownerReferences") or ()), owned_by(route)]
        body = {"metadata": {"ownerReferences": owners, "resourceVersion": one["metadata"]["resourceVersion"]}}
        try:
            written = session.api.patch(kind, session.namespace, name_of(one), body)
        except errors.NotFound:
            return True
        except errors.Conflict:
            return False
        if kind is DEPLOYMENTS:
            session.objects.note_written(DEPLOYMENTS, written)
        return True

    def _objects_of(self, routes: Sequence[str]) -> dict[tuple[str, str], list[tuple[Kind, Object]]]:
        """All objects with the labels of these routes' versions, by route and identity; of each the Deployment last.

        Kinds that the cluster does not have, or that we may not list, are skipped.
        """
        found: dict[tuple[str, str], list[tuple[Kind, Object]]] = {}
        for kind in reversed(OWN_OBJECTS):
            try:
                listed, _ = self._session.api.list(
                    kind, self._session.namespace, f"{labels.ROUTE} in ({','.join(routes)})"
                )
            except (errors.NotFound, errors.Refused):
                continue
            for one in listed:
                found.setdefault((label(one, labels.ROUTE), label(one, labels.IDENTITY)), []).append((kind, one))
        return found


def _is_owned(one: Object, route: Object) -> bool:
    owners = one["metadata"].get("ownerReferences") or ()
    return any(owner.get("uid") == route["metadata"]["uid"] for owner in owners)


def replicas_of(deployment: Object) -> int:
    """How many pods a Deployment should have."""
    return int((deployment.get("spec") or {}).get("replicas", 1))
