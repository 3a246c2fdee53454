"""What an uninstall leaves: a ScaledObject without its route and its Deployment.

Helm creates a ScaledObject after the route, and keeps both from its own uninstall: owners delete them. A model that is
uninstalled before the control plane has made the route its owner leaves it behind, and KEDA goes on looking for a
Deployment.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from fairlead import errors
from fairlead.contracts import labels
from fairlead.store.kubernetes.instances import ref_of
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, ROUTES, SCALED_OBJECTS, Object, label, name_of
from fairlead.store.kubernetes.session import Session

ABANDONED_AFTER = timedelta(hours=1)
"""The age from which an object of a version that no spec names can be deleted: before, its spec may still come."""
LOOK_EVERY = timedelta(minutes=10)
_OF_A_VERSION = f"{labels.ROUTE},{labels.IDENTITY}"


class Leftovers:
    """The ScaledObjects of one namespace that belong to nothing any more."""

    def __init__(self, session: Session, log: logging.Logger) -> None:
        self._session, self._log = session, log
        self._due = datetime.min.replace(tzinfo=UTC)

    def delete(self) -> None:
        """Delete them, if it is time to look. Raises Conflict if this process does not lead."""
        now = self._session.clock()
        if now < self._due:
            return
        self._session.fence.token()
        for one in self._listed():
            if not one["metadata"].get("ownerReferences") and is_abandoned(one, now) and self._is_alone(one):
                self._delete(one)
        self._due = now + LOOK_EVERY

    def _listed(self) -> Sequence[Object]:
        try:
            return self._session.api.list(SCALED_OBJECTS, self._session.namespace, _OF_A_VERSION)[0]
        except (errors.NotFound, errors.Refused):  # a cluster without KEDA, or an account without rights on it
            return ()

    def _is_alone(self, one: Object) -> bool:
        """Whether its route and its Deployment do not exist: read now, because a deletion cannot be undone."""
        ref = ref_of(one)
        if ref is None:
            return False
        deployment = labels.version_name(label(one, labels.MODEL), ref)
        return all(
            self._session.refreshed(kind, name) is None
            for kind, name in ((ROUTES, label(one, labels.ROUTE)), (DEPLOYMENTS, deployment))
        )

    def _delete(self, one: Object) -> None:
        what = f"the ScaledObject {name_of(one)}, whose route {label(one, labels.ROUTE)} was uninstalled"
        try:
            # Of this state only: Helm may be installing the model again.
            self._session.api.delete(SCALED_OBJECTS, self._session.namespace, name_of(one), seen=one)
        except (errors.NotFound, errors.Conflict):
            return
        except errors.Refused as refused:
            self._log.error("%s, cannot be deleted: %s", what, refused.message)
            return
        self._log.info("deleted %s", what)


def is_abandoned(one: Object, now: datetime) -> bool:
    """Whether an object of a version is so old that no spec will name it: the version was added and removed unseen."""
    return now > datetime.fromisoformat(one["metadata"]["creationTimestamp"]) + ABANDONED_AFTER
