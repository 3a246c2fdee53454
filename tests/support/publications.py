"""Stores for publications that several replicas of the control plane share in a test: in memory, or in a folder."""

from __future__ import annotations

import base64
import fcntl
import json
import threading
from collections.abc import Mapping
from pathlib import Path

from fairlead.errors import Conflict, Unavailable
from fairlead.routing.publish.publication import Publication


class InMemoryPublications:
    """The publication that all replicas share. Setting `reachable` to False simulates an API server that is down."""

    def __init__(self) -> None:
        self.parts: Mapping[str, bytes] | None = None
        self.writes = 0
        self.reachable = True
        self.lock = threading.Lock()

    def view(self) -> ReplicaView:
        """The `Publications` of one replica."""
        return ReplicaView(self)


class ReplicaView:
    """`Publications` of one replica in this process."""

    def __init__(self, shared: InMemoryPublications) -> None:
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


class FolderPublications:
    """`Publications` of one replica process: a file that all replicas share and replace under a lock."""

    def __init__(self, folder: Path) -> None:
        self._file, self._lock = folder / "publication.json", folder / "publication.lock"
        self._seen = 0

    def token(self) -> object:
        return self._file.stat().st_mtime_ns if self._file.exists() else 0

    def load(self) -> Publication | None:
        if not self._file.exists():
            self._seen = 0
            return None
        document = json.loads(self._file.read_bytes())
        self._seen = document["version"]
        return Publication.from_parts({name: base64.b64decode(text) for name, text in document["parts"].items()})

    def save(self, publication: Publication) -> None:
        parts = {name: base64.b64encode(part).decode() for name, part in publication.to_parts().items()}
        with self._lock.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            now = json.loads(self._file.read_bytes())["version"] if self._file.exists() else 0
            if now != self._seen:
                raise Conflict("another control plane has published since")
            draft = self._file.with_suffix(".tmp")
            draft.write_text(json.dumps({"version": now + 1, "parts": parts}))
            draft.rename(self._file)
            self._seen = now + 1
