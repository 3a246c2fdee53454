"""How many pods a version has, where the chart leaves it to the control plane (`autoscaling.kind: managed`).

Only Deployments with the label `fairlead.dev/scaled-by: control-plane` are scaled; a policy refuses all others. Each
write names the resource version that it was decided on, and nothing is kept in memory: what differs is written again.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import suppress

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.route import Route
from fairlead.contracts.status import WantedInstances
from fairlead.store.kubernetes.events import scaled_event
from fairlead.store.kubernetes.kinds import DEPLOYMENTS, EVENTS, ROUTES, Object, label, name_of
from fairlead.store.kubernetes.versions import KubernetesVersions, replicas_of


class KubernetesScales(KubernetesVersions):
    """`rollout.ports.Scales`."""

    _log: logging.Logger
    _refused: dict[str, str]
    """The last refusal of each Deployment, which is logged once."""

    def scale(self, route: Route, wanted: Sequence[WantedInstances]) -> None:
        """Give each version of the route so many pods. Raises Conflict if this process does not lead.

        Fewer pods are written only while the route in the API server is the one that was decided on. A write that is
        refused, or that another one overtook, is tried again at the next tick.
        """
        for one in wanted:
            deployment = self._session.objects.get(DEPLOYMENTS, labels.version_name(route.spec.model, one.ref))
            if deployment is None or not _is_managed(deployment, route):
                continue
            before = replicas_of(deployment)
            if one.instances != before and (one.instances > before or self._is_current(route)):
                self._session.fence.token()
                self._write(route, deployment, one, before)

    def _is_current(self, route: Route) -> bool:
        fresh = self._session.refreshed(ROUTES, route.name)
        return fresh is not None and fresh["metadata"].get("generation") == route.generation

    def _write(self, route: Route, deployment: Object, one: WantedInstances, before: int) -> None:
        session, name = self._session, name_of(deployment)
        version = deployment["metadata"]["resourceVersion"]
        body = {"metadata": {"resourceVersion": version}, "spec": {"replicas": one.instances}}
        try:
            written = session.api.patch(DEPLOYMENTS, session.namespace, name, body)
        except (errors.Conflict, errors.NotFound):
            return
        except (errors.Refused, errors.Invalid) as refused:
            if self._refused.get(name) != refused.message:
                self._log.error("%s could not be scaled to %d: %s", name, one.instances, refused.message)
            self._refused[name] = refused.message
            return
        self._refused.pop(name, None)
        session.objects.note_written(DEPLOYMENTS, written)
        text = f"{one.ref} scaled to {one.instances}: {one.reason}"
        self._log.info("%s: %s", route.name, text)
        found = session.objects.get(ROUTES, route.name)
        if found is not None:
            event = scaled_event(found, session.clock(), text, rises=one.instances > before)
            with suppress(errors.FairleadError):  # the log and the status say the same
                session.api.create(EVENTS, session.namespace, event)


def _is_managed(deployment: Object, route: Route) -> bool:
    return (
        label(deployment, labels.SCALED_BY) == labels.SCALED_BY_CONTROL_PLANE
        and label(deployment, labels.ROUTE) == route.name
        and "deletionTimestamp" not in deployment["metadata"]
    )
