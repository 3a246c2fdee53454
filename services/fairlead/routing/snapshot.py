"""The inputs and the result of compile(), as immutable values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fairlead.contracts.access import Access
from fairlead.contracts.gateway import PlainPort
from fairlead.contracts.table import Table

Resource = Mapping[str, Any]
"""One Envoy resource in canonical proto JSON, "@type" included."""


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where one instance listens: a port at an IP address, or at a DNS name that ends in a dot."""

    host: str
    port: int
    secrets: str = ""
    """The folder in a gateway that says where its certificates are (`envoy.tls`), for TLS; empty: no TLS."""
    often: bool = False
    """Whether gateways look its name up often, because requests may be waiting for it."""
    name: str = ""
    """With TLS: the name that its certificate must have; empty: that of its host."""


@dataclass(frozen=True, slots=True)
class Routed:
    """One route's table and the revision it came from."""

    route: str
    seq: int
    table: Table

    @property
    def revision(self) -> str:
        """The value of `x-route-revision` in every response of the model: "iris.12"."""
        return f"{self.route}.{self.seq}"


@dataclass(frozen=True, slots=True)
class Guard:
    """Who may call. Without one everybody may."""

    access: Access
    own_key: str = ""
    """The hash of the key that the control plane's own requests have."""
    gateways: int = 1
    """How many gateways share a client's limit."""
    closed: Mapping[str, int] = field(default_factory=dict)
    """The clients whose quota is used up, and when that ends, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class EntryTls:
    """TLS of the entry: a port of its own, beside the one without TLS."""

    port: int
    secrets: str
    """The folder in a gateway that says where its certificate is (`envoy.tls.entry_files`)."""
    public_port: int
    """The port under which clients reach it, for redirections."""
    asks_for_certificates: bool = False
    """Whether a client needs a certificate."""
    plain: PlainPort = "closed"
    """What the port without TLS does."""
    own_key: str = ""
    """The hash of the key with which the platform's own requests pass the port without TLS."""

    @property
    def is_gated(self) -> bool:
        """Whether the port without TLS answers only probes and the platform itself."""
        return self.plain != "open"


@dataclass(frozen=True, slots=True)
class Tracing:
    """Where the gateway sends spans, and of how many requests."""

    collector: Endpoint
    is_grpc: bool = False
    """Whether the collector takes OTLP over gRPC; else over HTTP."""
    per_million: int = 10_000
    """Of a million traces, how many are recorded."""
    follows_callers: bool = False
    """Whether a request whose caller records it is recorded too."""


@dataclass(frozen=True, slots=True)
class AccessLog:
    """The gateway's log of requests: one JSON object per line."""

    path: str
    successes_per_million: int = 1_000_000
    """Of a million requests that did not fail, how many are logged. Those that failed always are: a status of 500 or
    above, or no 2xx together with a flag of Envoy's, such as a reset connection. With less than a million, requests
    for `.../ready` are never logged. With more than 0, each attempt that failed is logged too."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The gateway's own settings, besides the tables."""

    host: str = "127.0.0.1"
    port: int = 8080
    control: Endpoint = Endpoint("127.0.0.1", 8081)
    routes_from: Resource | None = None
    """Envoy's config source for routes (`envoy.sources`); None for a static rendering with routes in the listener."""
    max_request_bytes: int = 4 << 20
    """Larger bodies get 413; up to this size a body is buffered, so that the request can be retried."""
    receive_timeout_s: float = 30.0
    """How long a request may take to arrive, body included; 408 after that."""
    hosts: tuple[str, ...] = ()
    """The `Host` names, without port, that it answers for; others get 421. Without any, or with "*", it answers all."""
    holds: bool = False
    """Whether versions may be cold, so that requests for them wait."""
    grpc: bool = False
    """Whether it answers calls of gRPC."""
    longest_wait_s: float = 0.0
    """How long a request may wait for a cold version at most. It is added to the time in which requests must arrive:
    Envoy counts a request that waits as one that arrives."""
    cors_origins: tuple[str, ...] = ()
    """Exact origins, or the single origin "*"; without any, CORS is off."""
    guard: Guard | None = None
    """Who may call, and how often; None for everybody, without limits."""
    entry: EntryTls | None = None
    """TLS of the entry; None: there is only the port without."""
    access_log: AccessLog | None = None
    """None turns the access log off."""
    tracing: Tracing | None = None
    """None: no spans."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a gateway should serve: resources by name, and the revision of each route in them."""

    clusters: Mapping[str, Resource]
    listeners: Mapping[str, Resource]
    routes: Mapping[str, Resource]
    revisions: Mapping[str, int]
