"""Health checks for hosts found by DNS name: whether a host is ready, and whether it still serves the named version.

DNS answers are not always correct: while parts of a cluster are down, its DNS reports for some seconds that a version
has no instance. Envoy keeps a host that is gone from DNS as long as its check passes. So a check may pass only where
the version runs, and must fail before a host stops listening. Hosts that do not answer are mostly left to ejection and
retries, which see requests fail: a stricter check would hide from a rollout how slow or overloaded a version is.
"""

from __future__ import annotations

from fairlead.contracts.gateway import READY_PATH, SERVICE_HEADER
from fairlead.routing.envoy.proto import Json, put, seconds

EVERY_S = 2.0
"""A draining host is detected within this time. It keeps listening for some seconds more (15 in the chart)."""
JITTER_PERCENT = 10
"""At most this much is added to each interval, so that many hosts are not checked at the same moment."""
AFTER_FAILURE_S = 1.0
TIMEOUT_S = 5.0
"""Long, because a model that holds the interpreter for seconds is only slow, and the rollout has to judge that. A new
cluster also waits this long for a host that never answers."""
MAX_UNANSWERED = 3
"""A host is removed after this many checks in a row without an answer (refused, reset, timed out)."""
_NOT_THERE = (404, 421, 503)
"""Not a model service; another model's service; not ready. These statuses remove a host at once."""


def ready_checks(name: str) -> Json:
    """The cluster fields that check the hosts of a DNS name that ends in a dot."""
    waits = dict.fromkeys(("interval", "no_traffic_interval"), seconds(EVERY_S))
    return {
        "health_checks": [
            {
                "timeout": seconds(TIMEOUT_S),
                **waits,
                "interval_jitter_percent": JITTER_PERCENT,
                "unhealthy_interval": seconds(AFTER_FAILURE_S),
                "unhealthy_threshold": MAX_UNANSWERED,
                "healthy_threshold": 1,
                "http_health_check": {
                    "path": READY_PATH,
                    "request_headers_to_add": [put(SERVICE_HEADER, name.removesuffix("."))],
                    # The same statuses count as ready for the kubelet.
                    "expected_statuses": [{"start": 200, "end": 400}],
                    "retriable_statuses": _between(400, 600),
                },
            }
        ]
    }


def _between(first: int, end: int) -> list[Json]:
    """Every status from `first` up to `end` that means neither ready nor gone."""
    edges = [first - 1, *_NOT_THERE, end]
    ranges = zip((edge + 1 for edge in edges), edges[1:], strict=False)
    return [{"start": start, "end": stop} for start, stop in ranges if start < stop]
