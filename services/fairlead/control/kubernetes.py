"""Entry point in a pod: connects to the API server, builds store, lease and gateways, and calls `cluster.serve`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fairlead import errors
from fairlead.contracts import labels
from fairlead.control.cluster import ControlPlane, Facts, serve
from fairlead.control.endpoints import ServiceNames
from fairlead.control.gateways import GatewayPods, PodLog
from fairlead.control.publications import ConfigMapPublications, KubeApi
from fairlead.store.kubernetes import KubernetesStore
from fairlead.store.kubernetes.access import Access, in_cluster
from fairlead.store.kubernetes.api import Api
from fairlead.store.kubernetes.lease import Lease

QUICK_TIMEOUT_S = 2.0
"""For requests that a rollback waits for (the publication) or a rejection waits for (a log)."""


def run(facts: Facts, access: Access | None = None) -> None:
    """Run one replica until SIGTERM. Raises Unavailable outside a cluster."""
    log, access = logging.getLogger("fairlead.control"), access or in_cluster()
    api, quick = Api(access), Api(access, timeout_s=QUICK_TIMEOUT_S)
    lease = Lease(
        api,
        facts.namespace,
        facts.control_plane,
        facts.pod,
        log=log,
        floor=lambda: store.fence(),
        owners=lambda: _owners(api, facts),
    )
    store = KubernetesStore(api, facts.namespace, fence=lease, log=log)
    selector = f"{labels.COMPONENT}={labels.COMPONENT_GATEWAY},{labels.INSTANCE}={facts.release}"
    gateways = GatewayPods(api, facts.namespace, selector, tail=PodLog(quick, facts.namespace).tail, log=log)
    publications = ConfigMapPublications(
        quick,
        facts.namespace,
        facts.publication,
        metadata=lambda: _metadata(api, facts),
    )
    control = ControlPlane(
        store,
        lease,
        publications,
        gateways,
        facts.settings(),
        smoke_at=facts.gateway,
        log=log,
        endpoints=ServiceNames(facts.cluster_domain),
        metrics=facts.metrics,
    )
    store.start()
    gateways.start()
    lease.start()
    try:
        # The lease is released once this replica decides nothing any more, before the last requests are answered.
        serve(control, facts.address, stopped=lease.stop)
    finally:
        gateways.stop()
        store.close()


def _metadata(api: KubeApi, facts: Facts) -> Mapping[str, Any]:
    """Labels and owner of the publication."""
    names = {
        labels.COMPONENT: labels.COMPONENT_CONTROL_PLANE,
        labels.INSTANCE: facts.release,
        labels.PART_OF: "fairlead",
    }
    return {"labels": names, "ownerReferences": _owners(api, facts)}


def _owners(api: KubeApi, facts: Facts) -> list[dict[str, Any]]:
    """The Deployment owns the objects that this process creates, so that an uninstall deletes them too."""
    path = f"/apis/apps/v1/namespaces/{facts.namespace}/deployments/{facts.control_plane}"
    try:
        owner = api.request("GET", path)
    except errors.FairleadError:
        return []  # in tests, the control plane runs without a Deployment
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": facts.control_plane}
    return [{**reference, "uid": owner["metadata"]["uid"]}]
