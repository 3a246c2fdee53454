"""Stands in for prometheus-adapter, which cannot be built here: serves recorded series of a Prometheus to the cluster's
own autoscaler, as the rules on docs/autoscaling.md tell the adapter to.

As the adapter does, it serves no value where the query finds no series, and an error while Prometheus does not answer.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import httpx

from support.cluster import external_metrics
from support.cluster.certificates import Authority
from support.cluster.kubectl import CommandFailed
from support.cluster.lifecycle import Cluster
from support.processes import free_port

NAMESPACE, SERVICE = "adapter", "adapter"
_ROOT = f"/apis/{external_metrics.GROUP}/{external_metrics.VERSION}"
_QUERY_S = 2.0


class Adapter:
    """The server. `source` gives the URL of the Prometheus that is asked, by the value of the label `model`."""

    def __init__(self, source: Callable[[str], str], certificate: tuple[Path, Path]) -> None:
        self.port = free_port()
        self._source, self._certificate = source, certificate
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Serve, until `kill`."""
        adapter = self

        class Page(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:  # noqa: N802 - the name that http.server calls
                status, document = adapter.answer(self.path)
                body = json.dumps(document).encode()
                with suppress(OSError):  # the API server waits no longer
                    self.send_response(status)
                    self.send_header("content-type", "application/json")
                    self.send_header("content-length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Nothing: the autoscaler asks all the time."""

        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*self._certificate)
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Page)
        self._server.daemon_threads = True  # the API server keeps its connections open
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def kill(self) -> None:
        """Answer nobody any more. Connections that are open are cut off with their next request."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, target: str) -> tuple[int, dict[str, object]]:
        """The status and the document for a path with its query."""
        parts = urlsplit(target)
        if self._server is None:
            return 503, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "the adapter is down"}
        if parts.path == _ROOT:
            return 200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": _ROOT[6:], "resources": []}
        if not parts.path.startswith(f"{_ROOT}/namespaces/"):
            return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "not found"}
        namespace, series = unquote(parts.path).removeprefix(f"{_ROOT}/namespaces/").split("/")
        selector = parse_qs(parts.query)["labelSelector"][0]
        labels = dict(one.split("=") for one in selector.split(","))
        matchers = ",".join(f'{name}="{value}"' for name, value in {"namespace": namespace, **labels}.items())
        try:
            found = httpx.get(
                f"{self._source(labels['model'])}/api/v1/query",
                params={"query": f"sum({series}{{{matchers}}}) by (namespace)"},
                timeout=_QUERY_S,
            ).json()["data"]["result"]
        except httpx.HTTPError as failed:
            return 500, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": str(failed)}
        items = [
            {
                "metricName": series,
                "metricLabels": one["metric"],
                "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "value": f"{round(float(one['value'][1]) * 1000)}m",
            }
            for one in found
        ]
        return 200, {"kind": "ExternalMetricValueList", "apiVersion": _ROOT[6:], "metadata": {}, "items": items}


@contextmanager
def running_adapter(cluster: Cluster, source: Callable[[str], str]) -> Iterator[Adapter]:
    """Run the server for a cluster of the tests without a node, until the block ends."""
    if cluster.plan is None or cluster.plan.tier != "control_plane":
        raise CommandFailed("the adapter runs beside a cluster without a node that the tests have started")
    authority = Authority(cluster.plan.certificates)
    certificate = authority.issue("adapter", hosts=["localhost", f"{SERVICE}.{NAMESPACE}.svc"])
    kube, adapter = cluster.client(NAMESPACE), Adapter(source, certificate)
    cluster.client("default").apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    adapter.start()
    try:
        with external_metrics.registered(kube, SERVICE, "localhost", adapter.port, authority.certificate):
            external_metrics.wait_until_served(kube)
            yield adapter
    finally:
        adapter.kill()
        kube("delete", "namespace", NAMESPACE, "--wait=false")
