"""Lists the gateways of a cluster, which are pods with a label, and reads rejections from their logs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from fairlead import errors
from fairlead.contracts.gateway import GatewaySite
from fairlead.control.publications import KubeApi
from fairlead.repeat import RepeatingThread
from fairlead.routing.publish.rejection_log import rejection_in

ADMIN_PORT = 9901
LIST_INTERVAL_S = 2.0
"""How often pods are listed. A new gateway is listed long before its image is pulled."""
CONTAINER = "envoy"
LOG_LINES = 200


class KubeLogs(Protocol):
    """The API server's log requests; `store.kubernetes.api.Api` implements them."""

    def read(self, path: str, query: Mapping[str, str]) -> bytes: ...  # noqa: D102


class PodLog:
    """The end of a container's log."""

    def __init__(self, api: KubeLogs, namespace: str) -> None:
        self._api, self._namespace = api, namespace

    def tail(self, pod: str) -> bytes:
        """The last lines. Raises the API server's errors, and Unavailable without an answer."""
        path = f"/api/v1/namespaces/{self._namespace}/pods/{pod}/log"
        return self._api.read(path, {"container": CONTAINER, "tailLines": str(LOG_LINES)})


class GatewayPods:
    """`routing.publish.fleet.Discovery`: the pods of `selector`, listed on a separate thread. Thread-safe."""

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        selector: str,
        *,
        tail: Callable[[str], bytes],
        log: logging.Logger,
        every_s: float = LIST_INTERVAL_S,
    ) -> None:
        self._api, self._selector, self._tail, self._log = api, selector, tail, log
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._sites: tuple[GatewaySite, ...] = ()
        self._listing = RepeatingThread(
            "gateway-pods", self.list_pods, pause_s=lambda: every_s, on_error=self._complain
        )
        self.loaded = False
        """Whether the pods were ever listed. Before that, an empty list does not mean that there is no gateway."""

    def start(self) -> None:
        """Start listing."""
        self._listing.start()

    def stop(self) -> None:
        """Stop listing."""
        self._listing.stop()

    def gateways(self) -> Sequence[GatewaySite]:
        """The last list."""
        return self._sites

    def rejection_reason(self, name: str) -> str | None:
        """The reason from the pod's log: with REST xDS, Envoy reports it only there."""
        try:
            return rejection_in(self._tail(name))
        except errors.FairleadError:
            return None

    def list_pods(self) -> None:
        """List once. Raises Unavailable; the last list then stays."""
        query = {"labelSelector": self._selector, "resourceVersion": "0"}
        found = self._api.request("GET", self._path, query=query)
        self._sites = tuple(sorted(site for pod in found.get("items") or () if (site := _site(pod)) is not None))
        self.loaded = True

    def _complain(self, error: errors.FairleadError) -> None:
        self._log.warning("cannot list the gateways, keeping the last list: %s", error.message)


def _site(pod: dict[str, Any]) -> GatewaySite | None:
    """None for a pod without an address yet, or one that has ended. A pod being deleted serves while it drains."""
    status = pod.get("status") or {}
    if not status.get("podIP") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    return GatewaySite(str(pod["metadata"]["name"]), str(status["podIP"]), ADMIN_PORT)
