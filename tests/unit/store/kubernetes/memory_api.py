"""An API server in memory: objects of several namespaces, and namespaces that refuse."""

from __future__ import annotations

from fairlead import errors
from fairlead.store.kubernetes.api import AlreadyExists, Api
from fairlead.store.kubernetes.kinds import Kind, Object


class MemoryApi(Api):
    """The part of the API client that a store uses. `refuses` has (verb, namespace); other requests are carried out."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.refuses: set[tuple[str, str]] = set()
        self._version = 0

    def put(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        self._version += 1
        metadata: Object = {"creationTimestamp": "2026-01-01T00:00:00Z", "uid": f"{namespace}/{kind.plural}/{name}"}
        metadata |= {"generation": 1, **body.get("metadata", {})}
        metadata |= {"name": name, "namespace": namespace, "resourceVersion": str(self._version)}
        self.objects[kind.plural, namespace, name] = found = {**body, "metadata": metadata}
        return found

    def list(self, kind: Kind, namespace: str, selector: str = "") -> tuple[list[Object], str]:
        self._check("list", namespace)
        found = [one for (plural, where, _), one in self.objects.items() if (plural, where) == (kind.plural, namespace)]
        return found, str(self._version)

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        self._check("get", namespace)
        if (kind.plural, namespace, name) not in self.objects:
            raise errors.NotFound(f"no {kind.plural} {name}")
        return self.objects[kind.plural, namespace, name]

    def create(self, kind: Kind, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        self._check("create", namespace)
        name = body["metadata"].get("name") or f"{body['metadata']['generateName']}{len(self.objects)}"
        if (kind.plural, namespace, name) in self.objects:
            raise AlreadyExists(name)
        return self.put(kind, namespace, name, body)

    def replace(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        self._check("update", namespace)
        return self.put(kind, namespace, name, body)

    def patch(self, kind: Kind, namespace: str, name: str, body: Object, *, part: str = "") -> Object:
        self._check("patch", namespace)
        found = self.get(kind, namespace, name)
        status = {**(found.get("status") or {}), **body.get("status", {})}
        return self.put(kind, namespace, name, {**found, "status": status})

    def _check(self, verb: str, namespace: str) -> None:
        if (verb, namespace) in self.refuses:
            raise errors.Refused(f"API server: you may not {verb} in {namespace}")
