"""Entry point in a pod: connects to the API server, builds store, lease and gateways, and calls `cluster.serve`."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from fairlead import errors
from fairlead.contracts import labels
from fairlead.contracts.gateway import name_for_gateways
from fairlead.control.answers import plain
from fairlead.control.chart_settings import ChartSettings
from fairlead.control.cluster import ControlPlane, serve
from fairlead.control.gateway_tokens import GatewayTokens
from fairlead.control.gateways import GatewayPods, PodLog
from fairlead.control.instance_tls import InstanceTls
from fairlead.control.kept_quotas import QuotaConfigMap
from fairlead.control.publications import ConfigMapPublications, KubeApi
from fairlead.control.secure_port import SecurePort
from fairlead.routing.access_file import AccessFile
from fairlead.store.kubernetes import KubernetesStore
from fairlead.store.kubernetes.access import Access, in_cluster
from fairlead.store.kubernetes.api import CONNECTIONS, Api
from fairlead.store.kubernetes.kinds import WATCHED
from fairlead.store.kubernetes.lease import Lease
from fairlead.store.kubernetes.namespace_lease import NamespaceLease
from fairlead.store.kubernetes.namespaces import KubernetesNamespaces

QUICK_TIMEOUT_S = 2.0
"""For requests that a rollback waits for (the publication) or a rejection waits for (a log)."""

CERTIFICATE_S = 30.0
"""So long a control plane that gateways ask with TLS only waits for its certificate: less than it may take to start."""


def run(chart: ChartSettings, access: Access | None = None) -> None:
    """Run one replica until SIGTERM. Raises Unavailable outside a cluster."""
    log, access, secure = logging.getLogger("fairlead.control"), access or in_cluster(), secure_port(chart)
    watches = CONNECTIONS + len(chart.namespaces) * (len(WATCHED) + 1)
    api, quick = Api(access, connections=watches), Api(access, timeout_s=QUICK_TIMEOUT_S)
    lease = Lease(
        api,
        chart.namespace,
        chart.control_plane,
        chart.pod,
        log=log,
        floor=lambda: store.fence(),
        owners=lambda: _owners(api, chart),
    )
    store = KubernetesStore(api, chart.namespace, fence=lease, log=log)
    further = [_further(api, chart, name, lease, log) for name in chart.namespaces]
    # Without further namespaces nothing stands between the engine and its store.
    served = KubernetesNamespaces([store, *(one for one, _ in further)], log=log) if further else store
    selector = f"{labels.COMPONENT}={labels.COMPONENT_GATEWAY},{labels.INSTANCE}={chart.release}"
    gateways = GatewayPods(api, chart.namespace, selector, tail=PodLog(quick, chart.namespace).tail, log=log)
    publications = ConfigMapPublications(
        quick,
        chart.namespace,
        chart.publication,
        metadata=lambda: _metadata(api, chart),
    )
    control = ControlPlane(
        served,
        lease,
        publications,
        gateways,
        chart.settings(),
        smoke_at=chart.gateway,
        log=log,
        endpoints=chart.service_names(),
        connect=InstanceTls(Path(chart.tls), chart.cluster_domain) if chart.tls else plain,
        metrics=chart.metrics,
        tokens=GatewayTokens(quick, chart.gateway_account) if chart.check_gateway_tokens else None,
        scales=served,
        namespaces=served if isinstance(served, KubernetesNamespaces) else None,
        namespace=chart.namespace,
        # Without a file of clients the chart makes no ConfigMap.
        quota_keep=QuotaConfigMap(quick, chart.namespace, f"{chart.release}-quotas") if chart.access_file else None,
        access=AccessFile(Path(chart.access_file), only_owner=False) if chart.access_file else None,
    )
    leases = [lease, *(one for _, one in further)]
    served.start()
    gateways.start()
    for each in leases:
        each.start()
    try:
        # The leases are released once this replica decides nothing any more, before the last requests are answered:
        # those of further namespaces first, while this replica still leads.
        serve(control, chart.address, secure=secure, stopped=lambda: _stop(leases))
    finally:
        gateways.stop()
        served.close()


def secure_port(chart: ChartSettings, wait_s: float = CERTIFICATE_S) -> SecurePort | None:
    """The port with TLS. Without other ports for gateways, raises Invalid if its files cannot be used in time."""
    if not chart.gateway_tls:
        return None
    gateway, name = chart.gateway.host.removesuffix("."), name_for_gateways(chart.host(chart.control_plane))
    give_up_at = time.monotonic() + wait_s
    while True:
        try:
            return SecurePort.of_folder(
                Path(chart.gateway_tls), gateway, name=name, also_plain=chart.gateway_also_plain
            )
        except errors.Invalid:
            # After an upgrade the kubelet may still have to bring the certificate that was issued again.
            if time.monotonic() >= give_up_at:
                raise
        time.sleep(min(wait_s, 1.0))


def _stop(leases: Sequence[Lease]) -> None:
    """Those of further namespaces at once: an API server that does not answer must not outlast the grace period."""
    own, *further = leases
    if further:
        with ThreadPoolExecutor(len(further), thread_name_prefix="release") as pool:
            list(pool.map(lambda one: one.stop(), further))
    own.stop()


def _further(
    api: Api, chart: ChartSettings, namespace: str, leader: Lease, log: logging.Logger
) -> tuple[KubernetesStore, NamespaceLease]:
    """The store of a further namespace, and the Lease there that allows to write."""
    lease = NamespaceLease(
        api,
        namespace,
        release=chart.release,
        platform=chart.namespace,
        leader=leader,
        log=log,
        floor=lambda: store.fence(),
    )
    store = KubernetesStore(api, namespace, fence=lease, log=log)
    return store, lease


def _metadata(api: KubeApi, chart: ChartSettings) -> Mapping[str, Any]:
    """Labels and owner of the publication."""
    names = {
        labels.COMPONENT: labels.COMPONENT_CONTROL_PLANE,
        labels.INSTANCE: chart.release,
        labels.PART_OF: "fairlead",
    }
    return {"labels": names, "ownerReferences": _owners(api, chart)}


def _owners(api: KubeApi, chart: ChartSettings) -> list[dict[str, Any]]:
    """The Deployment owns the objects that this process creates, so that an uninstall deletes them too."""
    path = f"/apis/apps/v1/namespaces/{chart.namespace}/deployments/{chart.control_plane}"
    try:
        owner = api.request("GET", path)
    except errors.FairleadError:
        return []  # in tests, the control plane runs without a Deployment
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": chart.control_plane}
    return [{**reference, "uid": owner["metadata"]["uid"]}]
