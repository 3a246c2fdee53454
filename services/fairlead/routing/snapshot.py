"""What compile() makes and publish/ sends: immutable, with a hash per kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Resource = Mapping[str, Any]
"""One Envoy resource in canonical proto JSON, "@type" included."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one instance listens."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a gateway shall serve: resources by name, and which revision of each route they are."""

    clusters: Mapping[str, Resource]
    listeners: Mapping[str, Resource]
    routes: Mapping[str, Resource]
    revisions: Mapping[str, int]
