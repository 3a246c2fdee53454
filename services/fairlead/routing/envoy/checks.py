"""How a gateway asks those behind a name whether they are ready, and whether they are still what the name means.

A name is not always answered truthfully: while a cluster's own parts are away, its DNS says for some seconds that a
version has no instance. Envoy keeps a host that discovery has lost for as long as its check passes; so a check may
only pass where the version is, and has to fail before a host stops listening. A host without a word is left to
ejection and retries, which see requests fail: a check would hide from a rollout how slow or overloaded a version is.
"""

from __future__ import annotations

from fairlead.contracts.gateway import READY_PATH, SERVICE_HEADER
from fairlead.routing.envoy.proto import Json, put, seconds

EVERY_S = 2.0
"""A host that drains is found out so soon. It goes on listening for seconds more (the chart: 15)."""
JITTER_PERCENT = 10
"""At most so much is added to each wait, so that many hosts are not asked at the same moment."""
AFTER_FAILURE_S = 1.0
TIMEOUT_S = 5.0
"""Long, because a model that holds the interpreter for seconds is slow, and slow is for the rollout to judge. It is
also how long a new cluster waits for a host that never answers."""
UNANSWERED = 3
"""So many checks in a row without an answer (refused, cut off, silent) take a host away."""
_NOT_THERE = (404, 421, 503)
"""Nobody of ours; another of ours; not ready. These take a host away at once."""


def ready_checks(name: str) -> Json:
    """What a cluster needs to check the hosts of a DNS name that ends in a dot."""
    waits = dict.fromkeys(("interval", "no_traffic_interval"), seconds(EVERY_S))
    return {
        "health_checks": [
            {
                "timeout": seconds(TIMEOUT_S),
                **waits,
                "interval_jitter_percent": JITTER_PERCENT,
                "unhealthy_interval": seconds(AFTER_FAILURE_S),
                "unhealthy_threshold": UNANSWERED,
                "healthy_threshold": 1,
                "http_health_check": {
                    "path": READY_PATH,
                    "request_headers_to_add": [put(SERVICE_HEADER, name.removesuffix("."))],
                    # Ready is what a node agent calls ready.
                    "expected_statuses": [{"start": 200, "end": 400}],
                    "retriable_statuses": _between(400, 600),
                },
            }
        ]
    }


def _between(first: int, end: int) -> list[Json]:
    """Every status from `first` up to `end` that says neither yes nor no."""
    edges = [first - 1, *_NOT_THERE, end]
    ranges = zip((edge + 1 for edge in edges), edges[1:], strict=False)
    return [{"start": start, "end": stop} for start, stop in ranges if start < stop]
