"""The publication in a cluster: one ConfigMap, replaced only by whoever read it last."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from fairlead import errors
from fairlead.routing.publish.publication import Publication

LOOK_S = 0.2
"""How often a follower asks whether there is something new. It asks for the metadata alone."""
LARGEST = 1_000_000
"""Bytes, as the API server counts them: a ConfigMap holds 1 MiB."""
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


class KubeApi(Protocol):
    """The API server, as far as a few small objects need it; `store.kubernetes.api.Api` is one."""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: dict[str, Any] | None = None,
        accept: str = "application/json",
    ) -> dict[str, Any]:
        """One request and its answer. Raises NotFound, Conflict, Refused, Invalid; Unavailable without an answer."""
        ...


class ConfigMapPublications:
    """`routing.publish.publication.Publications`. Not for several threads at once."""

    def __init__(
        self,
        api: KubeApi,
        namespace: str,
        name: str,
        *,
        metadata: Callable[[], Mapping[str, Any]] = dict,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`metadata` is what a new ConfigMap carries beside its name: labels, and who takes it along when it goes."""
        self._api, self._monotonic, self._metadata = api, monotonic, metadata
        self._collection, self._name = f"/api/v1/namespaces/{namespace}/configmaps", name
        self._seen: str | None = None
        self._token = ""
        self._asked_at = float("-inf")

    def token(self) -> object:
        """The resource version, at most a fifth of a second old. While nobody answers, the last one."""
        now = self._monotonic()
        if now - self._asked_at >= LOOK_S:
            self._asked_at = now
            try:
                # From the API server's memory, not from etcd: it may be a moment behind, and costs next to nothing.
                found = self._api.request("GET", self._path, query={"resourceVersion": "0"}, accept=_METADATA)
                self._token = _version(found)
            except errors.FairleadError:
                pass  # what is shown stays; a reader who has nothing yet is told by load()
        return self._token

    def load(self) -> Publication | None:
        """What is published. Raises Unavailable when that cannot be said, Invalid for one that cannot be read."""
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
        """Replace what was read last. Raises Conflict when somebody else wrote since, Refused when it does not fit."""
        data = {name: base64.b64encode(part).decode() for name, part in publication.to_parts().items()}
        size = sum(map(len, data.values()))
        if size > LARGEST:
            raise errors.Refused(
                f"the configuration of all routes has {size >> 10} KiB compressed, and a ConfigMap holds 1 MiB",
                hint="spread the models over several namespaces, each with a platform of its own",
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
