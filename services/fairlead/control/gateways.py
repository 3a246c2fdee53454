"""The gateways of a cluster: pods with a label. Their admin pages are asked by others; here is who they are."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from fairlead import errors
from fairlead.contracts.gateway import GatewaySite
from fairlead.control.publications import KubeApi
from fairlead.repeat import Repeated
from fairlead.routing.publish.rejection_log import refusal_in

ADMIN_PORT = 9901
EVERY_S = 2.0
"""How often pods are listed. A gateway is listed long before it has fetched its image."""
CONTAINER = "envoy"
LOG_LINES = 200


class KubeLogs(Protocol):
    """The API server, as far as logs need it; `store.kubernetes.api.Api` is one."""

    def read(self, path: str, query: Mapping[str, str]) -> bytes: ...  # noqa: D102


class PodLog:
    """The end of a container's log."""

    def __init__(self, api: KubeLogs, namespace: str) -> None:
        self._api, self._namespace = api, namespace

    def tail(self, pod: str) -> bytes:
        """Raises what the API server refuses, and Unavailable without an answer."""
        path = f"/api/v1/namespaces/{self._namespace}/pods/{pod}/log"
        return self._api.read(path, {"container": CONTAINER, "tailLines": str(LOG_LINES)})


class GatewayPods:
    """`routing.publish.fleet.Discovery`: what `selector` finds, listed on a thread of its own. Any thread may ask."""

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        selector: str,
        *,
        tail: Callable[[str], bytes],
        log: logging.Logger,
        every_s: float = EVERY_S,
    ) -> None:
        self._api, self._selector, self._tail, self._log = api, selector, tail, log
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._sites: tuple[GatewaySite, ...] = ()
        self._looking = Repeated("gateway-pods", self.look, pause_s=lambda: every_s, tell=self._complain)
        self.loaded = False
        """Whether they were ever listed: before, nobody may take it that there is none."""

    def start(self) -> None:
        """Begin to list."""
        self._looking.start()

    def stop(self) -> None:
        """End."""
        self._looking.stop()

    def gateways(self) -> Sequence[GatewaySite]:
        """The last list."""
        return self._sites

    def refusal(self, name: str) -> str | None:
        """From the pod's log: over REST Envoy says it nowhere else."""
        try:
            return refusal_in(self._tail(name))
        except errors.FairleadError:
            return None

    def look(self) -> None:
        """List once. Raises Unavailable; the last list stays."""
        query = {"labelSelector": self._selector, "resourceVersion": "0"}
        found = self._api.request("GET", self._path, query=query)
        self._sites = tuple(sorted(site for pod in found.get("items") or () if (site := _site(pod)) is not None))
        self.loaded = True

    def _complain(self, error: errors.FairleadError) -> None:
        self._log.warning("cannot list the gateways, the last list holds: %s", error.message)


def _site(pod: dict[str, Any]) -> GatewaySite | None:
    """None for a pod that has no address yet, or is over. One that is being deleted still serves while it drains."""
    status = pod.get("status") or {}
    if not status.get("podIP") or status.get("phase") in ("Succeeded", "Failed"):
        return None
    return GatewaySite(str(pod["metadata"]["name"]), str(status["podIP"]), ADMIN_PORT)
