"""Stores the publication in a cluster: one ConfigMap, replaced only if it is unchanged since it was read."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fairlead import errors
from fairlead.routing.publish.publication import Publication

POLL_INTERVAL_S = 0.2
"""How often a follower polls for a new version. It reads only the metadata."""
MAX_BYTES = 1_000_000
"""Of base64 text, as the API server counts it: a ConfigMap holds 1 MiB."""
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


class KubeApi(Protocol):
    """The API server's requests for single objects; `store.kubernetes.api.Api` implements them."""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: dict[str, Any] | None = None,
        accept: str = "application/json",
    ) -> dict[str, Any]:
        """Send a request, return the response. Raises NotFound, Conflict, Refused, Invalid; Unavailable without one."""
        ...


class ConfigMapPublications:
    """`routing.publish.publication.Publications`. Not thread-safe."""

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        name: str,
        *,
        metadata: Callable[[], Mapping[str, Any]] = dict,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`metadata` returns the ConfigMap's labels and its owner, with which it is deleted."""
        self._api, self._monotonic, self._metadata = api, monotonic, metadata
        self._collection, self._name = f"/api/v1/namespaces/{namespace}/configmaps", name
        self._seen: str | None = None
        self._token = ""
        self._asked_at = float("-inf")

    def token(self) -> object:
        """The resource version, at most a fifth of a second old. While the API server does not answer, the last one."""
        now = self._monotonic()
        if now - self._asked_at >= POLL_INTERVAL_S:
            self._asked_at = now
            try:
                # From the API server's cache, not from etcd: slightly behind, and very cheap.
                found = self._api.request("GET", self._path, query={"resourceVersion": "0"}, accept=_METADATA)
                self._token = _version(found)
            except errors.FairleadError:
                pass  # the last token stays; load() raises for a replica that has nothing yet
        return self._token

    def load(self) -> Publication | None:
        """The publication. Raises Unavailable without an answer, Invalid for a ConfigMap that is not a publication."""
        try:
            found = self._api.request("GET", self._path)
        except errors.NotFound:
            self._seen = None
            return None
        self._seen = _version(found)
        try:
            parts = {name: base64.b64decode(text) for name, text in (found.get("binaryData") or {}).items()}
        except (binascii.Error, TypeError) as error:
            raise errors.Invalid(f"ConfigMap {self._name} cannot be read: {error}") from error
        return Publication.from_parts(parts) if parts else None

    def save(self, publication: Publication) -> None:
        """Replace what was read last. Raises Conflict when another replica saved since, Refused when it is too big."""
        data = {name: base64.b64encode(part).decode() for name, part in publication.to_parts().items()}
        size = sum(map(len, data.values()))
        if size > MAX_BYTES:
            raise errors.Refused(
                f"the configuration of all routes has {size >> 10} KiB compressed, but a ConfigMap holds at most 1 MiB",
                hint="distribute the models over several namespaces, each with its own platform",
            )
        document = {"apiVersion": "v1", "kind": "ConfigMap", "binaryData": data}
        try:
            if self._seen is None:
                metadata = {"name": self._name, **self._metadata()}
                found = self._api.request("POST", self._collection, body={**document, "metadata": metadata})
            else:
                metadata = {"name": self._name, "resourceVersion": self._seen}
                found = self._api.request(
                    "PUT", self._path, body={**document, "metadata": {**metadata, **self._metadata()}}
                )
        except errors.NotFound as error:
            raise errors.Conflict(f"ConfigMap {self._name} was deleted") from error
        self._seen = self._token = _version(found)

    @property
    def _path(self) -> str:
        return f"{self._collection}/{self._name}"


def _version(found: Mapping[str, Any]) -> str:
    return str(found["metadata"]["resourceVersion"])
