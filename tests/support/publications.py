"""A publication in memory, for several replicas of the control plane in one test."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from fairlead.errors import Conflict, Unavailable
from fairlead.routing.publish.publication import Publication


class InMemory:
    """What all replicas share. `reachable` may be taken away, as an API server that is down."""

    def __init__(self) -> None:
        self.parts: Mapping[str, bytes] | None = None
        self.writes = 0
        self.reachable = True
        self.lock = threading.Lock()

    def view(self) -> View:
        """What one replica holds."""
        return View(self)


class View:
    """`Publications` for one replica."""

    def __init__(self, shared: InMemory) -> None:
        self._shared = shared
        self._seen = 0

    def token(self) -> object:
        return self._shared.writes

    def load(self) -> Publication | None:
        with self._shared.lock:
            self._assert_reachable()
            self._seen, parts = self._shared.writes, self._shared.parts
        return Publication.from_parts(parts) if parts is not None else None

    def save(self, publication: Publication) -> None:
        with self._shared.lock:
            self._assert_reachable()
            if self._seen != self._shared.writes:
                raise Conflict("another control plane has published since")
            self._shared.parts = publication.to_parts()
            self._shared.writes += 1
            self._seen = self._shared.writes

    def _assert_reachable(self) -> None:
        if not self._shared.reachable:
            raise Unavailable("the store of publications cannot be reached")
