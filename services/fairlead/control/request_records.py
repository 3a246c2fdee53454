"""What the gateway records of requests: from the words of platform.yaml and of the chart to its own settings."""

from __future__ import annotations

import ipaddress

from fairlead.contracts.tracing import MILLION, TracingSettings, collector, per_million
from fairlead.routing.snapshot import AccessLog, Endpoint, Tracing

_SHARES = {"failures": 0, "all": MILLION}


def tracing(given: TracingSettings | None) -> Tracing | None:
    """Where spans go, and of how many requests; None: there are none."""
    if given is None:
        return None
    found = collector(given.endpoint)
    return Tracing(
        Endpoint(_host(found.host), found.port),
        is_grpc=found.protocol == "grpc",
        per_million=per_million(given.sample),
        follows_callers=given.follow_callers,
    )


def access_log(given: str, path: str) -> AccessLog | None:
    """The log at this path, for `none`, `failures`, `all` or a share."""
    if given == "none":
        return None
    return AccessLog(path, _SHARES[given] if given in _SHARES else per_million(given))


def _host(name: str) -> str:
    """As the gateway's resolver needs it: an address, or the whole name with its dot at the end."""
    if name == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return f"{name.rstrip('.')}."
