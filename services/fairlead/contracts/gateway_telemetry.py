"""Declarations of the gateway's metrics that rollouts, rules and dashboards read. Envoy has hundreds more."""

from __future__ import annotations

from fairlead.contracts.gateway import Role
from fairlead.contracts.latency import GRID_MS
from fairlead.contracts.telemetry import Declared, Metric

GATEWAY_IDENTITY = ("envoy_cluster_name", "fairlead_role", "fairlead_namespace", "fairlead_model", "fairlead_version")
"""The labels of every cluster that belongs to a version. Versions are written as in statistics: `1_1_0`."""
_CLASSES = ("1", "2", "3", "4", "5")
EDGE = "edge"
"""The listener that users' requests come to; its value of `envoy_http_conn_manager_prefix`."""


_cluster = Declared("gateway", "envoy_cluster_", GATEWAY_IDENTITY, {"fairlead_role": tuple(Role)})
_edge = Declared("gateway", "envoy_http_", ("envoy_http_conn_manager_prefix",))


def _endpoint(name: str, help: str) -> Metric:
    """Envoy does not take the labels out of the names of these: only the cluster's name says the version."""
    labels = ("envoy_cluster_name", "envoy_endpoint_address")
    return Metric("gateway", f"envoy_cluster_endpoint_{name}", "counter", "requests", help, labels)


# Requests by version. What a user gets is in the roles `split` (stable) and `aggregate` (candidate).
GATEWAY_COMPLETED = _cluster("upstream_rq_completed", "counter", "requests", "Requests that were answered")
GATEWAY_CLASSES = _cluster(
    "upstream_rq_xx", "counter", "requests", "Answers by class of their status", envoy_response_code_class=_CLASSES
)
GATEWAY_CODES = _cluster("upstream_rq", "counter", "requests", "Answers by status", "envoy_response_code")
GATEWAY_TIME = _cluster(
    "upstream_rq_time", "histogram", "milliseconds", "From the request to the end of its answer", buckets=GRID_MS
)
GATEWAY_ACTIVE = _cluster("upstream_rq_active", "gauge", "requests", "Requests that wait for their answer")
GATEWAY_RETRIES = _cluster("upstream_rq_retry", "counter", "requests", "Requests that were sent again")
GATEWAY_RETRY_SUCCESS = _cluster(
    "upstream_rq_retry_success", "counter", "requests", "Requests that were answered well when sent again"
)
GATEWAY_RETRIED = _cluster("retry_upstream_rq_completed", "counter", "requests", "Answers that caused a retry")
GATEWAY_TIMEOUTS = _cluster("upstream_rq_timeout", "counter", "requests", "Requests ended at timeouts.request")
GATEWAY_CONNECT_FAIL = _cluster("upstream_cx_connect_fail", "counter", "connections", "Connections that failed")
GATEWAY_CUT_BY_US = _cluster(
    "upstream_cx_destroy_local_with_active_rq",
    "counter",
    "connections",
    "Connections that the gateway closed before the answer",
)
GATEWAY_CUT_BY_MODEL = _cluster(
    "upstream_cx_destroy_remote_with_active_rq",
    "counter",
    "connections",
    "Connections that the instance closed before the answer",
)
GATEWAY_NONE_HEALTHY = _cluster(
    "upstream_cx_none_healthy", "counter", "requests", "Requests for which there was no instance"
)
GATEWAY_EJECTED = _cluster(
    "outlier_detection_ejections_active", "gauge", "instances", "Instances that get no requests because they failed"
)
GATEWAY_HEALTHY = _cluster("membership_healthy", "gauge", "instances", "Instances that get requests")
GATEWAY_MEMBERS = _cluster("membership_total", "gauge", "instances", "Instances that the gateway knows")
GATEWAY_GOOD_TRIES = _endpoint("rq_success", "Tries that an instance answered without 5xx")
GATEWAY_BAD_TRIES = _endpoint("rq_error", "Tries that an instance answered with 5xx, or not at all")
GATEWAY_LATE_TRIES = _endpoint("rq_timeout", "Tries that took longer than timeouts.perTry")

# The gateway itself.
GATEWAY_EDGE_CLASSES = _edge(
    "downstream_rq_xx",
    "counter",
    "requests",
    "Answers to clients by class of their status, whoever gave them",
    envoy_response_code_class=_CLASSES,
)
GATEWAY_EDGE_ACTIVE = _edge("downstream_rq_active", "gauge", "requests", "Requests of clients being answered now")
GATEWAY_SHEDS = Metric(
    "gateway",
    "envoy_overload_envoy_overload_actions_stop_accepting_requests_active",
    "gauge",
    "0 or 1",
    "1 while the gateway is short of memory and answers 503",
)
GATEWAY_HEAP = Metric("gateway", "envoy_server_memory_heap_size", "gauge", "bytes", "Memory that the gateway has taken")
GATEWAY_CLIENT_REQUESTS = Metric(
    "gateway",
    "envoy_access_requests",
    "counter",
    "requests",
    "Answers by client and status, where the gateway asks for keys, and by the code of a failed call, where it answers "
    "gRPC; client unknown: nobody has proved to be one",
    ("fairlead_client", "fairlead_status", "fairlead_grpc"),
)
GATEWAY_UPTIME = Metric("gateway", "envoy_server_uptime", "gauge", "seconds", "Since the gateway started")

GATEWAY: tuple[Metric, ...] = (
    GATEWAY_COMPLETED,
    GATEWAY_CLASSES,
    GATEWAY_CODES,
    GATEWAY_TIME,
    GATEWAY_ACTIVE,
    GATEWAY_RETRIES,
    GATEWAY_RETRY_SUCCESS,
    GATEWAY_RETRIED,
    GATEWAY_TIMEOUTS,
    GATEWAY_CONNECT_FAIL,
    GATEWAY_CUT_BY_US,
    GATEWAY_CUT_BY_MODEL,
    GATEWAY_NONE_HEALTHY,
    GATEWAY_EJECTED,
    GATEWAY_HEALTHY,
    GATEWAY_MEMBERS,
    GATEWAY_GOOD_TRIES,
    GATEWAY_BAD_TRIES,
    GATEWAY_LATE_TRIES,
    GATEWAY_EDGE_CLASSES,
    GATEWAY_EDGE_ACTIVE,
    GATEWAY_SHEDS,
    GATEWAY_HEAP,
    GATEWAY_UPTIME,
    GATEWAY_CLIENT_REQUESTS,
)
"""All of them, in the order declared above."""
