"""What goes into compile() and what comes out of it: immutable, and equal inputs give equal outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fairlead.contracts.table import Table

Resource = Mapping[str, Any]
"""One Envoy resource in canonical proto JSON, "@type" included."""


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """Where one instance listens: an IP address, or a DNS name that ends in a dot."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Routed:
    """One route's table and the revision it came from."""

    route: str
    seq: int
    table: Table

    @property
    def revision(self) -> str:
        """What every answer of the model carries in `x-route-revision`: "iris.12"."""
        return f"{self.route}.{self.seq}"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a gateway is told once, beside the tables."""

    host: str = "127.0.0.1"
    port: int = 8080
    control: Endpoint = Endpoint("127.0.0.1", 8081)
    routes_from: Resource | None = None
    """Envoy's config source for routes (`envoy.sources`); None where a static rendering puts them into the listener."""
    max_request_bytes: int = 4 << 20
    """Larger bodies are 413; up to this size a body is buffered, so that it can be sent again."""
    cors_origins: tuple[str, ...] = ()
    """Exact origins, or the single origin "*"; none turns CORS off."""
    access_log: str | None = None
    """A file, one JSON object a line; None writes none."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a gateway shall serve: resources by name, and which revision of each route they are."""

    clusters: Mapping[str, Resource]
    listeners: Mapping[str, Resource]
    routes: Mapping[str, Resource]
    revisions: Mapping[str, int]
